# SPDX-License-Identifier: Apache-2.0
"""The extensions of a RISC-V: as -march names them, and as an object file does (Tag_RISCV_arch).

Source: "RISC-V ELF psABI", attributes, and the ISA manual's chapter of extension names.
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
# Control registers and fence.i, which every core here has; -march of older compilers does not name them.
ALWAYS: Final = frozenset(("zicsr", "zifencei", "zicntr"))
LONGEST_TEXT: Final = 2000  # all extensions of today take a quarter of that
_VERSION: Final = re.compile(r"(?<=[a-z])\d+p\d+$|(?<=[a-z])\d+$")
_BASE: Final = re.compile(r"rv(?:32|64)")


def extensions(text: str) -> FrozenSet[str]:
    """The extensions in "rv32imac_zicsr" or "rv32i2p1_m2p0", the base i or e too, and what they imply."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"its architecture is a text of {len(text):,} letters")
    names: Set[str] = set()
    first, *more = text.lower().split("_")
    letters = _BASE.sub("", first)
    while letters:
        found = re.match(r"([zsx][a-z]+(?:\d+[a-z]+)*|[a-z])(?:\d+p\d+|\d+)?", letters)
        if found is None:
            raise ValueError(f"its architecture is {text[:60]!r}")
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
