# SPDX-License-Identifier: Apache-2.0
"""Operators that move or select elements: they do the same to integers."""

from __future__ import annotations

from typing import Callable, Dict, Final, List, Optional

import numpy as np

from runtime.host.compile.integers.tensors import Quantized, Tensors
from runtime.host.compile.onnx_rewrite.values import Node, Value

Move = Callable[[Tensors, Node], Optional[List[Quantized]]]


def _moved(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Move the elements of the first input."""
    if len(node.outputs) > 1 and node.wants(1):
        return None
    found = tensors.of(node.value(0))
    if found is None or found.axis is not None:
        return None
    value = tensors.emit.op(node.op, found.value, *node.inputs[1:], **node.attributes)
    return [found._replace(value=value)]


def _split(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Split the integers; return one tensor for each output."""
    found = tensors.of(node.value(0))
    if found is None or found.axis is not None:
        return None
    parts = tensors.emit.ops("Split", len(node.outputs), found.value, *node.inputs[1:], **node.attributes)
    return [found._replace(value=part) for part in parts]


def _transposed(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    found = tensors.of(node.value(0))
    if found is None:
        return None
    order = list(node.attributes.get("perm") or reversed(range(found.value.rank)))
    axis = None if found.axis is None else order.index(found.axis)
    return [found._replace(value=tensors.emit.op("Transpose", found.value, perm=order), axis=axis)]


def _largest_of_channels(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Reduce the axes after the second one: ONNX has GlobalMaxPool only of floating-point numbers."""
    found = tensors.of(node.value(0))
    if found is None or not found.is_bytes:
        return None
    axes = tensors.emit.constant(list(range(2, found.value.rank)))
    if not axes.size:
        return [found]
    return [found._replace(value=tensors.emit.op("ReduceMax", found.value, axes, keepdims=1))]


def _rectified(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Take the maximum of integers and their zero point."""
    found = tensors.of(node.value(0))
    if found is None or not found.is_bytes:
        return None
    zero = tensors.emit.constant(np.asarray(found.zero_point, found.value.dtype))
    return [found._replace(value=tensors.emit.op("Max", found.value, zero))]


def _padded(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Pad with the integer of the constant, if there is one."""
    found = tensors.of(node.value(0))
    if found is None or not found.is_bytes:
        return None
    inputs = [found.value, *node.inputs[1:]]
    if node.attributes.get("mode", "constant") == "constant":
        number = 0.0
        if node.has(2):
            constant = node.value(2)
            if constant.data is None:
                return None
            number = float(constant.data.item())
        integer = number / float(found.scale) + int(found.zero_point)
        low, high = found.limits
        if not low <= integer <= high or abs(integer - round(integer)) > 1e-3:
            return None
        inputs[2:3] = [tensors.emit.constant(np.asarray(round(integer), found.value.dtype))]
    return [found._replace(value=tensors.emit.op("Pad", *inputs, **node.attributes))]


def _joined(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Join tensors of the same scale."""
    found = [tensors.of(value) for value in node.values()]
    first = found[0]
    if first is None or not all(each is not None and _alike(each, first) for each in found):
        return None
    values: List[Value] = [each.value for each in found if each is not None]
    return [first._replace(value=tensors.emit.op("Concat", *values, **node.attributes))]


def _alike(one: Quantized, other: Quantized) -> bool:
    """Return whether equal integers of two tensors are equal numbers."""
    return (
        one.is_bytes
        and other.is_bytes
        and one.value.dtype == other.value.dtype
        and float(one.scale) == float(other.scale)
        and int(one.zero_point) == int(other.zero_point)
    )


def _resized(tensors: Tensors, node: Node) -> Optional[List[Quantized]]:
    """Resize by copies of the nearest element."""
    if node.attributes.get("mode", "nearest") != "nearest" or "extrapolate" in str(
        node.attributes.get("coordinate_transformation_mode", "")
    ):
        return None
    return _moved(tensors, node)


MOVES: Final[Dict[str, Move]] = {
    **dict.fromkeys(
        """
        DepthToSpace Expand Flatten Gather GatherElements GatherND Identity MaxPool ReduceMax ReduceMin
        Reshape Slice SpaceToDepth Squeeze Tile Unsqueeze
        """.split(),  # noqa: SIM905 (a list of words is easier to read)
        _moved,
    ),
    "Concat": _joined,
    "GlobalMaxPool": _largest_of_channels,
    "Pad": _padded,
    "Relu": _rectified,
    "Resize": _resized,
    "Split": _split,
    "Transpose": _transposed,
}
"""Operator -> function that returns its output as integers, or None."""
