# SPDX-License-Identifier: Apache-2.0
"""Quantized operators as QuantizeLinear and DequantizeLinear around operators of floating-point numbers.

The integer kernels of the compiler are found by that form.
"""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import cast, reshaped
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value, axis_of

EXACT: Final = 1 << 24
"""Largest integer up to which float32 has all integers."""


def _qlinear_conv(emit: Emitter, node: Node) -> Sequence[Item]:
    data, data_scale, data_zero = (node.value(index) for index in (0, 1, 2))
    weights, scale, zero = (node.value(index) for index in (3, 4, 5))
    inputs = [
        emit.op("DequantizeLinear", data, data_scale, data_zero),
        emit.op("DequantizeLinear", weights, scale, zero, axis=0),
    ]
    if node.has(8):
        step = emit.op("Mul", scale, data_scale)
        inputs.append(emit.op("DequantizeLinear", node.value(8), step, axis=0))
    answer = emit.op("Conv", *inputs, **node.attributes)
    return [emit.op("QuantizeLinear", answer, node.value(6), node.value(7))]


def _qlinear_matmul(emit: Emitter, node: Node) -> Sequence[Item]:
    inputs = []
    for index in (0, 3):
        data, scale, zero = (node.value(index + offset) for offset in range(3))
        if scale.size > 1:
            raise node.refusal("it has a scale for each row or column", "Use one scale for each tensor.")
        inputs.append(emit.op("DequantizeLinear", data, reshaped(emit, scale, ()), reshaped(emit, zero, ())))
    answer = emit.op("MatMul", *inputs)
    scale, zero = (reshaped(emit, node.value(index), ()) for index in (6, 7))
    return [emit.op("QuantizeLinear", answer, scale, zero)]


def _conv_integer(emit: Emitter, node: Node) -> Sequence[Item]:
    """Convolve floating-point numbers, which is exact while the sums are small enough."""
    data, weights = node.value(0), node.value(1)
    if int(np.prod(weights.shape[1:], dtype=np.int64)) * 255 * 255 > EXACT:
        raise node.refusal("its sums are too large for float32", "Use QLinearConv.")
    centered = []
    for index, value in enumerate((data, weights)):
        number = cast(emit, value, np.float32)
        zero = node.optional(2 + index)
        if zero is not None:
            shape = (zero.size, *[1] * (value.rank - 1)) if zero.size > 1 else ()
            number = emit.op("Sub", number, reshaped(emit, cast(emit, zero, np.float32), shape))
        centered.append(number)
    return [cast(emit, emit.op("Conv", *centered, **node.attributes), np.int32)]


def _blocks(emit: Emitter, node: Node, value: Value, part: Value) -> Value:
    """Return a scale or zero point of blocks with one element for each element of the value."""
    axis = axis_of(node, int(node.attributes.get("axis", 1)), value.rank)
    block = int(node.attributes["block_size"])
    indices = np.arange(value.shape[axis], dtype=np.int64) // block
    return emit.op("Gather", part, emit.constant(indices), axis=axis)


def _dequantize(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    number = _number(node)
    if number is not None:
        return [emit.constant(number)]
    if not node.attributes.get("block_size", 0):
        return None
    data, scale = node.value(0), _blocks(emit, node, node.value(0), node.value(1))
    centered = cast(emit, data, scale.dtype)
    if node.has(2):
        zero = _blocks(emit, node, data, node.value(2))
        centered = emit.op("Sub", centered, cast(emit, zero, scale.dtype))
    return [emit.op("Mul", centered, scale)]


def _number(node: Node) -> Optional[Any]:
    """Return the output of a DequantizeLinear of one constant integer; None for another node.

    The importer reads parameters such as the value of a Pad only from constants.
    """
    constants = [value.data for value in node.values()]
    known = [np.asarray(data) for data in constants if data is not None and data.size == 1]
    if len(known) < len(constants) or known[0].dtype.kind not in "iu":
        return None
    element, scale, *zero = known
    centered = element.astype(np.int64) - (zero[0].astype(np.int64).reshape(()) if zero else 0)
    return (centered * scale.reshape(())).astype(scale.dtype)


def _quantize(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    from onnx import helper

    if not node.attributes.get("block_size", 0):
        return None
    data, scale = node.value(0), _blocks(emit, node, node.value(0), node.value(1))
    dtype: Any = np.dtype(np.uint8)
    if node.has(2):
        dtype = node.value(2).dtype
    elif node.attributes.get("output_dtype", 0):
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["output_dtype"]))
    if dtype.kind not in "iu":
        raise node.refusal(f"element type {dtype} has no counterpart in C", "Quantize to int8.")
    number = emit.op("Round", emit.op("Div", data, scale))
    if node.has(2):
        zero = _blocks(emit, node, data, node.value(2))
        number = emit.op("Add", number, cast(emit, zero, number.dtype))
    limits = np.iinfo(dtype)
    bounded = emit.op("Clip", number, emit.like(limits.min, number), emit.like(limits.max, number))
    return [cast(emit, bounded, dtype)]


RULES: Final[Dict[str, Rule]] = {
    "ConvInteger": _conv_integer,
    "DequantizeLinear": _dequantize,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize,
}
