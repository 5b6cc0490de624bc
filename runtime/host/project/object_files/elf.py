# SPDX-License-Identifier: Apache-2.0
"""Reader of little-endian ELF object files of 32 and 64 bits: sections, symbols, and build attributes.

Sources: the ELF specification; "Addenda to, and Errata in, the ABI for the Arm Architecture", whose format of
build attributes RISC-V shares. Every function raises struct.error, IndexError or ValueError for damaged data.
"""

from __future__ import annotations

import struct
from typing import Final, Iterator, List, NamedTuple, Tuple, Union

SYMBOL_TABLE: Final = 2  # sh_type
ATTRIBUTES: Final = 0x70000003  # sh_type of .ARM.attributes and .riscv.attributes
EXECUTABLE: Final = 0x4  # sh_flags
TAG_FILE: Final = 1
TAG_COMPATIBILITY: Final = 32  # has a number and a string
LARGEST_NUMBER: Final = 63  # limit in bits of a ULEB128 number


class Section(NamedTuple):
    """A section header.

    Attributes:
        kind: sh_type.
        flags: sh_flags.
        offset: sh_offset.
        size: sh_size.
        link: sh_link.
        entry: sh_entsize.
    """

    kind: int
    flags: int
    offset: int
    size: int
    link: int
    entry: int

    def content(self, data: bytes) -> bytes:
        """Return the bytes of the section in a file."""
        return data[self.offset : self.offset + self.size]


def sections(data: bytes) -> List[Section]:
    """Return the section headers of an object file."""
    wide = data[4] == 2
    (table,) = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
    size, count = struct.unpack_from("<HH", data, 58 if wide else 46)
    found = []
    for index in range(count):
        layout = "<II QQQQ II QQ" if wide else "<10I"
        fields = struct.unpack_from(layout, data, table + index * size)
        _, kind, flags, _, offset, length, link, _, _, entry = fields
        found.append(Section(kind, flags, offset, length, link, entry))
    return found


def symbols(data: bytes, length: int) -> Iterator[Tuple[bytes, int, int]]:
    """Yield name, section and value of each symbol of a 32-bit file.

    Args:
        data: Content of the file.
        length: Number of bytes after which names are cut.
    """
    all_sections = sections(data)
    for table in all_sections:
        if table.kind == SYMBOL_TABLE:
            names = all_sections[table.link].content(data)
            entries = table.content(data)
            for at in range(0, len(entries) - 15, 16):
                name, value, _, _, section = struct.unpack_from("<IIIHH", entries, at)
                yield names[name : name + length].split(b"\0")[0], section, value
            return


def attributes(data: bytes, vendor: bytes, texts: Tuple[int, ...]) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Yield tag and value of each build attribute of the whole file; nothing if the file has no attributes.

    Args:
        data: Content of the file.
        vendor: Name of the vendor of the attributes, such as b"aeabi".
        texts: Tags below 32 with a string as their value. Above 32, odd tags have strings.
    """
    for section in sections(data):
        if section.kind == ATTRIBUTES:
            yield from _attributes(section.content(data), vendor + b"\0", texts)
            return


def _attributes(
    section: bytes, vendor: bytes, texts: Tuple[int, ...]
) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Yield the attributes of a section of format version A.

    The section has vendors, a vendor has parts (of the file, a section, a symbol), a part has attributes.
    """
    at = 1
    while at < len(section):
        (length,) = struct.unpack_from("<I", section, at)
        if length < 5:
            raise ValueError("the build attributes are damaged")
        inner, end = at + 4 + len(vendor), at + length
        ours = section[at + 4 : inner] == vendor
        while ours and inner < end:
            part = section[inner]
            (part_length,) = struct.unpack_from("<I", section, inner + 1)
            if part_length < 5:
                raise ValueError("the build attributes are damaged")
            if part == TAG_FILE:
                yield from _values(section[inner + 5 : inner + part_length], texts)
            inner += part_length
        at = end


def _values(part: bytes, texts: Tuple[int, ...]) -> Iterator[Tuple[int, Union[int, bytes]]]:
    at = 0
    while at < len(part):
        tag, at = _number(part, at)
        value: Union[int, bytes]
        if tag == TAG_COMPATIBILITY:
            _, at = _number(part, at)
        if tag in texts or (tag >= TAG_COMPATIBILITY and (tag % 2 == 1 or tag == TAG_COMPATIBILITY)):
            end = part.index(b"\0", at)
            value, at = part[at:end], end + 1
        else:
            value, at = _number(part, at)
        yield tag, value


def _number(part: bytes, at: int) -> Tuple[int, int]:
    """Return a ULEB128 number and the position after it."""
    value = 0
    shift = 0
    while True:
        byte = part[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > LARGEST_NUMBER:
            raise ValueError("the build attributes are damaged")
