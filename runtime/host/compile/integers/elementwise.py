# SPDX-License-Identifier: Apache-2.0
"""Operators by element: sums and products of two quantized tensors, tables of one, and rows of several."""

from __future__ import annotations

from math import floor, log2
from typing import Any, Dict, Final, FrozenSet, Optional

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import LARGEST, MOST_SHIFT, fixed_point
from runtime.host.compile.integers.products import integer_matmul
from runtime.host.compile.integers.tensors import BYTES, Quantized, Target, Tensors
from runtime.host.compile.onnx_rewrite import folding
from runtime.host.compile.onnx_rewrite.values import Node, Value

LEAST_SHIFT: Final = 12  # below it a factor has too few bits for a sixteenth of a step
STEPS: Final = 512  # room for the zero point and the rounding of the result
MOST_NODES: Final = 32  # of a function that becomes a table

FUNCTIONS: Final[FrozenSet[str]] = frozenset(
    """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Div Elu Erf Exp Floor Gelu HardSigmoid
    HardSwish LeakyRelu Log Max Min Mish Mod Mul Neg Pow PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign
    Sin Sinh Softplus Softsign Sqrt Sub Swish Tan Tanh ThresholdedRelu
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators by element: what they compute from one tensor and numbers is a function of its elements."""


def table_of(tensors: Tensors, value: Value, target: Target) -> Optional[Value]:
    """Return a tensor as a table of the only quantized tensor that it is computed from by element.

    Args:
        tensors: Finder of integers.
        value: Floating-point tensor.
        target: Output.
    """
    source = _argument_of(tensors, value)
    if source is None:
        return None
    low, high = source.limits
    elements = np.arange(low, high + 1)
    results = _computed(tensors, value, elements)
    if results is None:
        return None
    with np.errstate(invalid="ignore"):
        steps = np.rint(results.astype(np.float64) / target.scale) + target.zero_point
    if np.isnan(steps).any():
        return None
    table = np.clip(steps, *target.limits).astype(target.dtype)
    if source.value.dtype == target.dtype and (table == elements).all():
        return source.value
    emit = tensors.emit
    return emit.own(
        operators.TABLE,
        source.value,
        emit.constant(table),
        dtype=target.dtype,
        shape=source.value.shape,
        first=int(-low),
    )


def _argument_of(tensors: Tensors, value: Value) -> Optional[Quantized]:
    """Return the only integers that a value is a function of, by element; None for another value.

    The same integers may stand for several tensors of different scales.
    """
    nodes = 0
    source: Optional[Quantized] = None
    waiting, seen = [value], set()
    while waiting:
        each = waiting.pop()
        if each.name in seen or (each.data is not None and each.size == 1):
            continue
        seen.add(each.name)
        found = tensors.of(each)
        if found is not None:
            if not found.is_bytes or found.value.data is not None or found.value.shape != value.shape:
                return None
            if source is not None and found.value.name != source.value.name:
                return None
            source = found
            continue
        node = tensors.emit.producer(each)
        if node is None or node.op not in FUNCTIONS or nodes >= MOST_NODES or each.shape != value.shape:
            return None
        nodes += 1
        waiting += [item for item in node.inputs if isinstance(item, Value)]
    return source


def _computed(tensors: Tensors, value: Value, elements: Any) -> Optional[Any]:
    """Return a value for all elements of its argument; None if it cannot be computed."""
    known: Dict[str, Value] = {}

    def of(each: Value) -> Optional[Value]:
        """Return a value with its elements."""
        if each.data is not None:
            return Value(each.name, each.dtype, (), np.asarray(each.data).reshape(()))
        if each.name in known:
            return known[each.name]
        found = tensors.of(each)
        if found is not None:
            numbers = ((elements - int(found.zero_point)) * float(found.scale)).astype(np.float32)
            return Value(each.name, each.dtype, elements.shape, numbers)
        node = tensors.emit.producer(each)
        assert node is not None
        inputs = [
            None if item is None else of(item)
            for item in node.inputs
            if item is None or isinstance(item, Value)
        ]
        if len(inputs) != len(node.inputs):
            return None
        if any(given is not None and made is None for given, made in zip(node.inputs, inputs)):
            return None
        alone = Node(node.op, list(inputs), node.attributes, ["y"], node.name, node.opset)
        results = folding.folded(alone)
        if results is None or results[0].shape != elements.shape:
            return None
        known[each.name] = Value(each.name, each.dtype, elements.shape, results[0])
        return known[each.name]

    result = of(value)
    return None if result is None else result.data


def integer_sum(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the sum or difference of two tensors, or a product of matrices with its bias."""
    for bias, product in ((node.value(1), node.value(0)), (node.value(0), node.value(1))):
        inner = tensors.emit.producer(product)
        if node.op == "Add" and inner is not None and inner.op == "MatMul" and tensors.of(product) is None:
            is_row = bias.rank <= 1 or bias.size == bias.shape[-1]
            if not is_row or bias.rank > product.rank:
                return None
            return integer_matmul(tensors, inner, target, bias)
    one, other = (tensors.of(value) for value in node.values())
    if one is None or other is None or not (one.is_bytes and other.is_bytes):
        return None
    scales = [float(one.scale) / target.scale, float(other.scale) / target.scale]
    reach = sum(scale * _reach(each) for scale, each in zip(scales, (one, other)))
    shift = min(MOST_SHIFT, floor(log2(LARGEST / (reach + STEPS))))
    if shift < LEAST_SHIFT:
        return None
    signs = (1, -1 if node.op == "Sub" else 1)
    factors = [sign * round(scale * 2.0**shift) for sign, scale in zip(signs, scales)]
    zeros = [int(one.zero_point), int(other.zero_point)]
    offset = (target.zero_point << shift) + (1 << shift >> 1)
    offset -= sum(factor * zero for factor, zero in zip(factors, zeros))
    shape = np.broadcast_shapes(one.value.shape, other.value.shape)
    return tensors.emit.own(
        operators.SUM,
        one.value,
        other.value,
        dtype=target.dtype,
        shape=shape,
        factors=factors,
        offset=offset,
        shift=shift,
        lowest=target.limits[0],
        highest=target.limits[1],
    )


def _reach(tensor: Quantized) -> int:
    """Return the largest absolute integer, less the zero point, or as it is stored."""
    low, high = tensor.limits
    zero = int(tensor.zero_point)
    return max(abs(low), abs(high)) + abs(zero)


def integer_product(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the product of two tensors by element."""
    one, other = (tensors.of(value) for value in node.values())
    if one is None or other is None or not (one.is_bytes and other.is_bytes):
        return None
    bound = _reach(one) * _reach(other)
    scale = float(one.scale) * float(other.scale) / target.scale
    found = fixed_point(scale, bound, target.zero_point, target.limits)
    if found is None:
        return None
    emit = tensors.emit
    return emit.own(
        operators.PRODUCT,
        one.value,
        other.value,
        emit.constant(found.multipliers),
        dtype=target.dtype,
        shape=np.broadcast_shapes(one.value.shape, other.value.shape),
        zero_points=[int(one.zero_point), int(other.zero_point)],
        **found.attributes(),
    )


def integer_concat(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return tensors of several scales, each brought to that of the result, in a row."""
    parts = [table_of(tensors, value, target) for value in node.values()]
    if any(part is None for part in parts):
        return None
    return tensors.emit.op("Concat", *parts, **node.attributes)


ELEMENTWISE: Final = {
    "Add": integer_sum,
    "Concat": integer_concat,
    "Mul": integer_product,
    "Sub": integer_sum,
}
"""Operator -> function that returns its output as integers, or None."""

assert all(dtype.itemsize == 1 for dtype in BYTES), "a table has 256 elements"
