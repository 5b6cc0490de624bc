# SPDX-License-Identifier: Apache-2.0
"""Quantized tensors of a model: integers with a scale and a zero point."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import Node, Value, axis_of

BYTES: Final = (np.dtype(np.int8), np.dtype(np.uint8))


class Quantized(NamedTuple):
    """Tensor of numbers scale * (element - zero point).

    Attributes:
        value: Integers.
        scale: float64: one number, or one for each index of the axis.
        zero_point: int64, of the same shape.
        axis: Axis of the scales; None for one scale.
    """

    value: Value
    scale: Any
    zero_point: Any
    axis: Optional[int] = None

    @property
    def is_bytes(self) -> bool:
        """Return whether the elements have 8 bits and one scale."""
        return self.value.dtype in BYTES and self.axis is None

    @property
    def limits(self) -> Tuple[int, int]:
        """Return the smallest and the largest element."""
        found = np.iinfo(self.value.dtype)
        return int(found.min), int(found.max)

    def numbers(self) -> Optional[Any]:
        """Return the numbers of a constant as float64; None for another tensor."""
        if self.value.data is None:
            return None
        return (self.value.data.astype(np.int64) - self.spread(self.zero_point)) * self.spread(self.scale)

    def spread(self, each: Any) -> Any:
        """Return scales or zero points in a shape that broadcasts with the tensor."""
        if self.axis is None:
            return each
        return each.reshape([-1 if at == self.axis else 1 for at in range(self.value.rank)])


class Target(NamedTuple):
    """Output of QuantizeLinear.

    Attributes:
        scale: Scale.
        zero_point: Zero point.
        dtype: int8 or uint8.
        limits: Smallest and largest element: of the type, or of an activation function.
    """

    scale: float
    zero_point: int
    dtype: Any
    limits: Tuple[int, int]

    def within(self, lowest: float, highest: float) -> Target:
        """Return the target with limits that are numbers."""
        small, large = (
            int(np.clip(np.rint(number / self.scale) + self.zero_point, *self.limits))
            if np.isfinite(number)
            else limit
            for number, limit in zip((lowest, highest), self.limits)
        )
        return self._replace(limits=(small, large))


def target_of(node: Node) -> Optional[Target]:
    """Return the output of a QuantizeLinear; None unless it has 8 bits and one constant scale."""
    scale = node.value(1)
    zero = node.optional(2)
    if scale.data is None or scale.size != 1 or (zero is not None and zero.data is None):
        return None
    dtype = np.dtype(np.uint8) if zero is None else zero.dtype
    if dtype not in BYTES or (zero is None and node.attributes.get("output_dtype", 0)):
        return None
    number = float(scale.data.item())
    if not (np.isfinite(number) and number > 0):
        return None
    limits = np.iinfo(dtype)
    at = 0 if zero is None else int(np.asarray(zero.data).item())
    return Target(number, at, dtype, (int(limits.min), int(limits.max)))


class Tensors:
    """Finder of the integers behind floating-point tensors.

    Attributes:
        ties_away: Whether the mean of integers rounds ties away from zero, not to the even number.
    """

    def __init__(
        self,
        emit: Emitter,
        moves: Dict[str, Callable[[Tensors, Node], Optional[List[Quantized]]]],
        ties_away: bool,
    ) -> None:
        self.ties_away = ties_away
        self._emit = emit
        self._moves = moves
        self._found: Dict[int, Optional[List[Quantized]]] = {}
        self._kept: List[Node] = []  # a number of `_found` belongs to its node as long as that exists

    @property
    def emit(self) -> Emitter:
        """Writer of the graph."""
        return self._emit

    def of(self, value: Value) -> Optional[Quantized]:
        """Return the integers of a tensor; None for one that is not quantized.

        They are found behind DequantizeLinear, and behind operators that only move or select elements, which
        then move the integers.
        """
        node = self._emit.producer(value)
        if node is None:
            return None
        if id(node) not in self._found:
            self._kept.append(node)
            self._found[id(node)] = self._behind(node)
        found = self._found[id(node)]
        return None if found is None else found[self._emit.output_index(value)]

    def _behind(self, node: Node) -> Optional[List[Quantized]]:
        if node.op == "DequantizeLinear":
            found = dequantized(node)
            return None if found is None else [found]
        move = self._moves.get(node.op)
        return None if move is None else move(self, node)


def dequantized(node: Node) -> Optional[Quantized]:
    """Return the input of a DequantizeLinear; None if its scale is not constant or belongs to blocks."""
    scale, zero = node.value(1), node.optional(2)
    if scale.data is None or (zero is not None and zero.data is None) or node.attributes.get("block_size", 0):
        return None
    if scale.dtype != np.dtype(np.float32):
        return None
    value = node.value(0)
    scales = np.asarray(scale.data, np.float64)
    zeros = np.zeros(scales.shape, np.int64) if zero is None else np.asarray(zero.data, np.int64)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        return None
    if scales.size == zeros.size == 1:
        return Quantized(value, scales.reshape(()), zeros.reshape(()))
    axis = axis_of(node, int(node.attributes.get("axis", 1)), value.rank)
    if not scales.shape == zeros.shape == (value.shape[axis],):
        return None
    return Quantized(value, scales, zeros, axis)
