# SPDX-License-Identifier: Apache-2.0
"""Static memory plan of an arena: the offset of each buffer, from its size and its life time."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence


class Buffer(NamedTuple):
    """A block of the arena.

    Attributes:
        name: Unique name.
        size_bytes: Size.
        first: First step in which it is used.
        last: Last step in which it is used.
        reuses: Buffer whose memory this one may take over at the step where that one ends.
    """

    name: str
    size_bytes: int
    first: int
    last: int
    reuses: Optional[str] = None


class Plan(NamedTuple):
    """Places of all buffers.

    Attributes:
        size_bytes: Size of the arena.
        bound_bytes: Lower bound of the size.
        offsets: Name -> offset in bytes.
    """

    size_bytes: int
    bound_bytes: int
    offsets: Dict[str, int]


def plan(buffers: Sequence[Buffer], alignment: int) -> Plan:
    """Return offsets, multiples of the alignment, at which no two buffers in use overlap."""

    def aligned(buffer: Buffer) -> int:
        return -(-buffer.size_bytes // alignment) * alignment

    placed: List[Buffer] = []
    offsets: Dict[str, int] = {}
    for buffer in sorted(buffers, key=lambda buffer: (-buffer.size_bytes, buffer.first)):
        at = 0
        taken = sorted(
            (offsets[other.name], offsets[other.name] + aligned(other))
            for other in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        for start, end in taken:
            if at + aligned(buffer) <= start:
                break
            at = max(at, end)
        offsets[buffer.name] = at
        placed.append(buffer)
    size = max((offsets[buffer.name] + aligned(buffer) for buffer in buffers), default=0)
    steps = range(max((buffer.last for buffer in buffers), default=-1) + 1)
    bound = max(
        (sum(aligned(one) for one in buffers if one.first <= step <= one.last) for step in steps), default=0
    )
    return Plan(size, bound, offsets)
