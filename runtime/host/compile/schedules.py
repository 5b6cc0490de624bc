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
from math import prod
from typing import Any, Final, List, NamedTuple, Optional, Sequence, Tuple

from tvm import s_tir

MOST_INLINED: Final = 200  # characters of the text of a block that each consumer may compute again
_COSTLY: Final = re.compile(r"exp|tanh|erf|sqrt|pow|if_then_else|log|sigmoid|sin|cos|call_pure_extern|/|%")
_SPATIAL: Final = 0  # IterVar.iter_type
_REDUCTION: Final = 2


class Knobs(NamedTuple):
    """Choices of a schedule, for a tuner to turn.

    A tile has the most elements for which these limits hold; each extent of it divides that of the loop.

    Attributes:
        rows: Most elements of the outer tiled dimension at the same time: output channels of a convolution.
        columns: Most elements of the inner tiled dimension at the same time: output columns.
        unrolled: Most steps of a reduction that are written out.
        registers: Most values of a tile in registers: its elements, and the operands of one step. With more,
            the compiler stores values of the inner loop in memory.
        core_registers: Most values of a tile of integers, which share the registers with addresses.
        statements: Most multiply-accumulate statements of the inner loop.
        steps: Most steps of a longer reduction of integers that are written out together.
    """

    rows: int = 2
    columns: int = 4
    unrolled: int = 9
    registers: int = 14
    core_registers: int = 8
    statements: int = 36
    steps: int = 8


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
        written_out = self._written_out(reduction, knobs.unrolled)
        tail = self._tail(block)
        inner = [] if tail is None else self._tiled(block, spatial, reduction, tail, written_out, knobs)
        if self._is_integer(block) and not written_out:
            written_out = self._split(reduction, prod(map(self._extent, inner)), knobs)
        for loop in (*inner, *written_out):
            schedule.unroll(loop)
        start = schedule.decompose_reduction(block, reduction[0])
        if inner:
            for other in filter(None, (start, tail)):
                for loop in schedule.get_loops(other)[-len(inner) :]:
                    schedule.unroll(loop)

    def _written_out(self, reduction: Sequence[Any], most: int) -> List[Any]:
        """Return the innermost loops of a reduction that have at most `most` steps together."""
        found: List[Any] = []
        steps = 1
        for loop in reversed(reduction):
            steps *= self._extent(loop)
            if steps > most:
                break
            found.append(loop)
        return found

    def _split(self, reduction: List[Any], tile: int, knobs: Knobs) -> List[Any]:
        """Split the innermost loop of a reduction, and return the part to write out.

        Sums of integers do not depend on their order.
        """
        extent = self._extent(reduction[-1])
        most = min(knobs.steps, knobs.statements // tile)
        steps = max((steps for steps in range(2, most + 1) if extent % steps == 0), default=1)
        if steps == 1:
            return []
        reduction[-1], part = self._schedule.split(reduction[-1], [None, steps])
        return [part]

    def _tiled(
        self,
        block: Any,
        spatial: Sequence[Any],
        reduction: Sequence[Any],
        tail: Any,
        written_out: Sequence[Any],
        knobs: Knobs,
    ) -> List[Any]:
        """Split the tiled dimensions, store each tile when it is complete, and return the loops of a tile."""
        schedule = self._schedule
        steps = prod(map(self._extent, written_out))
        if self._is_integer(block):
            knobs = knobs._replace(registers=knobs.core_registers)
        rows, columns = self._tile(spatial, steps if self._has_weights(block) else 2 * steps, knobs)
        outer, inner = list(spatial), []
        if columns > 1:
            outer[-1], part = schedule.split(spatial[-1], [None, columns])
            inner.append(part)
        if rows > 1:
            at = _row(spatial)
            outer[at], part = schedule.split(spatial[at], [None, rows])
            inner.insert(0, part)
        schedule.reorder(*outer, *reduction, *inner)
        schedule.reverse_compute_at(tail, outer[-1])
        return inner

    def _has_weights(self, block: Any) -> bool:
        """Return whether a reduction has two operands. One with a single operand, a pool, shares no loads."""
        return len({_buffer(region).name for region in self._schedule.get(block).reads}) > 1

    def _is_integer(self, block: Any) -> bool:
        return "int" in str(_buffer(self._schedule.get(block).writes[0]).dtype)

    def _tile(self, spatial: Sequence[Any], steps: int, knobs: Knobs) -> Tuple[int, int]:
        """Return rows and columns of the largest tile, the one with the most columns of these.

        More columns share the addresses of one row: on a Cortex-M4F a 3x3 convolution takes 3 % fewer
        instructions with 1x4 elements than with 2x2, and 5 % less code.
        """
        columns = self._extent(spatial[-1])
        rows = self._extent(spatial[_row(spatial)]) if len(spatial) > 1 else 1
        tiles = [
            (row, column)
            for row in range(1, knobs.rows + 1)
            for column in range(1, knobs.columns + 1)
            if rows % row == 0
            and columns % column == 0
            and row * column + row + column <= knobs.registers
            and row * column * steps <= max(knobs.statements, steps)
        ]
        return max(tiles, key=lambda tile: (tile[0] * tile[1], tile[1]))

    def _extent(self, loop: Any) -> int:
        return int(self._schedule.get(loop).extent)

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
