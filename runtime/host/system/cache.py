# SPDX-License-Identifier: Apache-2.0
"""A content-addressed store of built libraries and firmwares, shared by all projects of one user.

The name of an entry holds a digest of everything that its bytes depend on (compiler, flags, sources), so an
entry never goes stale and is never changed: it is written beside its place and renamed, and whoever comes
second writes the same bytes. That makes it safe under concurrent builds without a lock.

Each user has a cache of their own: entries can be read by nobody else, and those of others are not used. In a
directory that belongs to somebody else a user has a directory `user-ID`.

Where: $MICROTVM_CACHE_DIR, else $XDG_CACHE_HOME/microtvm-template, else ~/.cache/microtvm-template.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final, Iterable, List, Optional

from runtime.host.system.regular_files import MAX_CONTENT_BYTES, open_regular, read_bytes

MAX_ENTRIES: Final = 512  # some 50 MB; the least recently used go first
DIGEST_BYTES: Final = hashlib.sha256().digest_size
MAX_ENTRY_BYTES: Final = 128 << 20
# Names of entries: a library of a build, or a digest with what was linked. The directory may hold more.
ENTRY: Final = re.compile(r"libmicrotvm_\w+-[0-9a-f]{40}\.a|[0-9a-f]{40}-\S+")
NEW: Final = "new-"  # begins the name of a file that is being written


class Digest:
    """Collects what an entry is made of into one key. Parts carry their length: "ab","c" is not "a","bc"."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: str) -> None:
        for part in parts:
            self._add_bytes(part.encode("utf-8", "surrogateescape"))

    def add_files(self, root: Path, files: Iterable[Path]) -> None:
        """Names relative to root, and contents, in sorted order. Raises OSError for what is no regular file
        of a bounded size."""
        for path in sorted(files):
            self.add(path.relative_to(root).as_posix())
            self._add_bytes(read_bytes(path, MAX_CONTENT_BYTES))

    def add_content(self, name: str, content: bytes) -> None:
        """The content of a file that has been read, and its name."""
        self.add(name)
        self._add_bytes(content)

    def key(self) -> str:
        return self._hash.hexdigest()[:40]

    def _add_bytes(self, data: bytes) -> None:
        self._hash.update(len(data).to_bytes(8, "little"))
        self._hash.update(data)


class Cache:
    """Files by name, of one user. A cache with a damaged entry or an unusable directory does not have the
    file.

    An entry is the SHA-256 of its name and of a file's content, then the content: a damaged or renamed one is
    found out and dropped. What another user has written is never used, because it is run.
    note: what to tell the user about the directory; empty for nothing.
    """

    def __init__(self, directory: Optional[Path] = None) -> None:
        self.note = ""
        self.directory = self._own(directory if directory is not None else default_directory())

    def take(self, name: str, target: Path) -> bool:
        """Write the entry of this name to target. False when there is none."""
        if self.directory is None:
            return False
        path = self.directory / name
        try:
            content = self._read(path, name)
            if content is None:
                return False
            os.utime(path)  # marks it as used for _prune
        except OSError as error:
            if isinstance(error, PermissionError):
                self.note = self._foreign()
            return False
        target.write_bytes(content)
        return True

    def publish(self, name: str, file: Path) -> None:
        """Keep the content of file under name."""
        if self.directory is None or file.stat().st_size > MAX_ENTRY_BYTES:
            return
        content = file.read_bytes()
        temporary = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=str(self.directory), prefix=NEW)
            temporary = Path(path)
            with os.fdopen(handle, "wb") as entry:
                fcntl.flock(entry, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells it from one of a killed process
                entry.write(_digest(name, content) + content)
                entry.flush()
                temporary.replace(self.directory / name)
            self.remove_leftovers()
            self._prune()
        except OSError:
            if temporary is not None and temporary.exists():
                temporary.unlink()

    def entries(self) -> List[Path]:
        """Return the entries, the least recently used first. Other files in the directory are none."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.directory.iterdir() if self.directory is not None else ():
                status = path.lstat()
                is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
                if ENTRY.fullmatch(path.name) and is_ours:
                    found.append((status.st_mtime, path))
        return [path for _, path in sorted(found)]

    def leftovers(self) -> List[Path]:
        """Return the entries that processes were writing when they were killed."""
        if self.directory is None or not self.directory.is_dir():
            return []
        return [path for path in self.directory.glob(f"{NEW}*") if self._is_abandoned(path)]

    def remove_leftovers(self) -> None:
        """Remove what killed processes have left."""
        for path in self.leftovers():
            with contextlib.suppress(OSError):
                path.unlink()

    @staticmethod
    def _is_abandoned(path: Path) -> bool:
        try:
            descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(descriptor).st_uid == os.getuid()
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def _own(self, directory: Optional[Path]) -> Optional[Path]:
        """Return the part of the directory that is this user's: all of it, or a directory inside where it
        belongs to another user; None where that is another user's, too."""
        try:
            if directory is None or directory.stat().st_uid == os.getuid():
                return directory
            shared, directory = directory, directory / f"user-{os.getuid()}"
            directory.mkdir(mode=0o700, exist_ok=True)
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                raise PermissionError
        except FileNotFoundError:  # it is made when something is kept
            return directory
        except OSError:
            self.note = (
                f"The cache {directory} belongs to another user and is not used: name one of your own in "
                "MICROTVM_CACHE_DIR."
            )
            return None
        self.note = f"The cache {shared} belongs to another user: yours is {directory}."
        return directory

    def _foreign(self) -> str:
        return (
            f"Entries of another user in the cache {self.directory} are not used: name a directory of your "
            "own in MICROTVM_CACHE_DIR."
        )

    def _read(self, path: Path, name: str) -> Optional[bytes]:
        """Return the content of an entry of this user; None for what is none. Raises OSError."""
        descriptor = open_regular(path)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.getuid():
                self.note = self._foreign()
                return None
            if status.st_size > MAX_ENTRY_BYTES + DIGEST_BYTES:
                return None
            entry = file.read(MAX_ENTRY_BYTES + DIGEST_BYTES)
        digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
        if _digest(name, content) != digest:
            path.unlink()
            return None
        return content

    def _prune(self) -> None:
        for path in self.entries()[:-MAX_ENTRIES]:
            path.unlink()


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\0" + content).digest()


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
