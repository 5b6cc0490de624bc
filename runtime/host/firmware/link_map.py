# SPDX-License-Identifier: Apache-2.0
"""Flash and RAM of a firmware by part, read from the link map of GNU ld (-Wl,-Map=...).

The last chapter of the map, "Linker script and memory map", lists each output section at the left margin.
Its input sections follow, indented by one space, as "name address size file". A long name moves the numbers
to the next line. "*fill*" is padding before the next section. Discarded sections are listed in an earlier
chapter, or below /DISCARD/.

The map has no section flags. The kind of a section follows from its name and, if the linker script declares
memory regions, from its region. The sums over all parts equal the sums of the output sections that `size -A`
prints. A string that several files contain counts for the first file.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.errors import BuildError

TOOLCHAIN: Final = "toolchain"
"""The part for everything that belongs to no other part: start-up code, C library, padding between files."""

STACK: Final = "stack"
"""The part for memory that the linker script reserves for the stack."""

PARTS: Final[Mapping[str, Sequence[str]]] = {
    "model": ("libmicrotvm_model*.a", "libmicrotvm_cmsis*.a", "*model/codegen/*.o"),
    "runtime": ("libmicrotvm_runtime*.a",),
    "platform": ("libmicrotvm_platform*.a",),
}
"""Part -> shell patterns of its archives and objects, as in read_map."""


class PartSize(NamedTuple):
    """Bytes of one part. Initialised data counts twice, since it is stored in flash and copied to RAM."""

    part: str
    flash: int
    ram: int


class Piece(NamedTuple):
    """One input section: a function or a variable if compiled with -ffunction-sections -fdata-sections.

    Attributes:
        name: Name of the symbol, or of the section if the map contains no symbol.
        file: "archive(member)" or an object file.
        part: Part of the firmware.
        flash: Bytes of flash.
        ram: Bytes of RAM.
    """

    name: str
    file: str
    part: str
    flash: int
    ram: int


class _Region(NamedTuple):
    start: int
    length: int
    attributes: str


class _Output(NamedTuple):
    name: str
    address: int
    size: int


class _Input(NamedTuple):
    """Input section; file is "" for padding, symbol is "" without a symbol, as for static functions."""

    name: str
    size: int
    file: str
    symbol: str


def part_sizes(path: Path) -> List[PartSize]:
    """Return the sizes of a firmware that this platform has built."""
    return read_map(path, PARTS)


def size_rows(path: Path) -> List[Tuple[str, str, str]]:
    """Return table rows (part, bytes of flash, bytes of RAM); the last row is the total "all".

    If the link map comes from another build and contains no known parts, the total is the only row.

    Args:
        path: Link map.
    """
    parts = part_sizes(path)
    whole = PartSize("all", sum(part.flash for part in parts), sum(part.ram for part in parts))
    told = parts if any(part.flash or part.ram for part in parts if part.part in PARTS) else []
    return [(part.part, f"{part.flash:,}", f"{part.ram:,}") for part in (*told, whole)]


def read_map(path: Path, parts: Mapping[str, Sequence[str]]) -> List[PartSize]:
    """Return the sizes of the parts, in the order of `parts`, then of the toolchain and of a stack.

    Args:
        path: Link map.
        parts: Part -> shell patterns. A pattern with a slash must match the whole path of the archive or
            object, any other pattern the last component of the path.

    Raises:
        BuildError: The file is missing, or is not a link map.
    """
    flash = dict.fromkeys([*parts, TOOLCHAIN], 0)
    ram = dict(flash)
    for piece in _pieces(path, parts):
        flash[piece.part] = flash.get(piece.part, 0) + piece.flash
        ram[piece.part] = ram.get(piece.part, 0) + piece.ram
    return [PartSize(part, flash[part], ram[part]) for part in flash]


def largest(path: Path, kind: str, count: int) -> List[Piece]:
    """Return the input sections that use most memory, the largest first.

    Args:
        path: Link map.
        kind: "flash" or "ram".
        count: Largest number of sections to return.

    Raises:
        BuildError: The file is missing, or is not a link map.
    """
    named = [piece for piece in _pieces(path, PARTS) if piece.file or piece.part == STACK]
    return sorted(named, key=lambda piece: -int(getattr(piece, kind)))[:count]


def _pieces(path: Path, parts: Mapping[str, Sequence[str]]) -> Iterator[Piece]:
    """Yield the content of the output sections. Bytes without an input section belong to the toolchain."""
    regions, sections = _read(path)
    for output, inputs in sections:
        in_flash, in_ram = _where(output, regions)
        if not (in_flash or in_ram):
            continue
        rest = output.size
        padding = 0
        for section in inputs:
            if not section.file:
                padding += section.size
                continue
            # Padding aligns the next section, so it counts for that section.
            size = section.size + padding
            padding = 0
            rest -= size
            name = section.symbol or re.sub(r"^\.[a-z]+\.", "", section.name)
            yield Piece(name, section.file, _part(section.file, parts), size * in_flash, size * in_ram)
        part = STACK if output.name == ".stack" else TOOLCHAIN
        yield Piece(output.name, "", part, rest * in_flash, rest * in_ram)


def _part(file: str, parts: Mapping[str, Sequence[str]]) -> str:
    whole = re.sub(r"\([^()]*\)$", "", file)
    base = whole.rpartition("/")[2]
    for part, patterns in parts.items():
        if any(fnmatchcase(whole if "/" in pattern else base, pattern) for pattern in patterns):
            return part
    return TOOLCHAIN


_NOT_LOADED = re.compile(
    r"\.(debug|stab|comment|gnu\.attributes|gnu\.build|gnu_debug|note\.GNU-stack|line|symtab|strtab|shstrtab)"
    r"|\.\w+\.attributes$|/DISCARD/"
)
_NO_CONTENTS = re.compile(r"\.?\w*(bss|noinit|heap|stack)(\b|_)|__libc_freeres_ptrs$", re.IGNORECASE)
_WRITABLE = re.compile(r"\.(s|t|ram)?data(?!\.rel\.ro)")


def _where(output: _Output, regions: Sequence[_Region]) -> Tuple[bool, bool]:
    """Return whether an output section uses flash, and whether it uses RAM."""
    if output.size == 0 or _NOT_LOADED.match(output.name):
        return False, False
    if _NO_CONTENTS.match(output.name):
        return False, True
    for region in regions:
        if region.attributes and region.start <= output.address < region.start + region.length:
            return True, "w" in region.attributes
    return True, bool(_WRITABLE.match(output.name))


_CHAPTER = "Linker script and memory map"
_REGION = re.compile(r"(\S+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+([a-z!]+))?$")
_NUMBERS = re.compile(r"\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+(\S.*))?$")
_OUTPUT = re.compile(r"([^\s(]+)(\s+0x[0-9a-f]+\s+0x[0-9a-f]+.*)?$")
_INPUT = re.compile(r" ([^\s*]\S*|\*fill\*)(\s+0x[0-9a-f]+\s+0x[0-9a-f]+.*)?$")
_SYMBOL = re.compile(r"\s+0x[0-9a-f]+\s{3,}([A-Za-z_.$][^\s=]*)$")


def _read(path: Path) -> Tuple[List[_Region], List[Tuple[_Output, List[_Input]]]]:
    """Return the memory regions, and the output sections with their input sections."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise BuildError(
            f"The link map {path} cannot be read: {error.strerror}.", "Build the project first."
        ) from error
    before, found, chapter = text.partition(f"\n{_CHAPTER}\n")
    if not found:
        raise BuildError(
            f"{path} is not a link map of GNU ld.",
            "Link with GNU ld and the option -Wl,-Map=FILE, as in the build files.",
        )
    regions = []
    for line in before.rpartition("\nMemory Configuration\n")[2].splitlines():
        match = _REGION.match(line)
        if match and match[1] != "*default*":
            regions.append(_Region(int(match[2], 16), int(match[3], 16), match[4] or ""))
    return regions, _read_sections(chapter)


def _read_sections(chapter: str) -> List[Tuple[_Output, List[_Input]]]:
    sections: List[Tuple[_Output, List[_Input]]] = []
    wrapped: Optional[str] = None  # a line whose numbers are on the next line
    for line in chapter.splitlines():
        if line.startswith(("Cross Reference Table", "OUTPUT(")):
            break
        text = line
        if wrapped is not None:
            if _NUMBERS.match(line):
                text = wrapped + line
            elif not wrapped.startswith(" "):
                sections.append((_Output(wrapped, 0, 0), []))  # empty, or /DISCARD/
            wrapped = None
        match = _OUTPUT.match(text) or _INPUT.match(text)
        if match is None:
            symbol = _SYMBOL.match(text)
            if symbol and sections and sections[-1][1] and not sections[-1][1][-1].symbol:
                sections[-1][1][-1] = sections[-1][1][-1]._replace(symbol=symbol[1])
            continue
        numbers = _NUMBERS.match(match[2] or "")
        if numbers is None:
            wrapped = text
        elif not text.startswith(" "):
            sections.append((_Output(match[1], int(numbers[1], 16), int(numbers[2], 16)), []))
        elif sections:
            file = "" if match[1] == "*fill*" else numbers[3] or ""
            sections[-1][1].append(_Input(match[1], int(numbers[2], 16), file, ""))
    return sections
