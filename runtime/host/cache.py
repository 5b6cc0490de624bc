# SPDX-License-Identifier: Apache-2.0
"""A content-addressed store of built libraries and firmwares, shared by all projects of a user.

The name of an entry holds a digest of everything that its bytes depend on (compiler, flags, sources), so an
entry never goes stale and is never changed: it is written beside its place and renamed, and whoever comes
second writes the same bytes. That makes it safe under concurrent builds without a lock.

Where: $MICROTVM_CACHE_DIR, else $XDG_CACHE_HOME/microtvm-template, else ~/.cache/microtvm-template.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final, Iterable, Optional

MAX_ENTRIES: Final = 512  # some 50 MB; the least recently used go first
DIGEST_BYTES: Final = hashlib.sha256().digest_size
NEW: Final = "new-"  # begins the name of a file that is being written


class Digest:
    """Collects what an entry is made of into one key. Parts carry their length: "ab","c" is not "a","bc"."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: str) -> None:
        for part in parts:
            self._add_bytes(part.encode("utf-8", "surrogateescape"))

    def add_files(self, root: Path, files: Iterable[Path]) -> None:
        """Names relative to root, and contents, in sorted order."""
        for path in sorted(files):
            self.add(path.relative_to(root).as_posix())
            self._add_bytes(path.read_bytes())

    def key(self) -> str:
        return self._hash.hexdigest()[:40]

    def _add_bytes(self, data: bytes) -> None:
        self._hash.update(len(data).to_bytes(8, "little"))
        self._hash.update(data)


class Cache:
    """Files by name. Whatever is wrong with an entry or the directory, it is a cache that does not have it.

    An entry is the SHA-256 of a file's content, then the content: a damaged one is found out and dropped.
    """

    def __init__(self, directory: Optional[Path] = None) -> None:
        self.directory = directory if directory is not None else default_directory()

    def take(self, name: str, target: Path) -> bool:
        """Write the entry of this name to target. False when there is none."""
        if self.directory is None:
            return False
        path = self.directory / name
        try:
            entry = path.read_bytes()
            digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
            if hashlib.sha256(content).digest() != digest:
                path.unlink()
                return False
            os.utime(path)  # marks it as used for _prune
        except OSError:
            return False
        target.write_bytes(content)
        return True

    def publish(self, name: str, file: Path) -> None:
        """Keep the content of file under name."""
        if self.directory is None:
            return
        content = file.read_bytes()
        temporary = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=str(self.directory), prefix=NEW)
            temporary = Path(path)
            with os.fdopen(handle, "wb") as entry:
                entry.write(hashlib.sha256(content).digest() + content)
            temporary.replace(self.directory / name)
            self._prune(self.directory)
        except OSError:
            if temporary is not None and temporary.exists():
                temporary.unlink()

    @staticmethod
    def _prune(directory: Path) -> None:
        entries = [(path.stat().st_mtime, path) for path in directory.iterdir() if path.is_file()]
        entries = [(used, path) for used, path in entries if not path.name.startswith(NEW)]
        for _, path in sorted(entries, reverse=True)[MAX_ENTRIES:]:
            path.unlink()


def default_directory() -> Optional[Path]:
    """Where entries are kept when the caller does not say; None for a user who has no home."""
    explicit = os.environ.get("MICROTVM_CACHE_DIR")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "microtvm-template"
    try:
        return Path.home() / ".cache" / "microtvm-template"
    except RuntimeError:
        return None
