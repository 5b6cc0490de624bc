# SPDX-License-Identifier: Apache-2.0
"""A content-addressed store of built libraries and firmwares, shared by all projects of one user.

The name of an entry contains a digest of everything that its bytes depend on (compiler, flags, sources). So
an entry never becomes stale and never changes. A process writes an entry to a temporary file in the same
directory and renames it; a second process writes identical bytes. Concurrent builds therefore need no lock.

Each user has a separate cache: other users cannot read its entries, and entries of other users are not used.
If the directory is owned by another user, entries are kept in its subdirectory `user-ID`.

Directory: $MICROTVM_CACHE_DIR, else $XDG_CACHE_HOME/microtvm-template, else ~/.cache/microtvm-template.
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

MAX_ENTRIES: Final = 512  # about 50 MB; the least recently used are deleted first
DIGEST_BYTES: Final = hashlib.sha256().digest_size
MAX_ENTRY_BYTES: Final = 128 << 20
# Names of entries: a built library, or a digest and a linked file. The directory may contain other files.
ENTRY: Final = re.compile(r"libmicrotvm_\w+-[0-9a-f]{40}\.a|[0-9a-f]{40}-\S+")
NEW: Final = "new-"  # prefix of a file that is being written


class Digest:
    """Digest of the parts of an entry. Each part includes its length, so "ab", "c" differs from "a", "bc"."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: str) -> None:
        """Add strings."""
        for part in parts:
            self._add_bytes(part.encode("utf-8", "surrogateescape"))

    def add_files(self, root: Path, files: Iterable[Path]) -> None:
        """Add names relative to root, and contents, of files in sorted order.

        Raises:
            OSError: A file cannot be read, is not a regular file, or is larger than MAX_CONTENT_BYTES.
        """
        for path in sorted(files):
            self.add(path.relative_to(root).as_posix())
            self._add_bytes(read_bytes(path, MAX_CONTENT_BYTES))

    def add_content(self, name: str, content: bytes) -> None:
        """Add the name and the content of a file that has already been read."""
        self.add(name)
        self._add_bytes(content)

    def key(self) -> str:
        """Return the digest of all added parts: 40 hexadecimal digits."""
        return self._hash.hexdigest()[:40]

    def _add_bytes(self, data: bytes) -> None:
        self._hash.update(len(data).to_bytes(8, "little"))
        self._hash.update(data)


class Cache:
    """The cached files of one user, by name.

    An entry is the SHA-256 of its name and of the file's content, followed by the content. A damaged or
    renamed entry is detected and deleted. Entries of other users are never used, because their content is
    executed. If the directory is unusable, the cache is empty.

    Attributes:
        note: Message about the directory for the user; empty if there is none.
        directory: Directory of the entries; None if it is unusable.
    """

    def __init__(self, directory: Optional[Path] = None) -> None:
        self.note = ""
        self.directory = self._own(directory if directory is not None else default_directory())

    def fetch(self, name: str, target: Path) -> bool:
        """Write the content of an entry to a file.

        Args:
            name: Name of the entry.
            target: File to write.

        Returns:
            False if there is no such entry.
        """
        content = self.get(name)
        if content is None:
            return False
        target.write_bytes(content)
        return True

    def get(self, name: str) -> Optional[bytes]:
        """Return the content of an entry; None if there is no such entry."""
        if self.directory is None:
            return None
        path = self.directory / name
        try:
            content = self._read(path, name)
            if content is not None:
                os.utime(path)  # _prune() deletes the least recently used entries
        except OSError as error:
            if isinstance(error, PermissionError):
                self.note = self._foreign()
            return None
        return content

    def publish(self, name: str, file: Path) -> None:
        """Store the content of a file under a name."""
        if self.directory is not None and file.stat().st_size <= MAX_ENTRY_BYTES:
            self.put(name, file.read_bytes())

    def put(self, name: str, content: bytes) -> None:
        """Store content under a name. A failure leaves the cache as it was."""
        if self.directory is None or len(content) > MAX_ENTRY_BYTES:
            return
        temporary = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=str(self.directory), prefix=NEW)
            temporary = Path(path)
            with os.fdopen(handle, "wb") as entry:
                fcntl.flock(entry, fcntl.LOCK_EX | fcntl.LOCK_NB)  # leftovers() lists only unlocked files
                entry.write(_digest(name, content) + content)
                entry.flush()
                temporary.replace(self.directory / name)
            self.remove_leftovers()
            self._prune()
        except OSError:
            if temporary is not None and temporary.exists():
                temporary.unlink()

    def entries(self) -> List[Path]:
        """Return the entries, the least recently used first, without other files in the directory."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.directory.iterdir() if self.directory is not None else ():
                status = path.lstat()
                is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
                if ENTRY.fullmatch(path.name) and is_ours:
                    found.append((status.st_mtime, path))
        return [path for _, path in sorted(found)]

    def leftovers(self) -> List[Path]:
        """Return the temporary files of processes that were killed while writing an entry."""
        if self.directory is None or not self.directory.is_dir():
            return []
        return [path for path in self.directory.glob(f"{NEW}*") if self._is_abandoned(path)]

    def remove_leftovers(self) -> None:
        """Remove the temporary files of killed processes."""
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
        """Return the part of the directory that this user owns.

        Returns:
            The directory, its subdirectory `user-ID` if another user owns the directory, or None if another
            user owns both.
        """
        try:
            if directory is None or directory.stat().st_uid == os.getuid():
                return directory
            shared, directory = directory, directory / f"user-{os.getuid()}"
            directory.mkdir(mode=0o700, exist_ok=True)
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                raise PermissionError
        except FileNotFoundError:  # publish() creates the directory
            return directory
        except OSError:
            self.note = (
                f"Cache {directory} is owned by another user and is not used. Set MICROTVM_CACHE_DIR to a "
                "directory that you own."
            )
            return None
        self.note = f"Cache {shared} is owned by another user. {directory} is used instead."
        return directory

    def _foreign(self) -> str:
        return (
            f"Cache {self.directory} has entries of another user, which are not used. Set "
            "MICROTVM_CACHE_DIR to a directory that you own."
        )

    def _read(self, path: Path, name: str) -> Optional[bytes]:
        """Return the content of an entry of this user; None if the entry is invalid.

        Raises:
            OSError: The entry cannot be read.
        """
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
    """Return the default directory of entries; None for a user without a home directory."""
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
