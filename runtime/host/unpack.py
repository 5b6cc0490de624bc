# SPDX-License-Identifier: Apache-2.0
"""Reads and unpacks tar files that nobody vouches for.

The standard tarfile module is not used: its extraction filters are missing from older interpreters, it takes
a file that was cut between two members for a whole one, and it trusts sizes that the file declares about
itself. What a model archive needs of tar is small: regular files and directories in the ustar, pax or GNU
form, plain or gzip. Everything else is refused by name.

A tar is read once, checked whole, and only then written, so a bad last member leaves no trace of a good
first. Holding it in memory also means that what was checked is what is written, whatever happens to the file
meanwhile. Owners, modes and times that the tar carries are ignored.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, NoReturn, Optional, Set, Tuple, Union

from runtime.host.errors import ArchiveError

MAX_TOTAL_BYTES = 256 * 1024 * 1024
"""Most bytes of one tar, as a file and once decompressed. Real model archives hold a few megabytes."""

MAX_ENTRIES = 10_000
"""Most members of one tar. Archives with a copy of TVM's runtime inside hold about 300."""

MAX_NAME_BYTES = 1000
MAX_PART_BYTES = 255  # what Linux, macOS and Windows file systems agree on

_BLOCK = 512
_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_KINDS = (
    (b"PK\x03\x04", "a zip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"(\xb5/\xfd", "a zstd file"),
    (b"\x7fELF", "an ELF file"),
)
_FILE_TYPES = (b"0", b"\0", b"7")
_DIRECTORY_TYPE = b"5"
_REFUSED_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"K": "a link with a long target",
    b"S": "a sparse file",
}

_EXPORT_AGAIN = "Export the model again with export_model_library_format and pass the file as it was written."
_COPY_AGAIN = "Copy or download the archive again; if that does not help, export the model again."
_DO_NOT_TRUST = "Do not use this file: no export of a model writes such a thing. Export the model again."


class TarFiles:
    """The regular files of one tar, by name, in the order in which the tar holds them."""

    def __init__(self, path: Path, data: bytes, places: Dict[str, Tuple[int, int]]) -> None:
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


def read_tar(path: Union[str, os.PathLike[str]]) -> TarFiles:
    """Read and check a whole tar, plain or gzip, whatever its name ends in.

    Raises ArchiveError, which names the member at fault where there is one.
    """
    where = Path(path)
    data = _read_file(where)
    if data[:2] == _GZIP_MAGIC:
        data = _gunzip(where, data)
    return TarFiles(where, data, _Index(where, data).build())


def write_files(files: TarFiles, names: Iterable[str], directory: Union[str, os.PathLike[str]]) -> None:
    """Write the named files below `directory`, which must be missing or empty. All of them or nothing.

    They are first written to a new sibling directory, which then takes the place of `directory`.
    Raises ArchiveError when the disk refuses.
    """
    target = Path.cwd() / directory
    scratch = target.parent / f".{target.name[:80]}.{os.urandom(6).hex()}.part"
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise ArchiveError(
                f"{files.path} cannot be unpacked: {target} exists and is not an empty directory.",
                "Remove it, or name a directory that does not exist yet.",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir()
        _fill(files, names, scratch)
        if target.exists():
            target.rmdir()  # empty: checked above, and rmdir refuses anything else
        scratch.rename(target)
    except OSError as error:
        raise ArchiveError(
            f"{files.path} cannot be unpacked to {target}: {_reason(error)}.",
            "Check that the directory can be written and that its disk has room.",
        ) from error
    finally:
        if scratch.exists():
            import shutil

            shutil.rmtree(scratch, ignore_errors=True)


def unpack_tar(path: Union[str, os.PathLike[str]], directory: Union[str, os.PathLike[str]]) -> None:
    """Unpack a whole tar under the rules of read_tar and write_files."""
    files = read_tar(path)
    write_files(files, files.names(), directory)


def _fill(files: TarFiles, names: Iterable[str], directory: Path) -> None:
    made: Set[str] = {""}
    for name in names:
        parent = name.rpartition("/")[0]
        if parent not in made:
            (directory / parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        # "x": where the file system takes two names for one (letter case), the second must not win silently.
        with (directory / name).open("xb") as file:
            file.write(files.read(name))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _read_file(path: Path) -> bytes:
    """The bytes of the archive file. Pipes and devices are refused before they are opened: they may block."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ArchiveError(f"{path} is a directory, not a model archive.", "Pass the .tar file itself.")
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{path} is not a regular file.", "Pass the .tar file itself.")
        if status.st_size > MAX_TOTAL_BYTES:
            raise ArchiveError(f"{path} is larger than {_mebibytes(MAX_TOTAL_BYTES)}.", _EXPORT_AGAIN)
        with path.open("rb") as file:
            data = file.read(MAX_TOTAL_BYTES)
    except FileNotFoundError as error:
        raise ArchiveError(f"There is no model archive {path}.", "Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise ArchiveError(
            f"The model archive {path} cannot be read: {reason}.", "Check its path and its permissions."
        ) from error
    if not data:
        raise ArchiveError(f"{path} is empty.", _EXPORT_AGAIN)
    return data


def _mebibytes(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"


def _gunzip(path: Path, data: bytes) -> bytes:
    """Decompress, and stop as soon as the result is larger than any model archive."""
    import zlib

    stream = zlib.decompressobj(wbits=31)  # 31: a gzip header, and its checksum is verified
    out = bytearray()
    chunk = 64 * 1024
    try:
        for start in range(0, len(data), chunk):
            piece = data[start : start + chunk]
            while piece and not stream.eof:
                out += stream.decompress(piece, MAX_TOTAL_BYTES + 1 - len(out))
                if len(out) > MAX_TOTAL_BYTES:
                    raise ArchiveError(
                        f"{path} decompresses to more than {_mebibytes(MAX_TOTAL_BYTES)}.", _DO_NOT_TRUST
                    )
                piece = stream.unconsumed_tail
            if stream.eof:
                return bytes(out)
    except zlib.error as error:
        raise ArchiveError(f"{path} is a damaged gzip file: {error}.", _COPY_AGAIN) from error
    raise ArchiveError(f"{path} is cut short: its gzip data has no end.", _COPY_AGAIN)


class _Header(NamedTuple):
    """One 512-byte header block of a tar."""

    name: str
    kind: bytes
    size: int


class _Index:
    """Walks over the headers of a tar and notes where each regular file lies.

    The layout of a header is that of POSIX pax (IEEE Std 1003.1): name 0..100, size 124..136 in octal,
    checksum 148..156, type 156, magic 257..263, prefix 345..500; data follow in blocks of 512 bytes, and two
    blocks of zeros end the tar.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self._at = 0
        self._last = ""
        self._files: Dict[str, Tuple[int, int]] = {}
        self._directories: Set[str] = set()

    def build(self) -> Dict[str, Tuple[int, int]]:
        """Name -> (first byte, byte after the last) of each regular file."""
        count = 0
        overrides: Dict[str, str] = {}
        while True:
            block = self._take_block()
            if block.count(0) == _BLOCK:
                break
            count += 1
            if count > MAX_ENTRIES:
                self._refuse(f"has more than {MAX_ENTRIES:,} members", _DO_NOT_TRUST)
            header = self._parse(block, overrides)
            if header.kind in (b"x", b"g", b"L"):
                self._extend(header, overrides)
                continue
            overrides = {}
            self._add(header)
        if not self._files:
            self._refuse("holds no file", _EXPORT_AGAIN)
        return self._files

    def _take_block(self) -> bytes:
        """The next header. At least one block of zeros must end a tar: without it the tar was cut."""
        block = self._data[self._at : self._at + _BLOCK]
        if self._at == 0 and not self._looks_like_tar(block):
            self._refuse_other_kind(block)
        if len(block) < _BLOCK:
            after = f" after member {self._last!r}" if self._last else ""
            self._refuse(f"is cut short{after}: the end mark of a tar file is missing", _COPY_AGAIN)
        self._at += _BLOCK
        return block

    @staticmethod
    def _looks_like_tar(block: bytes) -> bool:
        return block[257:262] == b"ustar" or block.count(0) == len(block) or _checksum_holds(block)

    def _refuse_other_kind(self, block: bytes) -> NoReturn:
        kind = next((kind for magic, kind in _OTHER_KINDS if block.startswith(magic)), "")
        what = f"is {kind}, not a tar file" if kind else "is not a tar file"
        self._refuse(what, _EXPORT_AGAIN)

    def _refuse(self, what: str, next_step: str) -> NoReturn:
        raise ArchiveError(f"{self._path} {what}.", next_step)

    def _refuse_member(self, name: str, what: str, next_step: str = _DO_NOT_TRUST) -> NoReturn:
        shown = name if len(name) <= 120 else name[:117] + "..."
        self._refuse(f"has a member {shown!r} that {what}", next_step)

    def _parse(self, block: bytes, overrides: Dict[str, str]) -> _Header:
        if not _checksum_holds(block):
            after = f" after member {self._last!r}" if self._last else ""
            self._refuse(f"is damaged{after}: the checksum of a header is wrong", _COPY_AGAIN)
        kind = block[156:157]
        raw = block[:100].split(b"\0", 1)[0]
        prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
        name = self._text(prefix + b"/" + raw if prefix else raw)
        size = _number(block[124:136])
        if kind not in (b"x", b"g", b"L"):
            name = overrides.get("path", name)
            if "size" in overrides:
                size = _decimal(overrides["size"])
        if size < 0:
            self._refuse_member(name, "declares a size that is not a number")
        if size > MAX_TOTAL_BYTES:
            self._refuse_member(name, f"declares {size:,} bytes, more than {_mebibytes(MAX_TOTAL_BYTES)}")
        return _Header(name, kind, size)

    def _take_data(self, name: str, size: int) -> Tuple[int, int]:
        start = self._at
        end = start + size
        if end > len(self._data):
            self._refuse(f"is cut short inside member {name!r}", _COPY_AGAIN)
        self._at = end + -size % _BLOCK
        return start, end

    def _extend(self, header: _Header, overrides: Dict[str, str]) -> None:
        """Read a header that speaks of the next member: pax records ("x"), or a long GNU name ("L")."""
        start, end = self._take_data(header.name, header.size)
        if end - start > 64 * 1024:
            self._refuse_member(header.name, "is an extended header of more than 64 KiB")
        payload = self._data[start:end]
        if header.kind == b"L":
            overrides["path"] = self._text(payload.split(b"\0", 1)[0])
            return
        records = _pax_records(payload)
        if records is None:
            self._refuse_member(header.name, "is a damaged extended header", _COPY_AGAIN)
        for key, value in records:
            if key.startswith("GNU.sparse") or (header.kind == b"g" and key in ("path", "size")):
                self._refuse_member(header.name, f"sets {key!r}, which a model export never does")
            if key in ("path", "size"):
                overrides[key] = value

    def _text(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse_member(repr(raw)[2:-1], "has a name that is not UTF-8")

    def _add(self, header: _Header) -> None:
        name = self._safe_name(header.name)
        self._last = name or header.name
        is_directory = header.kind == _DIRECTORY_TYPE or (header.kind == b"\0" and header.name.endswith("/"))
        if is_directory:
            self._take_data(name, header.size)
            if name:
                self._claim_directory(name, name)
            return
        if header.kind not in _FILE_TYPES:
            kind = _REFUSED_TYPES.get(header.kind, f"of the unknown type {header.kind!r}")
            self._refuse_member(header.name, f"is {kind}; only files and directories are accepted")
        if not name or header.name.endswith("/"):
            self._refuse_member(header.name, "is a file with the name of a directory")
        if name in self._files:
            self._refuse_member(name, "is there twice")
        if name in self._directories:
            self._refuse_member(name, "is both a file and a directory")
        self._claim_directory(name.rpartition("/")[0], name)
        self._files[name] = self._take_data(name, header.size)

    def _claim_directory(self, directory: str, member: str) -> None:
        """Note a directory and those above it; none of them may be a file."""
        while directory and directory not in self._directories:
            if directory in self._files:
                self._refuse_member(member, f"is below {directory!r}, which is a file")
            self._directories.add(directory)
            directory = directory.rpartition("/")[0]

    def _safe_name(self, name: str) -> str:
        """The name below the directory it will be unpacked to; "" for that directory itself."""
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            self._refuse_member(name, "has a control character in its name")
        if name.startswith("/"):
            self._refuse_member(name, "has an absolute path")
        if "\\" in name or ":" in name:
            self._refuse_member(name, "has a backslash or a colon in its name")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            self._refuse_member(name, "leads out of the archive with '..'")
        if not parts and name.strip("./"):
            self._refuse_member(name, "has no name")
        too_long = any(len(part.encode("utf-8")) > MAX_PART_BYTES for part in parts)
        if too_long or len(name.encode("utf-8")) > MAX_NAME_BYTES:
            self._refuse_member(name, "has a name that is too long")
        return "/".join(parts)


def _checksum_holds(block: bytes) -> bool:
    """The sum of a header's bytes, its own eight counted as spaces, is what the header says."""
    return len(block) == _BLOCK and _number(block[148:156]) == sum(block) - sum(block[148:156]) + 8 * 32


def _number(field: bytes) -> int:
    """A number of a header: octal text, or base 256 when the first bit is set. -1 when it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0", 1)[0].strip(b" ")
    if not all(48 <= digit < 56 for digit in text):
        return -1
    return int(text or b"0", 8)


def _decimal(text: str) -> int:
    """A size of a pax record. -1 when it is not a number of at most 18 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1


def _pax_records(payload: bytes) -> Optional[List[Tuple[str, str]]]:
    """Records "<length> <key>=<value>\\n" of a pax header; None when they do not add up."""
    records = []
    at = 0
    while at < len(payload):
        space = payload.find(b" ", at, at + 8)
        length = _decimal(payload[at:space].decode("latin-1")) if space > at else -1
        record = payload[space + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length <= 0 or at + length > len(payload) or not equals or not value.endswith(b"\n"):
            return None
        try:
            records.append((key.decode("utf-8"), value[:-1].decode("utf-8")))
        except UnicodeDecodeError:
            return None
        at += length
    return records
