# SPDX-License-Identifier: Apache-2.0
"""Search for double-precision instructions in the Thumb code of an object file.

Build attributes state which instructions a compiler was allowed to use. By default LLVM allows double
precision for a Cortex-M7, but most models do not use it. Therefore the instructions decide. Source: "Armv7-M
Architecture Reference Manual", A5.3 (32-bit instructions) and A6.4 (floating-point data processing).
"""

from __future__ import annotations

import struct
from typing import Dict, Final, List, Tuple

from runtime.host.project.object_files import elf

CODE: Final = b"$t"  # mapping symbol at the start of Thumb code
DATA: Final = b"$d"  # mapping symbol at the start of data
FIRST_LONG: Final = 0xE800  # minimum of the first halfword of a 32-bit instruction
PROCESSING: Final = (0xEE00, 0xFE00)  # coprocessor data processing, or a transfer
DOUBLE: Final = 11  # coprocessor number of double precision; 10 is single precision
WIDEN: Final = 0xEEB7  # vcvt.f64.f32 has coprocessor number 10


def computes_in_double(data: bytes) -> bool:
    """Return whether any instruction needs a floating-point unit for double precision.

    Moves, loads and stores of double registers do not count: every floating-point unit supports them.

    Args:
        data: Content of a 32-bit object file.

    Raises:
        struct.error: The file is damaged.
        IndexError: The file is damaged.
        ValueError: The file is damaged.
    """
    marks: Dict[int, List[Tuple[int, bytes]]] = {}
    for name, owner, value in elf.symbols(data, len(CODE) + 1):
        kind = name.split(b".")[0]  # "$t", "$t.0"
        if kind in (CODE, DATA):
            marks.setdefault(owner, []).append((value, kind))
    seen = 0
    for index, section in enumerate(elf.sections(data)):
        if section.flags & elf.EXECUTABLE:
            code = section.content(data)
            seen += len(code)
            if seen > len(data):
                raise ValueError("the sections overlap")
            # A section without mapping symbols counts as code, so that no instruction is missed.
            ranges = sorted(marks.get(index, [])) or [(0, CODE)]
            ends = [start for start, _ in ranges[1:]] + [len(code)]
            for (start, kind), end in zip(ranges, ends):
                if kind == CODE and _has_double(code[start:end]):
                    return True
    return False


def _has_double(code: bytes) -> bool:
    halves = struct.unpack(f"<{len(code) // 2}H", code[: len(code) // 2 * 2])
    at = 0
    while at < len(halves) - 1:
        first, second = halves[at], halves[at + 1]
        if first < FIRST_LONG:
            at += 1
            continue
        at += 2
        if first & 0xFF00 in PROCESSING and not second & 0x10:
            if second >> 8 & 0xF == DOUBLE:
                return True
            if first & 0xFFBF == WIDEN and second & 0x0FD0 == 0x0AC0:
                return True
    return False
