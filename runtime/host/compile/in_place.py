# SPDX-License-Identifier: Apache-2.0
"""Proof that a kernel may write its output over one of its inputs."""

from __future__ import annotations

import re
from typing import Dict, Final, List, Optional, Sequence, Set, Tuple

from runtime.host.compile.kernel_text import Line

_EXTENT: Final = re.compile(r"for \(int(?:32|64)_t (\w+) = (\d+); \1 < (\d+); \+\+\1\) \{")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def may_share(lines: Sequence[Line], source: str, target: str, elements: int) -> bool:
    """Return whether a kernel reads each element of an input before it writes the same element of its output.

    Two facts prove it. Each load of the input is part of the statement that stores the element of the output
    with the same index, or of a temporary value that only this statement uses in the same iteration. And the
    number of stores equals the number of elements: as a kernel writes its whole output, no element is then
    written twice.

    Args:
        lines: Body of the kernel.
        source: Data pointer of the input.
        target: Data pointer of the output.
        elements: Number of elements of the output.
    """
    loops: List[Optional[int]] = []  # extent of each open loop; None for a condition
    temporaries: Dict[str, Tuple[Set[str], int]] = {}  # value loaded from the input -> indices, iteration
    iteration = stores = 0
    has_load = False
    for line in lines:
        loads = _loads(line.text, source)
        if loads is None:
            return False
        for word in _WORD.findall(line.text):
            if word in temporaries:
                indices, at = temporaries[word]
                if at != iteration:
                    return False
                loads += indices
        if line.match["stored"] == target:
            if any(index != line.match["index"] for index in loads) or _loads(line.text, target) is None:
                return False
            if len(re.findall(rf"\b{target}\b", line.text)) != 1:
                return False
            has_load = has_load or bool(loads)
            product = 1
            for extent in loops:
                product *= 1 if extent is None else extent
            stores += product
        elif re.search(rf"\b{target}\b", line.text):
            return False
        elif loads:
            name = line.match["variable"] if line.match["value"] else line.match["stored"]
            if name is None or line.match["index"]:
                return False
            temporaries[name] = ({*loads, *temporaries.get(name, (set(), 0))[0]}, iteration)
        if line.match["end"] or line.match["else"]:
            is_loop = loops.pop() is not None
            iteration += is_loop
        if line.match["for"]:
            found = _EXTENT.fullmatch(line.text)
            if found is None:
                return False
            loops.append(int(found[3]) - int(found[2]))
            iteration += 1
        elif line.match["if"] or line.match["else"]:
            loops.append(None)
    return has_load and stores == elements


def _loads(text: str, source: str) -> Optional[List[str]]:
    """Return the indices of the loads of an input; None if one of its uses is not understood."""
    found = re.findall(rf"\b{source}\[([^\[\]]*)\]", text)
    return found if len(found) == len(re.findall(rf"\b{source}\b", text)) else None
