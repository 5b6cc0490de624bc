# SPDX-License-Identifier: Apache-2.0
"""Schedules of kernels for processors without caches.

A kernel as TVM legalizes it keeps each intermediate result in memory. Here elementwise operations are folded
into the loops that use their results, and a reduction is accumulated in a tile of registers: a few output
channels times a few output columns at the same time, so that each loaded element is used several times.

A schedule changes the order of the work, never its result, except for the rounding of floating-point sums:
sums keep their order, as a reduction is never split.
"""

from __future__ import annotations

import re
from typing import Any, Final, List, NamedTuple, Optional, Sequence

from tvm import s_tir

MOST_INLINED: Final = 200  # characters of the text of a block that each consumer may compute again
_COSTLY: Final = re.compile(r"exp|tanh|erf|sqrt|pow|if_then_else|log|sigmoid|sin|cos|call_pure_extern|/|%")
_SPATIAL: Final = 0  # IterVar.iter_type
_REDUCTION: Final = 2


class Knobs(NamedTuple):
    """Choices of a schedule, for a tuner to turn.

    Attributes:
        rows: Elements of the outer tiled dimension at the same time: output channels of a convolution.
        columns: Elements of the inner tiled dimension at the same time: output columns.
        unrolled: Most steps of a reduction that are written out.
    """

    rows: int = 2
    columns: int = 2
    unrolled: int = 9


DEFAULT_KNOBS: Final = Knobs()


def scheduled(function: Any, knobs: Knobs) -> Any:
    """Return a scheduled tirx.PrimFunc; unchanged if TVM rejects the schedule.

    Args:
        function: Kernel of a lowered module.
        knobs: Choices.
    """
    try:
        return _Schedule(function).run(knobs)
    except Exception as error:  # TVM has many exceptions for a schedule that it rejects
        if type(error).__module__.split(".")[0] not in ("tvm", "tvm_ffi", "builtins"):
            raise

        return function


class _Schedule:
    def __init__(self, function: Any) -> None:
        self._schedule = s_tir.Schedule(function)

    def run(self, knobs: Knobs) -> Any:
        while self._inline_one():
            pass
        for block in self._blocks():
            if not self._is_elementwise(block):
                self._accumulate(block, knobs)
        return self._schedule.mod["main"]

    def _blocks(self) -> List[Any]:
        return list(self._schedule.get_child_blocks(self._schedule.get_sblock("root")))

    def _kinds(self, block: Any) -> List[int]:
        return [int(variable.iter_type) for variable in self._schedule.get(block).iter_vars]

    def _is_elementwise(self, block: Any) -> bool:
        return _REDUCTION not in self._kinds(block)

    def _inline_one(self) -> bool:
        """Fold one elementwise block into its consumers; return whether there was one.

        Padding stays a buffer: its condition would be computed for each use of an element.
        """
        schedule = self._schedule
        for block in self._blocks():
            consumers = schedule.get_consumers(block)
            if not consumers or not self._is_elementwise(block) or "pad" in schedule.get(block).name_hint:
                continue
            text = str(schedule.get(block).body)
            is_cheap = len(text) < MOST_INLINED and not _COSTLY.search(text)
            if is_cheap or all(map(self._is_elementwise, consumers)):
                try:
                    schedule.compute_inline(block)
                except s_tir.ScheduleError:
                    continue
                return True
        return False

    def _accumulate(self, block: Any, knobs: Knobs) -> None:
        schedule = self._schedule
        loops, kinds = schedule.get_loops(block), self._kinds(block)
        if len(loops) != len(kinds):
            return
        spatial = [loop for loop, kind in zip(loops, kinds) if kind == _SPATIAL]
        reduction = [loop for loop, kind in zip(loops, kinds) if kind == _REDUCTION]
        if not spatial or not reduction:
            return
        schedule.reorder(*spatial, *reduction)
        tail = self._tail(block)
        inner: List[Any] = []
        if tail is not None:
            outer = list(spatial)
            if self._is_row_of(spatial):
                columns, rows = self._divisor(spatial[-1], max(knobs.rows, knobs.columns)), 1
            else:
                columns = self._divisor(spatial[-1], knobs.columns)
                rows = self._divisor(spatial[_row(spatial)], knobs.rows)
            if columns > 1:
                outer[-1], part = schedule.split(spatial[-1], [None, columns])
                inner.append(part)
            if rows > 1:
                at = _row(spatial)
                outer[at], part = schedule.split(spatial[at], [None, rows])
                inner.insert(0, part)
            schedule.reorder(*outer, *reduction, *inner)
            schedule.reverse_compute_at(tail, outer[-1])
        for loop in inner:
            schedule.unroll(loop)
        steps = 1
        for loop in reversed(reduction):
            steps *= self._extent(loop)
            if steps > knobs.unrolled:
                break
            schedule.unroll(loop)
        start = schedule.decompose_reduction(block, reduction[0])
        if inner:
            for other in filter(None, (start, tail)):
                for loop in schedule.get_loops(other)[-len(inner) :]:
                    if self._extent(loop) <= 16:
                        schedule.unroll(loop)

    def _is_row_of(self, spatial: Sequence[Any]) -> bool:
        """Return whether only the last dimension can be tiled, as for one row of a dense layer."""
        return len(spatial) == 1 or self._extent(spatial[_row(spatial)]) == 1

    def _extent(self, loop: Any) -> int:
        return int(self._schedule.get(loop).extent)

    def _divisor(self, loop: Any, most: int) -> int:
        extent = self._extent(loop)
        return next(part for part in range(most, 0, -1) if extent % part == 0)

    def _tail(self, block: Any) -> Optional[Any]:
        """Return the block that takes the accumulated result at each tile; None for several.

        A consumer with another domain than the result would leave part of its own result unwritten (a pad
        after a pool), and is left where it is.
        """
        schedule = self._schedule
        consumers = schedule.get_consumers(block)
        if not consumers:
            return schedule.cache_write(block, 0, "global")
        if len(consumers) != 1 or not self._is_elementwise(consumers[0]):
            return None
        tail = consumers[0]
        produced = _buffer(schedule.get(block).writes[0])
        loops = schedule.get_loops(tail)
        extents = [self._extent(loop) for loop in loops]
        if extents != [int(extent) for extent in produced.shape]:
            return None
        variables = [variable.var for variable in schedule.get(tail).iter_vars]
        for region in schedule.get(tail).reads:
            if _buffer(region).name == produced.name:
                starts = [entry.min for entry in region.region]
                if not all(one.same_as(other) for one, other in zip(starts, variables)):
                    return None
        return tail


def _row(spatial: Sequence[Any]) -> int:
    """Return the index of the outer tiled dimension: channels of a convolution, rows of a product."""
    return 1 if len(spatial) > 2 else 0


def _buffer(region: Any) -> Any:
    """Return the buffer of a region; 0.27 renamed the attribute."""
    return region.source if hasattr(region, "source") else region.buffer
