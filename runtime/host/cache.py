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
import shutil
import tempfile
from pathlib import Path
from typing import Final, Iterable, Optional

MAX_ENTRIES: Final = 512  # some 50 MB; the least recently used go first
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
    """Files by name. A directory that cannot be used is a cache that never hits, not an error."""

    def __init__(self, directory: Optional[Path] = None) -> None:
        self.directory = directory if directory is not None else default_directory()

    def find(self, name: str) -> Optional[Path]:
        """The entry of this name, or None."""
        path = self.directory / name
        try:
            os.utime(path)  # marks it as used for _prune
        except OSError:
            return None
        return path

    def publish(self, name: str, file: Path) -> None:
        """Keep a copy of file, and whether it is executable, under name."""
        temporary = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=str(self.directory), prefix=NEW)
            os.close(handle)
            temporary = Path(path)
            shutil.copy(file, temporary)
            temporary.replace(self.directory / name)
            self._prune()
        except OSError:
            if temporary is not None and temporary.exists():
                temporary.unlink()

    def _prune(self) -> None:
        entries = [(path.stat().st_mtime, path) for path in self.directory.iterdir()]
        entries = [(used, path) for used, path in entries if not path.name.startswith(NEW)]
        for _, path in sorted(entries, reverse=True)[MAX_ENTRIES:]:
            path.unlink()


def default_directory() -> Path:
    """Where libraries are kept when the caller does not say."""
    explicit = os.environ.get("MICROTVM_CACHE_DIR")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "microtvm-template"
