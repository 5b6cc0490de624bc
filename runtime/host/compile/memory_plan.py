# SPDX-License-Identifier: Apache-2.0
"""Static memory plan of an arena: the offset of each buffer, from its size and its life time.

Input and rules of a plan:

* A buffer is in use from its step `first` to its step `last`, both inclusive. Its place is the half-open
  range from its offset to the sum of offset and size. The size is rounded up to the alignment, and the offset
  is a multiple of the alignment. A buffer of size 0 has an empty place.
* The places of two buffers that are both in use in a step do not overlap, with one exception.
* The exception is in-place work. B may share memory with A if B.reuses is the name of A, A.last == B.first,
  and the rounded size of B is not larger than that of A. They then overlap only if their offsets are equal.
* `reuses` is a permission. It has no effect if a condition does not hold, and a plan may leave it unused.
* At most one buffer takes over the memory of A. The rules imply that: a second one would start in the same
  step at the same offset, and so overlap the first one.

The lower bound is the largest sum over one step of the rounded sizes in use, where each A whose memory may be
taken over in this step reduces the sum by the largest B that may do so. No plan can be smaller: the places of
all buffers in use are disjoint, except for pairs of an A and one B, and such a pair covers the size of A.

Method. Buffers that share memory form a chain, which has one offset. Heuristic and fixed priorities are in
skyline.py. The search changes the best priorities at random, also with some permissions unused. It stops when
it meets the lower bound, or after a fixed amount of work, so that the result does not depend on the machine.
An optimal plan is not guaranteed: to find one is NP-hard (dynamic storage allocation: Garey and Johnson,
Computers and Intractability, problem SR2).
"""

from __future__ import annotations

import random
from typing import Dict, Final, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.compile.skyline import Block, Neighbour, Problem, Solution, first_solution, solve
from runtime.host.errors import HostToolsFault

# Visits of neighbours after which the search stops: at most 0.6 s of CPython 3.11 (300 buffers, 44 in use).
_MAX_WORK: Final = 300_000
_MAX_ROUNDS: Final = 2000
# Some nets need an unused permission: the net random_cells 59 of tests/support/life_times.py takes 1.037 x
# the lower bound if t17 uses its permission, and the lower bound otherwise.
_ROUNDS_PER_VARIANT: Final = 40
_MAX_VARIANTS: Final = 16
_SPREADS: Final = (0.03, 0.1, 0.3, 0.6)  # random change of a priority, which is between 0 and 1
_REPORT: Final = "Report the life times of the buffers as a bug of the template."


class Buffer(NamedTuple):
    """Tensor or scratch memory in the arena.

    Attributes:
        name: Unique name.
        size_bytes: Size, not rounded.
        first: First step in which it is used.
        last: Last step in which it is used, inclusive.
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
        size_bytes: Size of the arena, a multiple of the alignment.
        bound_bytes: Lower bound of the size. A plan of this size is optimal.
        offsets: Name -> offset in bytes.
    """

    size_bytes: int
    bound_bytes: int
    offsets: Dict[str, int]


class _Variant(NamedTuple):
    """Chains of buffers for one choice of permissions, and the best solution for them.

    Attributes:
        chains: Each buffer of a chain takes over the memory of the one before it.
        problem: One block for each chain.
        solution: Its offsets are those of the chains.
    """

    chains: List[List[Buffer]]
    problem: Problem
    solution: Solution


def plan(buffers: Sequence[Buffer], alignment: int) -> Plan:
    """Return a plan of an arena that is as small as the search finds it.

    The result depends on the arguments only, not on the machine or its speed.

    Args:
        buffers: Buffers with unique names, in any order.
        alignment: Alignment of all offsets in bytes, at least 1.

    Raises:
        HostToolsFault: An argument is invalid, or the plan violates the rules.
    """
    _check_arguments(buffers, alignment)
    sizes = {buffer.name: _rounded(buffer.size_bytes, alignment) for buffer in buffers}
    offsets = {buffer.name: 0 for buffer in buffers}
    filled = [buffer for buffer in buffers if sizes[buffer.name]]
    bound, size = _lower_bound(filled, sizes), 0
    if filled:
        best = _search(filled, sizes, bound)
        size = best.solution.size_bytes
        for chain, offset in zip(best.chains, best.solution.offsets):
            offsets.update({buffer.name: offset for buffer in chain})
    planned = Plan(size, bound, offsets)
    check_plan(buffers, alignment, planned)
    return planned


def check_plan(buffers: Sequence[Buffer], alignment: int, planned: Plan) -> None:
    """Verify a plan against the rules in the docstring of this module.

    The check uses no result of the search except the plan.

    Raises:
        HostToolsFault: An offset is missing, negative or not aligned, a buffer ends behind the arena, or two
            buffers overlap.
    """
    active: List[Tuple[Buffer, int, int]] = []  # buffer, start and end of its place
    for buffer in sorted(buffers, key=lambda buffer: buffer.first):
        start = planned.offsets.get(buffer.name, -1)
        size = _rounded(buffer.size_bytes, alignment)
        end = start + size
        if start < 0 or start % alignment or end > planned.size_bytes:
            raise HostToolsFault(
                f"Memory plan of {planned.size_bytes} bytes has an invalid place for {buffer.name}: "
                f"offset {start}, size {size}.",
                _REPORT,
            )
        active = [entry for entry in active if entry[0].last >= buffer.first]
        for other, other_start, other_end in active:
            if start >= other_end or other_start >= end or start == end or other_start == other_end:
                continue
            other_size = other_end - other_start
            may_share = _may_take_over(buffer, size, other, other_size) or _may_take_over(
                other, other_size, buffer, size
            )
            if start != other_start or not may_share:
                raise HostToolsFault(
                    f"Memory plan lets {buffer.name} and {other.name} overlap in step {buffer.first}.",
                    _REPORT,
                )
        active.append((buffer, start, end))


def _check_arguments(buffers: Sequence[Buffer], alignment: int) -> None:
    """Raise HostToolsFault if a number is out of range, or a name is unknown or not unique."""
    if alignment < 1:
        raise HostToolsFault(f"Alignment of the memory plan is {alignment}: expected at least 1.", _REPORT)
    names = {buffer.name for buffer in buffers}
    if len(names) < len(buffers):
        raise HostToolsFault("Memory plan has two buffers with one name.", _REPORT)
    for buffer in buffers:
        if buffer.size_bytes < 0 or buffer.first > buffer.last:
            raise HostToolsFault(f"Memory plan has an invalid size or life time: {buffer}.", _REPORT)
        if buffer.reuses is not None and (buffer.reuses not in names or buffer.reuses == buffer.name):
            raise HostToolsFault(f"Memory plan has an invalid name in `reuses`: {buffer}.", _REPORT)


def _rounded(size_bytes: int, alignment: int) -> int:
    return -(-size_bytes // alignment) * alignment


def _may_take_over(taker: Buffer, taker_size: int, given: Buffer, given_size: int) -> bool:
    """Return whether a buffer may share the memory of another one; sizes are rounded."""
    return taker.reuses == given.name and given.last == taker.first and taker_size <= given_size


def _permissions(buffers: Sequence[Buffer], sizes: Mapping[str, int]) -> Iterator[Tuple[Buffer, Buffer]]:
    """Yield each (taker, given) whose permission has an effect."""
    by_name = {buffer.name: buffer for buffer in buffers}
    for taker in buffers:
        given = by_name.get(taker.reuses) if taker.reuses is not None else None
        if given is not None and _may_take_over(taker, sizes[taker.name], given, sizes[given.name]):
            yield taker, given


def _lower_bound(buffers: Sequence[Buffer], sizes: Mapping[str, int]) -> int:
    """Return the lower bound of the size of an arena in bytes.

    Only steps in which a buffer starts or has just ended are visited. Between them the sum does not change.
    """
    changes: Dict[int, int] = {}
    for buffer in buffers:
        changes[buffer.first] = changes.get(buffer.first, 0) + sizes[buffer.name]
        changes[buffer.last + 1] = changes.get(buffer.last + 1, 0) - sizes[buffer.name]
    largest: Dict[str, int] = {}
    saved: Dict[int, int] = {}
    for taker, given in _permissions(buffers, sizes):
        more = max(0, sizes[taker.name] - largest.get(given.name, 0))
        largest[given.name] = largest.get(given.name, 0) + more
        saved[given.last] = saved.get(given.last, 0) + more
    bound = used = 0
    for step in sorted(changes):
        used += changes[step]
        bound = max(bound, used - saved.get(step, 0))
    return bound


def _variant(
    buffers: Sequence[Buffer], sizes: Mapping[str, int], bound: int, unused: FrozenSet[str] = frozenset()
) -> _Variant:
    """Return the chains and a first solution, where the buffers named in `unused` take over no memory."""
    taker_of: Dict[str, Buffer] = {}
    takers = set()
    for taker, given in sorted(_permissions(buffers, sizes), key=lambda pair: -sizes[pair[0].name]):
        # A buffer of one step that takes over and is taken over would let three buffers overlap in this step.
        is_crowded = (given.first == given.last and given.name in takers) or (
            taker.first == taker.last and taker.name in taker_of
        )
        if given.name not in taker_of and not is_crowded and taker.name not in unused:
            taker_of[given.name] = taker
            takers.add(taker.name)
    chains: List[List[Buffer]] = []
    for buffer in sorted(buffers, key=lambda buffer: buffer.first):
        if buffer.name not in takers:
            chain = [buffer]
            while chain[-1].name in taker_of:
                chain.append(taker_of[chain[-1].name])
            chains.append(chain)
    problem = Problem([Block(sizes[chain[0].name], chain[0].first, chain[-1].last) for chain in chains], [])
    active: List[int] = []
    for new, block in enumerate(problem.blocks):
        problem.neighbours.append([])
        active = [old for old in active if problem.blocks[old].last >= block.first]
        for old in active:
            # Sizes in a chain do not increase: the first buffer that meets the other chain is the largest.
            height = next(sizes[buffer.name] for buffer in chains[old] if buffer.last >= block.first)
            problem.neighbours[new].append(Neighbour(old, height, block.height))
            problem.neighbours[old].append(Neighbour(new, block.height, height))
        active.append(new)
    return _Variant(chains, problem, first_solution(problem, bound))


def _search(buffers: Sequence[Buffer], sizes: Mapping[str, int], bound: int) -> _Variant:
    """Return the variant with the smallest solution that the search finds; it stops at the lower bound."""
    rng = random.Random(1)  # of its methods, only random() returns equal numbers in all versions of Python
    best = _variant(buffers, sizes, bound)
    variants = [best]  # the first one uses all permissions
    takers = [taker.name for taker, _ in _permissions(buffers, sizes)]
    for number in range(min(_MAX_ROUNDS, _MAX_WORK // best.problem.work)):
        if best.solution.size_bytes == bound:
            break
        if takers and number % _ROUNDS_PER_VARIANT == 1 and len(variants) <= _MAX_VARIANTS:
            share = rng.random()
            unused = frozenset(name for name in takers if rng.random() > share)
            variants.append(_variant(buffers, sizes, bound, unused))
        at = 0 if number % 2 else number // 2 % len(variants)
        tried = variants[at]
        spread = _SPREADS[number // 4 % len(_SPREADS)]
        priorities = [each + spread * rng.random() for each in tried.solution.priorities]
        found = solve(tried.problem, priorities, tried.solution.size_bytes)
        if found is not None:
            variants[at] = tried._replace(solution=found)
        best = min(best, *variants, key=lambda variant: variant.solution.size_bytes)
    return best
