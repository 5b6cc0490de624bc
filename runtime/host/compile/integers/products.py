# SPDX-License-Identifier: Apache-2.0
"""Convolutions and matrix products of quantized tensors."""

from __future__ import annotations

from typing import Any, Dict, Final, List, NamedTuple, Optional

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import LARGEST, RANGE, fixed_point
from runtime.host.compile.integers.tensors import Quantized, Target, Tensors
from runtime.host.compile.integers.windows import window_counts
from runtime.host.compile.onnx_rewrite.parts import reshaped
from runtime.host.compile.onnx_rewrite.values import Node, Value

LARGEST_WEIGHT: Final = 127
LARGEST_REST: Final = 1 / 64  # of a bias, in steps of the result
CONSTANT: Final = 1 / 256  # steps
FINE: Final = 1 / 1024  # steps


class _Weights(NamedTuple):
    """Constant weights, their scales, the bias with the zero point of x in it, and the bounds of the sums.

    Attributes:
        elements: Output channels first: int8, or int16 where they do not fit.
        scales: float64, of x times weights, for each channel or one.
        bias: int64, for each channel.
        bounds: Largest absolute sum of each channel.
        rest: Difference of the bias from its nearest integer, for each channel.
    """

    elements: Any
    scales: Any
    bias: Any
    bounds: Any
    rest: Any


def integer_conv(tensors: Tensors, node: Node, target: Optional[Target]) -> Optional[Value]:
    """Return a convolution of integers; a floating-point one without a target."""
    x, weights = tensors.of(node.value(0)), tensors.of(node.value(1))
    rank = node.value(0).rank
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or rank < 3:
        return None
    made = _weights(tensors, x, weights, node.optional(2), 0)
    if x is None or made is None:
        return None
    pads = list(node.attributes.get("pads", [0] * 2 * (rank - 2)))
    strides, dilations = (
        list(node.attributes.get(name, [1] * (rank - 2))) for name in ("strides", "dilations")
    )
    made_channels, _, *window = made.elements.shape
    extents = window_counts(x.value.shape[2:], window, strides, dilations, pads)
    return _scaled(
        tensors,
        operators.CONV,
        [x.value],
        made,
        target,
        [x.value.shape[0], made_channels, *extents],
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=int(node.attributes.get("group", 1)),
        zero_point=int(x.zero_point),
    )


def integer_conv_transpose(tensors: Tensors, node: Node, target: Optional[Target]) -> Optional[Value]:
    """Return a transposed convolution of integers, as a convolution of x with zeros between its elements."""
    x, weights = tensors.of(node.value(0)), tensors.of(node.value(1))
    rank = node.value(0).rank - 2
    attributes = node.attributes
    if (
        x is None
        or weights is None
        or weights.value.data is None
        or rank < 1
        or attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        or "output_shape" in attributes
    ):
        return None
    group = int(attributes.get("group", 1))
    if weights.axis not in (None, 1) or (weights.axis == 1 and group > 1):
        return None
    made = _weights(tensors, x, _reversed_windows(tensors, weights, group), node.optional(2), 0)
    if made is None:
        return None
    strides, steps, extra = (
        list(attributes.get(name, [default] * rank))
        for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads = list(attributes.get("pads", [0] * 2 * rank))
    reach = [steps[at] * (made.elements.shape[2 + at] - 1) for at in range(rank)]
    around = [reach[at] - pads[at] for at in range(rank)]
    around += [reach[at] - pads[rank + at] + extra[at] for at in range(rank)]
    if min(around) < 0:
        return None
    extents = [
        (x.value.shape[2 + at] - 1) * strides[at] + 1 + around[at] + around[rank + at] - reach[at]
        for at in range(rank)
    ]
    return _scaled(
        tensors,
        operators.CONV_TRANSPOSE,
        [x.value],
        made,
        target,
        [x.value.shape[0], made.elements.shape[0], *extents],
        strides=strides,
        dilations=steps,
        pads=around,
        group=group,
        zero_point=int(x.zero_point),
    )


def _reversed_windows(tensors: Tensors, weights: Quantized, group: int) -> Quantized:
    """Return weights I(O/g)... as (O)(I/g)... with reversed windows."""
    data = np.asarray(weights.value.data)
    taken, made = data.shape[:2]
    grouped = data.reshape(group, taken // group, made, *data.shape[2:]).swapaxes(1, 2)
    turned = np.flip(
        grouped.reshape(group * made, taken // group, *data.shape[2:]), tuple(range(2, data.ndim))
    )
    return weights._replace(
        value=tensors.emit.constant(np.ascontiguousarray(turned)), axis=None if weights.axis is None else 0
    )


def integer_batch_norm(tensors: Tensors, node: Node, target: Optional[Target]) -> Optional[Value]:
    """Return factor * x + term for each channel, as a convolution of one tap.

    All weights are the largest ones, so that the term in units of the sums is exact enough.
    """
    x = tensors.of(node.value(0))
    numbers = [_numbers(tensors, node.value(index)) for index in range(1, 5)]
    constants = [array for array in numbers if array is not None]
    if x is None or not x.is_bytes or x.value.rank < 3 or len(constants) < len(numbers):
        return None
    scale, shift, mean, variance = constants
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    term = shift - factor * mean
    if not (np.isfinite(factor).all() and np.isfinite(term).all()):
        return None
    channels, rank = x.value.shape[1], x.value.rank - 2
    taps = (LARGEST_WEIGHT * np.sign(factor)).astype(np.int8).reshape(channels, 1, *[1] * rank)
    scales = np.where(factor == 0, 1.0, np.abs(factor)) / LARGEST_WEIGHT
    weights = Quantized(tensors.emit.constant(taps), scales, np.zeros(channels, np.int64), 0)
    made = _weights(tensors, x, weights, tensors.emit.constant(term), 0)
    if made is None:
        return None
    return _scaled(
        tensors,
        operators.CONV,
        [x.value],
        made,
        target,
        list(x.value.shape),
        strides=[1] * rank,
        dilations=[1] * rank,
        pads=[0] * 2 * rank,
        group=channels,
        zero_point=int(x.zero_point),
    )


def integer_gemm(tensors: Tensors, node: Node, target: Optional[Target]) -> Optional[Value]:
    """Return a Gemm of integers with constant weights."""
    attributes = node.attributes
    if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
        return None
    x, weights = tensors.of(node.value(0)), tensors.of(node.value(1))
    if weights is not None and not attributes.get("transB", 0):
        weights = _turned(tensors, weights)
    made = _weights(tensors, x, weights, node.optional(2), 0)
    if x is None or made is None:
        return None
    shape = [x.value.shape[0], made.elements.shape[0]]
    return _scaled(tensors, operators.DENSE, [x.value], made, target, shape)


def integer_matmul(
    tensors: Tensors, node: Node, target: Optional[Target], bias: Optional[Value] = None
) -> Optional[Value]:
    """Return a product of integers.

    Args:
        tensors: Finder of integers.
        node: MatMul.
        target: Output; None for floating-point numbers.
        bias: Numbers that are added to each row.
    """
    x, y = tensors.of(node.value(0)), tensors.of(node.value(1))
    if x is None or y is None:
        return None
    if y.value.data is not None and y.value.rank == 2 and x.value.rank >= 2:
        made = _weights(tensors, x, _turned(tensors, y), bias, 0)
        if made is None:
            return None
        *batch, depth = x.value.shape
        rows = int(np.prod(batch))
        flat = reshaped(tensors.emit, x.value, (rows, depth)) if len(batch) != 1 else x.value
        columns = made.elements.shape[0]
        answer = _scaled(tensors, operators.DENSE, [flat], made, target, [rows, columns])
        return (
            answer if answer is None or len(batch) == 1 else reshaped(tensors.emit, answer, (*batch, columns))
        )
    return None if bias is not None else _product_of_tensors(tensors, x, y, node, target)


def _product_of_tensors(
    tensors: Tensors, x: Quantized, y: Quantized, node: Node, target: Optional[Target]
) -> Optional[Value]:
    """Return the product of two tensors of which none, or one of more than two axes, is constant."""
    if not (x.is_bytes and y.is_bytes) or min(x.value.rank, y.value.rank) < 2:
        return None
    batch = np.broadcast_shapes(x.value.shape[:-2], y.value.shape[:-2])
    bound = _largest(x) * _largest(y) * x.value.shape[-1]
    made = _Weights(None, np.array([float(x.scale) * float(y.scale)]), None, np.array([bound]), 0.0)
    return _scaled(
        tensors,
        operators.MATMUL,
        [x.value, y.value],
        made,
        target,
        [*batch, x.value.shape[-2], y.value.shape[-1]],
        zero_points=[int(x.zero_point), int(y.zero_point)],
    )


def _largest(tensor: Quantized) -> int:
    """Return the largest absolute value of an element less its zero point."""
    return max(abs(limit - int(tensor.zero_point)) for limit in tensor.limits)


def _turned(tensors: Tensors, weights: Quantized) -> Optional[Quantized]:
    """Return the transpose of a constant matrix."""
    if weights.value.data is None or weights.value.rank != 2:
        return None
    value = tensors.emit.constant(np.ascontiguousarray(np.asarray(weights.value.data).T))
    return weights._replace(value=value, axis=None if weights.axis is None else 1 - weights.axis)


def _weights(
    tensors: Tensors, x: Optional[Quantized], weights: Optional[Quantized], bias: Optional[Value], axis: int
) -> Optional[_Weights]:
    """Return constant weights and bias as integers; None if they have no such form."""
    if x is None or not x.is_bytes or weights is None or weights.axis not in (None, axis):
        return None
    if weights.value.data is None or weights.value.dtype.itemsize > 1:
        return None
    elements = weights.value.data.astype(np.int64) - weights.spread(weights.zero_point)
    channels = elements.shape[0]
    scales = float(x.scale) * np.atleast_1d(weights.scale)
    numbers = _numbers(tensors, bias)
    if numbers is None or numbers.size not in (1, channels) or numbers.size != (1, *numbers.shape)[-1]:
        return None
    exact = np.broadcast_to(numbers.reshape(-1), (channels,)) / scales
    rounded = np.rint(exact)
    sums = elements.reshape(channels, -1).sum(1)
    magnitudes = np.abs(elements).reshape(channels, -1).sum(1)
    if not np.isfinite(rounded).all() or np.abs(rounded).max() > LARGEST:
        return None
    shifted = rounded.astype(np.int64) - int(x.zero_point) * sums
    # Each partial sum has x as it is stored; the whole sum has the bias besides.
    bounds = magnitudes * max(map(abs, x.limits)) + np.abs(shifted)
    if bounds.max() > LARGEST:
        return None
    fits = elements.min() >= -128 and elements.max() <= 127
    weighted = elements.astype(np.int8 if fits else np.int16)
    return _Weights(weighted, scales, shifted, bounds, exact - rounded)


def _numbers(tensors: Tensors, bias: Optional[Value]) -> Optional[Any]:
    """Return a constant bias as float64, zero without one; None if it is not constant."""
    if bias is None:
        return np.zeros(1)
    if bias.data is not None:
        return np.asarray(bias.data, np.float64)
    found = tensors.of(bias)
    return None if found is None else found.numbers()


def _scaled(
    tensors: Tensors,
    op: str,
    inputs: List[Value],
    made: _Weights,
    target: Optional[Target],
    shape: List[int],
    **attributes: Any,
) -> Optional[Value]:
    """Emit an operator whose sums are rescaled to the target, or to floating-point numbers."""
    emit = tensors.emit
    if target is not None and made.elements is not None:
        made = _with_constant_channels(made, target)
    rest = np.abs(made.rest * made.scales).max()
    if made.bounds.max() > LARGEST or (target is not None and rest > LARGEST_REST * target.scale):
        return None
    if target is None:
        multipliers = made.scales.astype(np.float32)
        rescaling: Dict[str, Any] = {"form": operators.FLOAT}
        dtype: Any = np.float32
    else:
        found = fixed_point(made.scales / target.scale, made.bounds, target.zero_point, target.limits)
        if found is None:
            return None
        multipliers, rescaling, dtype = found.multipliers, found.attributes(), target.dtype
    before = rescaling.get("before", 0)
    constants = [] if made.elements is None else [made.elements, (made.bias << before).astype(np.int32)]
    result = emit.own(
        op,
        *inputs,
        *(emit.constant(array) for array in (*constants, multipliers)),
        dtype=dtype,
        shape=shape,
        **attributes,
        **rescaling,
    )
    if target is not None or np.abs(made.rest).max() <= LARGEST_REST:
        return result
    # A quantizer's bias is a multiple of its scale; another one is not.
    columns = [1] * (len(shape) - 2 if op != operators.DENSE else 0)
    rest = (made.rest * made.scales).astype(np.float32).reshape(-1, *columns)
    return emit.op("Add", result, emit.constant(rest))


def _with_constant_channels(made: _Weights, target: Target) -> _Weights:
    """Return weights in which a channel that x changes by less than CONSTANT steps has no weights.

    Networks that were trained with batch normalization have such channels. Their scale is so small that no
    fixed point holds it with the others; the new one gives their bias in units of FINE steps.
    """
    steps = made.scales / target.scale
    is_constant = (made.bounds - np.abs(made.bias)) * steps < CONSTANT
    if made.scales.size != made.bias.size or not is_constant.any():
        return made
    constant = np.rint(np.clip(made.bias * steps, -RANGE, RANGE) / FINE).astype(np.int64)
    elements = made.elements.copy()
    elements[is_constant] = 0
    bias = np.where(is_constant, constant, made.bias)
    return _Weights(
        elements,
        np.where(is_constant, FINE * target.scale, made.scales),
        bias,
        np.where(is_constant, np.abs(bias), made.bounds),
        np.where(is_constant, 0.0, made.rest),
    )


PRODUCTS: Final = {
    "BatchNormalization": integer_batch_norm,
    "Conv": integer_conv,
    "ConvTranspose": integer_conv_transpose,
    "Gemm": integer_gemm,
    "MatMul": integer_matmul,
}
"""Operator -> function that returns its output as integers, or None."""
