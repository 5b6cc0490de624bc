# SPDX-License-Identifier: Apache-2.0
"""Tensors whose order of axes is not written yet.

A view stands for a tensor of the old graph: the base, which exists in the new graph, then a transpose, then
a reshape. Only `Layout.value` writes them, for a node that needs the tensor in its old order.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.parts import reshaped, transposed
from runtime.host.compile.onnx_rewrite.values import Value


@functools.lru_cache(maxsize=None)
def _operators() -> FrozenSet[str]:
    """Return the operators of ONNX. Listing them takes 30 ms."""
    from onnx import defs

    return frozenset(schema.name for schema in defs.get_all_schemas())


def plain_emitter() -> Emitter:
    """Return a writer of graphs that keeps all operators of the target opset."""
    return Emitter({}, {}, _operators(), lambda _emit, node: node)


Key = Tuple[str, Tuple[int, ...], Tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class View:
    """A tensor of the old graph.

    Attributes:
        base: Tensor of the new graph.
        perm: Order of the axes of the base, as for ONNX's Transpose.
        shape: Shape after the transpose and the reshape.
    """

    base: Value
    perm: Tuple[int, ...]
    shape: Tuple[int, ...]

    @property
    def moved(self) -> Tuple[int, ...]:
        """Return the shape after the transpose, before the reshape."""
        return tuple(self.base.shape[axis] for axis in self.perm)

    @property
    def is_transposed(self) -> bool:
        """Return whether the view is only a transpose, perhaps one that changes nothing."""
        return self.moved == self.shape

    @property
    def is_plain(self) -> bool:
        """Return whether the view is its base."""
        return self.is_transposed and self.perm == tuple(range(len(self.perm)))

    @property
    def keeps_order(self) -> bool:
        """Return whether the elements have the same order in memory as in the base."""
        longer = [axis for axis in self.perm if self.base.shape[axis] != 1]
        return longer == sorted(longer)

    @property
    def inverse(self) -> Tuple[int, ...]:
        """Return the transpose that gives the base for the tensor before the reshape."""
        return tuple(int(axis) for axis in np.argsort(self.perm))


def plain(value: Value) -> View:
    """Return the view of a tensor that is in the new graph as it was."""
    return View(value, tuple(range(value.rank)), tuple(value.shape))


class Layout:
    """Writer of the new graph.

    Attributes:
        emit: Nodes and constants of the new graph.
    """

    def __init__(self, emit: Emitter) -> None:
        self.emit = emit
        self._written: Dict[Key, Value] = {}

    def value(self, view: View) -> Value:
        """Return the tensor of a view, and write its transpose and reshape if it has some.

        They are written before a DequantizeLinear, which is read with the operator behind it.
        """
        if view.is_plain:
            return view.base
        key = (view.base.name, view.perm, view.shape)
        if key not in self._written:
            self._written[key] = self._before_scale(view) or self._moved(view)
        return self._written[key]

    def _before_scale(self, view: View) -> Optional[Value]:
        """Return the tensor of a view of dequantized numbers with one scale; None for others."""
        node = self.emit.producer(view.base)
        if node is None or node.op != "DequantizeLinear" or node.value(1).size != 1:
            return None
        integers = self.value(dataclasses.replace(view, base=node.value(0)))
        return self.emit.op("DequantizeLinear", integers, *node.values()[1:])

    def _moved(self, view: View) -> Value:
        if not view.keeps_order:
            return reshaped(self.emit, transposed(self.emit, view.base, view.perm), view.shape)
        node = self.emit.producer(view.base)
        source = node.value(0) if node is not None and node.op == "Reshape" else view.base
        return reshaped(self.emit, source, view.shape)

    def transposed(self, view: View, perm: Sequence[int]) -> View:
        """Return the view of a transpose of a view."""
        if not view.is_transposed:
            view = plain(self.value(view))
        order = tuple(view.perm[axis] for axis in perm)
        return View(view.base, order, tuple(view.base.shape[axis] for axis in order))

    def reshaped(self, view: View, shape: Tuple[int, ...]) -> View:
        """Return the view of a reshape of a view."""
        if view.keeps_order:
            return plain(self.value(dataclasses.replace(view, shape=shape)))
        if view.is_transposed:
            squeezed = [extent for extent in view.shape if extent != 1]
            if squeezed == [extent for extent in shape if extent != 1]:
                return self._with_units(view, shape)
        return dataclasses.replace(view, shape=shape)

    def _with_units(self, view: View, shape: Tuple[int, ...]) -> View:
        """Return the view of a reshape that only removes and adds extents of 1.

        Each new axis of extent 1 comes before the axis of the base that follows it in the new shape, so that
        channels that are second in the base stay second.
        """
        longer = [axis for axis in view.perm if view.base.shape[axis] != 1]
        order: List[List[int]] = [
            [] for _ in range(view.base.rank + 1)
        ]  # new axes before each axis of the base
        rest = iter(longer)
        waiting: List[int] = []
        for axis, extent in enumerate(shape):
            waiting.append(axis)
            if extent != 1:
                order[next(rest)] += waiting
                waiting = []
        order[-1] += waiting
        axes = [axis for group in order for axis in group]
        base = reshaped(self.emit, view.base, [shape[axis] for axis in axes])
        return View(base, tuple(axes.index(axis) for axis in range(len(shape))), shape)
