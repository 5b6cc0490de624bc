# SPDX-License-Identifier: Apache-2.0
"""Reads and unpacks tar files that nobody vouches for.

tarfile reads the headers; what may be written is decided here. Its extraction is not used: its filters are
missing from older interpreters. It also takes a tar that was cut between two members for a whole one and
believes any size, so both are checked here: what is accepted has regular files and directories, plain or
gzip, up to the two blocks of zeros that end a tar.

A tar is read once, checked whole, and only then written, so a bad last member leaves no trace of a good
first. Holding it in memory also means that what was checked is what is written, whatever happens to the file
meanwhile. Owners, modes and times that the tar carries are ignored.
"""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Final, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from runtime.host.errors import ArchiveError, reason_of
from runtime.host.system.regular_files import MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from tarfile import TarInfo

MAX_ENTRIES = 10_000
"""Most members of one tar. Archives with a copy of TVM's runtime inside hold about 300."""

MAX_NAME_BYTES = 1000
MAX_PART_BYTES = 255  # what Linux, macOS and Windows file systems agree on

_MAX_HEADER_BYTES = 8 * 1024  # of one member: a longest name in each of its three possible headers fits
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
    (re.compile(r"(?:\A|/)\.\.(?:/|\Z)"), "leads out of the archive with '..'"),
)
_DIRECTORY_NAME = re.compile(r"(?:\A|/)\.?\Z")


class Kind(NamedTuple):
    """What a tar is read as, in the words of its messages.

    make_again: what to do when the file is no such thing. copy_again: when it is damaged. refused: when it
    has or does what none should.
    """

    name: str
    make_again: str
    copy_again: str
    refused: str


MODEL_ARCHIVE: Final = Kind(
    "model archive",
    "Export the model again with export_model_library_format and pass the file as it was written.",
    "Copy or download the archive again; if that does not help, export the model again.",
    "Do not use this file: no export of a model writes such a thing. Export the model again.",
)
EXTRA_FILES: Final = Kind(
    "tar of extra files",
    "Make it again from plain files and directories: tar -cf extra.tar -C DIRECTORY .",
    "Copy or download the tar again; if that does not help, make it again.",
    "Make the tar again, from plain files and directories alone and with names relative to their directory.",
)


class PackedTar(NamedTuple):
    """The content of a tar as its file has it, plain or gzip, and where that was read."""

    path: Path
    data: bytes


_Place = Tuple[int, int]  # first byte in the tar, byte after the last


class TarFiles:
    """The regular files of one tar, by name, in the order in which the tar holds them."""

    def __init__(self, path: Path, data: bytes, places: Mapping[str, _Place]) -> None:
        self.path = path
        self._data = data
        self._places = places

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def names(self) -> List[str]:
        """Names with forward slashes and without a leading "./"."""
        return list(self._places)

    def size(self, name: str) -> int:
        """Bytes of one file."""
        start, end = self._places[name]
        return end - start

    def read(self, name: str, start: int = 0, limit: Optional[int] = None) -> bytes:
        """At most `limit` bytes of one file from its byte `start` on; all of the rest without a limit."""
        first, end = self._places[name]
        stop = end if limit is None else min(end, first + start + limit)
        return self._data[first + start : stop]

    def find(self, name: str, pattern: bytes) -> int:
        """Where `pattern` first is in one file, or -1; nothing is copied."""
        start, end = self._places[name]
        found = self._data.find(pattern, start, end)
        return found if found < 0 else found - start


def read_tar(path: Union[str, os.PathLike[str]], kind: Kind = MODEL_ARCHIVE) -> TarFiles:
    """Read and check a whole tar, plain or gzip, whatever its name ends in.

    Raises ArchiveError, which names the member at fault where there is one.
    """
    return open_packed(read_packed(path, kind), kind)


def read_packed(path: Union[str, os.PathLike[str]], kind: Kind = MODEL_ARCHIVE) -> PackedTar:
    """Read the file of a tar, and check nothing but its kind and size. Raises ArchiveError."""
    where = Path(path)
    return PackedTar(where, _read_file(where, kind))


def open_packed(packed: PackedTar, kind: Kind = MODEL_ARCHIVE) -> TarFiles:
    """Check a whole tar whose content has been read. Raises ArchiveError."""
    where, data = packed
    if data[:2] == _GZIP_MAGIC:
        data = _gunzip(where, kind, data)
    return TarFiles(where, data, _find_files(where, kind, data))


def write_files(files: TarFiles, names: Iterable[str], directory: Union[str, os.PathLike[str]]) -> None:
    """Write the named files below `directory`, which must be missing or empty. All of them or nothing.

    They are first written to a new directory beside it, which then takes its place.
    Raises ArchiveError when the disk refuses.
    """
    from tempfile import TemporaryDirectory

    target = Path.cwd() / directory
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise ArchiveError(
                f"{files.path} cannot be unpacked: {target} exists and is not an empty directory.",
                "Remove it, or name a directory that does not exist yet.",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name[:80]}.", dir=target.parent) as scratch:
            whole = Path(scratch) / "whole"  # its mode is what the user asks for; that of scratch is 0700
            _fill(files, names, whole)
            if target.exists():
                target.rmdir()  # empty: checked above, and rmdir refuses anything else
            whole.rename(target)
    except OSError as error:
        raise ArchiveError(
            f"{files.path} cannot be unpacked to {target}: {reason_of(error)}.",
            "Check that the directory can be written and that its disk has room.",
        ) from error


def _fill(files: TarFiles, names: Iterable[str], directory: Path) -> None:
    directory.mkdir()
    for name in names:
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        # "x": where the file system takes two names for one (letter case), the second must not win silently.
        with place.open("xb") as file:
            file.write(files.read(name))


def check_file(path: Path, kind: Kind = MODEL_ARCHIVE) -> None:
    """Raise ArchiveError for what is no file of a size that is read: a directory, a pipe, a device. Nothing
    of it is read."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = f"a directory, not a {kind.name}" if path.is_dir() else "not a regular file"
        raise ArchiveError(f"{path} is {what}.", "Pass the .tar file itself.")
    if status.st_size > MAX_CONTENT_BYTES:
        raise ArchiveError(f"{path} is larger than {_mebibytes(MAX_CONTENT_BYTES)}.", kind.make_again)


def _read_file(path: Path, kind: Kind) -> bytes:
    """The bytes of the file. Pipes and devices are refused before they are opened: they may block."""
    try:
        check_file(path, kind)
        with path.open("rb") as file:
            data = file.read(MAX_CONTENT_BYTES)
    except FileNotFoundError as error:
        raise ArchiveError(f"There is no {kind.name} {path}.", "Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ArchiveError(
            f"The {kind.name} {path} cannot be read: {reason}.", "Check its path and its permissions."
        ) from error
    if not data:
        raise ArchiveError(f"{path} is empty.", kind.make_again)
    return data


def _mebibytes(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"


def _gunzip(path: Path, kind: Kind, data: bytes) -> bytes:
    """Decompress, and stop as soon as the result is larger than any tar may be."""
    import gzip
    import zlib

    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(MAX_CONTENT_BYTES + 1)  # reads a good file to its end, where its checksum is
    except EOFError as error:
        raise ArchiveError(f"{path} is cut short: its gzip data has no end.", kind.copy_again) from error
    except (OSError, zlib.error) as error:
        raise ArchiveError(f"{path} is a damaged gzip file: {error}.", kind.copy_again) from error
    if len(plain) > MAX_CONTENT_BYTES:
        raise ArchiveError(f"{path} decompresses to more than {_mebibytes(MAX_CONTENT_BYTES)}.", kind.refused)
    return plain


class _Headers(io.BytesIO):
    """A tar of which tarfile reads headers and nothing else; endless ones would fill memory or take hours."""

    budget = _MAX_HEADER_BYTES

    def read(self, size: Optional[int] = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.budget:
            raise ValueError(f"its headers take more than {_MAX_HEADER_BYTES // 1024} KiB")
        self.budget -= size
        return super().read(size)


def _find_files(path: Path, kind: Kind, data: bytes) -> Dict[str, _Place]:
    """Where each regular file of a tar lies. Raises ArchiveError unless every member is good."""
    import tarfile  # takes as long as the walk itself

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
                    raise ArchiveError(f"{path} is cut short inside member {member.name!r}.", kind.copy_again)
                last = member.name
                headers.budget = _MAX_HEADER_BYTES
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise _broken(path, kind, data, headers.tell(), last, str(error)) from error
    # tarfile takes the end of the data, and a damaged header, for the end of the tar.
    if data[tar.offset : tar.offset + _BLOCK] != bytes(_BLOCK):
        reason = "the next header has a wrong checksum or number"
        raise _broken(path, kind, data, headers.tell(), last, reason)
    files = {name: place for name, place in places.items() if place}
    if not files:
        raise ArchiveError(f"{path} holds no file.", kind.make_again)
    return files


def _broken(path: Path, kind: Kind, data: bytes, read: int, last: str, reason: str) -> ArchiveError:
    """What to say when tarfile has read so many bytes, and found no member after the one named `last`."""
    if not last and data[257:262] != b"ustar":
        other = next((f"{other}, " for magic, other in _OTHER_KINDS.items() if data.startswith(magic)), "")
        return ArchiveError(f"{path} is {other}not a tar file.", kind.make_again)
    after = f" after member {last!r}" if last else ""
    if read >= len(data):
        return ArchiveError(f"{path} is cut short{after}: a tar file's end mark is missing.", kind.copy_again)
    return ArchiveError(f"{path} is damaged{after}: {reason}.", kind.copy_again)


def _fault_of(member: TarInfo, first_type: bytes, for_all: Mapping[str, str]) -> str:
    """What no member may have or do, if anything.

    first_type: of the first of its headers. for_all: what global headers say about all members.
    """
    for pattern, fault in _REFUSED_NAMES:
        if pattern.search(member.name):
            return fault
    name = member.name.encode()
    if len(name) > MAX_NAME_BYTES or max(map(len, name.split(b"/"))) > MAX_PART_BYTES:
        return "has a name that is too long"
    odd = [*for_all, *(key for key in member.pax_headers if key.startswith("GNU.sparse"))]
    if odd:
        return f"sets {odd[0]!r}, which is not accepted"
    if not (member.isdir() or member.isreg()) or member.issparse():
        kind = _REFUSED_TYPES.get(member.type, f"of the unknown type {member.type!r}")
        return f"is {kind}; only files and directories are accepted"
    if member.isreg() and _DIRECTORY_NAME.search(member.name):
        return "is a file with the name of a directory"
    if first_type == b"x" and not member.pax_headers:  # some versions of tarfile ignore what they cannot read
        return "is damaged: its extended header cannot be read"
    if member.size < 0:
        return "is damaged: it declares a negative size"
    if member.size > MAX_CONTENT_BYTES:
        return f"declares {member.size:,} bytes, more than {_mebibytes(MAX_CONTENT_BYTES)}"
    return ""


def _claim(member: TarInfo, places: Dict[str, Optional[_Place]]) -> str:
    """Note the place of a file, and None for each directory. Returns what is in the way, if anything."""
    name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
    below = f"{name}/" if member.isdir() else name
    for directory in (below[:at] for at, letter in enumerate(below) if letter == "/"):
        if places.setdefault(directory, None):
            return f"is below {directory!r}, which is a file"
    if member.isreg():
        if name in places:
            return f"puts {name!r} there twice" if places[name] else "is both a file and a directory"
        places[name] = (member.offset_data, member.offset_data + member.size)
    return ""
