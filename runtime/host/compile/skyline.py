# SPDX-License-Identifier: Apache-2.0
"""Skyline heuristic of the memory plan: offsets of blocks that are in use in some steps, from priorities.

One block after the other is set on top of the placed ones, always the block that comes to lie lowest. Its
priority decides between blocks that come to lie at one offset.
"""

from __future__ import annotations

import heapq
import math
from typing import List, NamedTuple, Optional, Sequence


class Block(NamedTuple):
    """Memory with one offset.

    Attributes:
        height: Size in bytes in its first step; it may shrink later.
        first: First step in which it is in use.
        last: Last step in which it is in use, inclusive.
    """

    height: int
    first: int
    last: int


class Neighbour(NamedTuple):
    """Block that is in use in a step of a given block.

    The offset of the given block is at least `above` bytes larger than that of the neighbour, or at least
    `below` bytes smaller.
    """

    number: int
    above: int
    below: int


class Problem(NamedTuple):
    """Blocks to place, in the order of their first steps, and the neighbours of each."""

    blocks: List[Block]
    neighbours: List[List[Neighbour]]

    @property
    def work(self) -> int:
        """Visits of blocks and neighbours in one run of the heuristic."""
        return len(self.blocks) + sum(len(around) for around in self.neighbours)


class Solution(NamedTuple):
    """Offsets of the blocks of a problem, and the priorities that led to them."""

    size_bytes: int
    offsets: List[int]
    priorities: List[float]


def first_solution(problem: Problem, bound: int) -> Solution:
    """Return the smallest solution of the fixed priorities, or the first one that meets a lower bound."""
    best: Optional[Solution] = None
    for priorities in fixed_priorities(problem):
        if best is None or best.size_bytes > bound:
            best = solve(problem, priorities, best.size_bytes if best else math.inf) or best
    assert best is not None  # the first one has no limit
    return best


def fixed_priorities(problem: Problem) -> List[List[float]]:
    """Return several priorities of the blocks, from 0 to 1; the first block is the one with 0.

    Their orders are: the most memory in use during the life of a block, its length of life, the sum of its
    height and of its neighbours, the product of height and length, and its height; always the largest first.
    """
    blocks, neighbours = problem.blocks, problem.neighbours
    in_use = [  # at the first step of each block
        block.height + sum(near.above for near in around if near.number < index)
        for index, (block, around) in enumerate(zip(blocks, neighbours))
    ]
    keys = []
    for index, (block, around) in enumerate(zip(blocks, neighbours)):
        peak = max([in_use[index], *(in_use[near.number] for near in around if near.number > index)])
        length = block.last - block.first + 1
        crowd = block.height + sum(near.above for near in around)
        keys.append(
            ((peak, length, block.height), (length, block.height), crowd, block.height * length, block.height)
        )
    found: List[List[float]] = []
    for kind in range(len(keys[0])):
        ranks = sorted(range(len(blocks)), key=lambda index: keys[index][kind], reverse=True)
        priorities = [0.0] * len(blocks)
        for rank, index in enumerate(ranks):
            priorities[index] = rank / len(blocks)
        found.append(priorities)
    return found


def solve(problem: Problem, priorities: Sequence[float], limit: float) -> Optional[Solution]:
    """Return the solution of some priorities, where a low number comes first.

    First fit in the same order returns the same offsets: a block that fits into a hole under a placed one
    would have been placed before that one.

    Returns:
        None if the size reaches the limit.
    """
    lowest = [0] * len(problem.blocks)
    offsets = [-1] * len(problem.blocks)
    waiting = [(0, priority, index) for index, priority in enumerate(priorities)]
    heapq.heapify(waiting)
    size = 0
    while waiting:
        offset, priority, index = waiting[0]
        if offset != lowest[index]:  # another block came to lie under this one
            heapq.heapreplace(waiting, (lowest[index], priority, index))
            continue
        heapq.heappop(waiting)
        offsets[index] = offset
        size = max(size, offset + problem.blocks[index].height)
        if size >= limit:
            return None
        for near, _, height in problem.neighbours[index]:
            if offset + height > lowest[near]:  # noqa: PLR1730 (max() takes 1.4 x the time of the whole function)
                lowest[near] = offset + height
    return Solution(size, offsets, list(priorities))
