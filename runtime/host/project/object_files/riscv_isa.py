# SPDX-License-Identifier: Apache-2.0
"""Parser of RISC-V extension names in -march and in the Tag_RISCV_arch of an object file.

Sources: "RISC-V ELF psABI", section on attributes, and the chapter on extension names of the ISA manual.
"""

from __future__ import annotations

import re
from typing import Final, FrozenSet, Mapping, Set, Tuple

IMPLIED: Final[Mapping[str, Tuple[str, ...]]] = {
    "g": ("i", "m", "a", "f", "d", "zicsr", "zifencei"),
    "m": ("zmmul",),
    "a": ("zaamo", "zalrsc"),
    "d": ("f",),
    "f": ("zicsr",),
    "c": ("zca",),
    "q": ("d",),
    "zfh": ("zfhmin", "f"),
    "zcf": ("zca", "f"),
    "zcd": ("zca", "d"),
}
# Control registers and fence.i, which all cores of boards/cores.py have. -march of older compilers does not
# name these extensions.
ALWAYS: Final = frozenset(("zicsr", "zifencei", "zicntr"))
LONGEST_TEXT: Final = 2000  # four times the length of all current extension names together
_VERSION: Final = re.compile(r"(?<=[a-z])\d+p\d+$|(?<=[a-z])\d+$")
_BASE: Final = re.compile(r"rv(?:32|64)")


def extensions(text: str) -> FrozenSet[str]:
    """Return the extensions of an architecture, including the base i or e and all implied extensions.

    Args:
        text: Architecture such as "rv32imac_zicsr" or "rv32i2p1_m2p0".

    Raises:
        ValueError: The architecture is invalid.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the name of the architecture has {len(text):,} characters")
    names: Set[str] = set()
    first, *more = text.lower().split("_")
    letters = _BASE.sub("", first)
    while letters:
        found = re.match(r"([zsx][a-z]+(?:\d+[a-z]+)*|[a-z])(?:\d+p\d+|\d+)?", letters)
        if found is None:
            raise ValueError(f"unknown architecture {text[:60]!r}")
        names.add(found[1])
        letters = letters[found.end() :]
    names.update(_VERSION.sub("", name) for name in more)
    while True:
        held = {each for name in names for each in IMPLIED.get(name, ())}
        if {"c", "f"} <= names and "rv32" in first.lower():
            held.add("zcf")
        if {"c", "d"} <= names:
            held.add("zcd")
        if held <= names:
            return frozenset(names)
        names |= held
