# SPDX-License-Identifier: Apache-2.0
"""Reader of untrusted tar files.

tarfile reads only the headers, and this module decides which files are written. It does not use tarfile's
extraction, because older interpreters lack its filters. tarfile also accepts a tar that was cut between two
members, and any declared size, so this module checks both. It accepts regular files and directories, plain or
gzip, up to the two blocks of zeros that end a tar.

The whole tar is read into memory once and checked before any file is written. So a bad last member leaves no
trace of a good first one, and a later change of the file has no effect. Owners, modes and times in the tar
are ignored.
"""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Final, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from runtime.host.archive.other_models import other_model
from runtime.host.errors import ArchiveError, reason_of
from runtime.host.system.regular_files import MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from tarfile import TarInfo

MAX_ENTRIES = 10_000
"""Most members of one tar. Archives that include a copy of TVM's runtime have about 300."""

MAX_NAME_BYTES = 1000
MAX_PART_BYTES = 255  # the limit of file systems on Linux, macOS and Windows

_MAX_HEADER_BYTES = 8 * 1024  # per member: enough for the longest name in each of its three headers
_BLOCK = 512
_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_KINDS = {b"PK\x03\x04": "a zip file", b"\xfd7zXZ": "an xz file", b"BZh": "a bzip2 file"}
_REFUSED_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}
_REFUSED_NAMES = (
    (re.compile(r"[\x00-\x1f\x7f]"), "has a control character in its name"),
    (re.compile(r"[\ud800-\udfff]"), "has a name that is not UTF-8"),
    (re.compile(r"\A/"), "has an absolute path"),
    (re.compile(r"[\\:]"), "has a backslash or a colon in its name"),
    (re.compile(r"(?:\A|/)\.\.(?:/|\Z)"), "points outside of the archive with '..'"),
)
_DIRECTORY_NAME = re.compile(r"(?:\A|/)\.?\Z")


class Kind(NamedTuple):
    """The kind of a tar, with the texts for its messages.

    Attributes:
        name: Noun phrase for the tar.
        make_again: Next step if the file is not of this kind.
        copy_again: Next step if the file is damaged.
        refused: Next step if the file contains something forbidden.
    """

    name: str
    make_again: str
    copy_again: str
    refused: str


MODEL_ARCHIVE: Final = Kind(
    "model archive",
    "Export the model again with export_model_library_format, and pass its output file unchanged.",
    "Copy or download the archive again. If the copy is damaged too, export the model again.",
    "Do not use this file, because TVM does not write such archives. Export the model again.",
)
EXTRA_FILES: Final = Kind(
    "tar of extra files",
    "Create the tar again from regular files and directories: tar -cf extra.tar -C DIRECTORY .",
    "Copy or download the tar again. If the copy is damaged too, create the tar again.",
    "Create the tar again from regular files and directories only, with names relative to their directory.",
)


class PackedTar(NamedTuple):
    """Content of a tar file, plain or gzip.

    Attributes:
        path: Path of the file, for messages.
        data: Bytes of the file.
    """

    path: Path
    data: bytes


_Place = Tuple[int, int]  # first byte in the tar, byte after the last


class TarFiles:
    """The regular files of one tar by name, in the order of the tar."""

    def __init__(self, path: Path, data: bytes, places: Mapping[str, _Place]) -> None:
        self.path = path
        self._data = data
        self._places = places

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def names(self) -> List[str]:
        """Return the names, with forward slashes and without a leading "./"."""
        return list(self._places)

    def size(self, name: str) -> int:
        """Return the bytes of one file."""
        start, end = self._places[name]
        return end - start

    def read(self, name: str, start: int = 0, limit: Optional[int] = None) -> bytes:
        """Return a part of one file.

        Args:
            name: Name of the file.
            start: First byte.
            limit: Most bytes to return; None for the rest of the file.
        """
        first, end = self._places[name]
        stop = end if limit is None else min(end, first + start + limit)
        return self._data[first + start : stop]

    def find(self, name: str, pattern: bytes) -> int:
        """Return the first position of `pattern` in one file, or -1; copies nothing."""
        start, end = self._places[name]
        found = self._data.find(pattern, start, end)
        return found if found < 0 else found - start


def read_tar(path: Union[str, os.PathLike[str]], kind: Kind = MODEL_ARCHIVE) -> TarFiles:
    """Read and check a whole tar, plain or gzip; its file name does not matter.

    Raises:
        ArchiveError: The file is not a tar, or is damaged or unsafe. The message names the invalid member.
    """
    return open_packed(read_packed(path, kind), kind)


def read_packed(path: Union[str, os.PathLike[str]], kind: Kind = MODEL_ARCHIVE) -> PackedTar:
    """Read the file of a tar, and check only that it is a regular file of an accepted size.

    Raises:
        ArchiveError: The file cannot be read, is empty or too large.
    """
    where = Path(path)
    return PackedTar(where, _read_file(where, kind))


def open_packed(packed: PackedTar, kind: Kind = MODEL_ARCHIVE) -> TarFiles:
    """Check a whole tar that has been read.

    Raises:
        ArchiveError: The content is not a tar, or is damaged or unsafe.
    """
    where, data = packed
    if data[:2] == _GZIP_MAGIC:
        data = _gunzip(where, kind, data)
    return TarFiles(where, data, _find_files(where, kind, data))


def write_files(files: TarFiles, names: Iterable[str], directory: Union[str, os.PathLike[str]]) -> None:
    """Write the named files below a directory: either all of them or none.

    The files are written to a new directory in the same parent, which is then renamed.

    Args:
        files: Files of a tar.
        names: Names of the files to write.
        directory: Target, which must be missing or empty.

    Raises:
        ArchiveError: The target is not empty, or a file cannot be written.
    """
    from tempfile import TemporaryDirectory

    target = Path.cwd() / directory
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise ArchiveError(
                f"{files.path} cannot be unpacked: {target} exists and is not an empty directory.",
                f"Remove {target}, or name a directory that does not exist yet.",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name[:80]}.", dir=target.parent) as scratch:
            whole = Path(scratch) / "whole"  # has the mode of the user's umask; scratch has mode 0700
            _fill(files, names, whole)
            if target.exists():
                target.rmdir()  # empty: checked above, and rmdir refuses anything else
            whole.rename(target)
    except OSError as error:
        raise ArchiveError(
            f"{files.path} cannot be unpacked to {target}: {reason_of(error)}.",
            "Check that the directory is writable and that its disk is not full.",
        ) from error


def _fill(files: TarFiles, names: Iterable[str], directory: Path) -> None:
    directory.mkdir()
    for name in names:
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        # "x": on a file system that ignores letter case, a second name must not overwrite the first silently.
        with place.open("xb") as file:
            file.write(files.read(name))


def check_file(path: Path, kind: Kind = MODEL_ARCHIVE) -> None:
    """Raise ArchiveError for a path that is not a regular file of an accepted size; reads nothing.

    Directories, pipes and devices are refused.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = f"a directory, not a {kind.name}" if path.is_dir() else "not a regular file"
        raise ArchiveError(f"{path} is {what}.", "Pass the path of the .tar file.")
    if status.st_size > MAX_CONTENT_BYTES:
        raise ArchiveError(f"{path} is larger than {_mebibytes(MAX_CONTENT_BYTES)}.", kind.make_again)


def _read_file(path: Path, kind: Kind) -> bytes:
    """Return the bytes of the file. Pipes and devices are refused before opening: they may block."""
    try:
        check_file(path, kind)
        with path.open("rb") as file:
            data = file.read(MAX_CONTENT_BYTES)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} does not exist; expected a {kind.name}.", "Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ArchiveError(
            f"{path} cannot be read: {reason}.", f"Check the path and the permissions of the {kind.name}."
        ) from error
    if not data:
        raise ArchiveError(f"{path} is empty.", kind.make_again)
    return data


def _mebibytes(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"


def _gunzip(path: Path, kind: Kind, data: bytes) -> bytes:
    """Decompress, and stop when the result is larger than a tar may be."""
    import gzip
    import zlib

    try:
        with gzip.open(io.BytesIO(data)) as file:
            # One byte more than the limit: a valid file is read to its end, which verifies its checksum.
            plain = file.read(MAX_CONTENT_BYTES + 1)
    except EOFError as error:
        raise ArchiveError(
            f"{path} is truncated: the end of its gzip data is missing.", kind.copy_again
        ) from error
    except (OSError, zlib.error) as error:
        raise ArchiveError(f"{path} is a damaged gzip file: {error}.", kind.copy_again) from error
    if len(plain) > MAX_CONTENT_BYTES:
        raise ArchiveError(f"{path} decompresses to more than {_mebibytes(MAX_CONTENT_BYTES)}.", kind.refused)
    return plain


class _Headers(io.BytesIO):
    """A tar of which tarfile reads only the headers.

    The number of bytes per member is limited: endless headers would fill the memory or take hours.
    """

    budget = _MAX_HEADER_BYTES

    def read(self, size: Optional[int] = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.budget:
            raise ValueError(f"the headers of a member take more than {_MAX_HEADER_BYTES // 1024} KiB")
        self.budget -= size
        return super().read(size)


def _find_files(path: Path, kind: Kind, data: bytes) -> Dict[str, _Place]:
    """Return the place of each regular file. Raise ArchiveError unless every member is accepted."""
    import tarfile  # this import takes as long as the loop below

    headers = _Headers(data)
    places: Dict[str, Optional[_Place]] = {}
    last = ""
    try:
        with tarfile.open(fileobj=headers, mode="r:", encoding="utf-8") as tar:
            for count, member in enumerate(tar, 1):
                first_type = data[member.offset + 156 : member.offset + 157]
                fault = _fault_of(member, first_type, tar.pax_headers) or _claim(member, places)
                if fault:
                    name = member.name[:120]
                    raise ArchiveError(f"{path} has a member {name!r} that {fault}.", kind.refused)
                if max(count, len(places)) > MAX_ENTRIES:
                    raise ArchiveError(f"{path} has more than {MAX_ENTRIES:,} members.", kind.refused)
                if tar.offset > len(data):
                    raise ArchiveError(f"{path} is truncated inside member {member.name!r}.", kind.copy_again)
                last = member.name
                headers.budget = _MAX_HEADER_BYTES
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise _broken(path, kind, data, headers.tell(), last, str(error)) from error
    # tarfile treats the end of the data, and also a damaged header, as the end of the tar.
    if data[tar.offset : tar.offset + _BLOCK] != bytes(_BLOCK):
        reason = "the next header has a wrong checksum or number"
        raise _broken(path, kind, data, headers.tell(), last, reason)
    files = {name: place for name, place in places.items() if place}
    if not files:
        raise ArchiveError(f"{path} contains no files.", kind.make_again)
    return files


def _broken(path: Path, kind: Kind, data: bytes, read: int, last: str, reason: str) -> ArchiveError:
    """Return the error for a tar in which tarfile found no further member.

    Args:
        path: Path of the tar.
        kind: Kind of the tar.
        data: Decompressed bytes of the tar.
        read: Number of bytes that tarfile has read.
        last: Name of the last member; empty if there was none.
        reason: Reason from tarfile.
    """
    if not last and data[257:262] != b"ustar":
        model = other_model(path)
        if model is not None and kind is MODEL_ARCHIVE:
            return ArchiveError(f"{path} is {model.kind}, not a model archive.", model.next_step)
        other = next((f"{other}, " for magic, other in _OTHER_KINDS.items() if data.startswith(magic)), "")
        return ArchiveError(f"{path} is {other}not a tar file.", kind.make_again)
    after = f" after member {last!r}" if last else ""
    if read >= len(data):
        return ArchiveError(
            f"{path} is truncated{after}: the blocks that end a tar are missing.", kind.copy_again
        )
    return ArchiveError(f"{path} is damaged{after}: {reason}.", kind.copy_again)


def _fault_of(member: TarInfo, first_type: bytes, for_all: Mapping[str, str]) -> str:
    """Return the reason to refuse a member, as the end of a sentence; an empty string if there is none.

    Args:
        member: Member of the tar.
        first_type: Type of the first of its headers.
        for_all: Values that global headers set for all members.
    """
    for pattern, fault in _REFUSED_NAMES:
        if pattern.search(member.name):
            return fault
    name = member.name.encode()
    if len(name) > MAX_NAME_BYTES or max(map(len, name.split(b"/"))) > MAX_PART_BYTES:
        return f"has a name that is too long: at most {MAX_NAME_BYTES} bytes, {MAX_PART_BYTES} per directory"
    odd = [*for_all, *(key for key in member.pax_headers if key.startswith("GNU.sparse"))]
    if odd:
        return f"sets {odd[0]!r} in an extended header, which is not accepted"
    if not (member.isdir() or member.isreg()) or member.issparse():
        kind = _REFUSED_TYPES.get(member.type, f"of the unknown type {member.type!r}")
        return f"is {kind}; only files and directories are accepted"
    if member.isreg() and _DIRECTORY_NAME.search(member.name):
        return "is a file with the name of a directory"
    if first_type == b"x" and not member.pax_headers:  # some versions of tarfile ignore invalid headers
        return "is damaged: its extended header cannot be read"
    if member.size < 0:
        return "is damaged: it declares a negative size"
    if member.size > MAX_CONTENT_BYTES:
        return f"declares {member.size:,} bytes, more than {_mebibytes(MAX_CONTENT_BYTES)}"
    return ""


def _claim(member: TarInfo, places: Dict[str, Optional[_Place]]) -> str:
    """Record the place of a file, and None for each directory.

    Returns:
        The reason why the name conflicts with another member; an empty string if it does not.
    """
    name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
    below = f"{name}/" if member.isdir() else name
    for directory in (below[:at] for at, letter in enumerate(below) if letter == "/"):
        if places.setdefault(directory, None):
            return f"is below {directory!r}, which is a file"
    if member.isreg():
        if name in places:
            return f"is a duplicate of {name!r}" if places[name] else "is both a file and a directory"
        places[name] = (member.offset_data, member.offset_data + member.size)
    return ""
