# SPDX-License-Identifier: Apache-2.0
"""Operators of our domain: each computes one quantized tensor from others with integer arithmetic.

Each operator has the attributes output_type and output_shape. Operators whose sum is rescaled have those of
FixedPoint besides, and its multipliers as an input.
"""

from __future__ import annotations

from typing import Final

TIES_AWAY: Final = "ties_away"
"""Key in metadata_props of a model whose means of integers round ties away from zero: TensorFlow Lite."""

CONV: Final = "IntegerConv"
"""Convolution. Inputs: x NC..., weights OI..., bias O, multipliers O or 1. Attributes: strides, dilations,
pads (all begins, then all ends), group, zero_point (of x, for the padding)."""

CONV_TRANSPOSE: Final = "IntegerConvTranspose"
"""Transposed convolution. Inputs as for CONV with weights OI... that are reversed along each window axis.
Attributes: strides (of the inserted elements), dilations, pads (after the insertion), group, zero_point."""

DENSE: Final = "IntegerDense"
"""Product with constant weights. Inputs: x MK, weights NK, bias N, multipliers N or 1."""

MATMUL: Final = "IntegerMatMul"
"""Product of two tensors, ...MK and ...KN. Inputs: x, y, multipliers 1. Attributes: zero_points of both."""

SUM: Final = "IntegerSum"
"""Sum of two tensors with their factors. Inputs: x, y. Attributes: factors, offset, shift."""

PRODUCT: Final = "IntegerMul"
"""Product of two tensors by element. Inputs: x, y, multipliers 1. Attributes: zero_points of both."""

REDUCE: Final = "IntegerReduceSum"
"""Sum over axes. Inputs: x, multipliers 1. Attributes: axes, bias. Extents of 1 remain."""

POOL: Final = "IntegerAveragePool"
"""Sum over windows. Inputs: x NC..., multipliers with an element for each position, or 1. Attributes:
kernel_shape, strides, dilations, pads, padding (its element), bias."""

RESIZE: Final = "IntegerResize"
"""Weighted sum of a few elements along each resized axis. Inputs: x, multipliers 1, and for each axis indices
and weights, both (new extent, taps). Attributes: axes, bias."""

TABLE: Final = "IntegerTable"
"""Function of each element. Inputs: x, table of 256. Attribute: first (added to an index)."""

SOFTMAX: Final = "IntegerSoftmax"
"""Softmax along an axis. Inputs: x, table of the exponentials of 0, -1, ... -255 steps. Attributes: axis,
factor, shift (of the sum), zero_point (of the output), highest."""

FLOAT: Final = 0
"""Form of a sum that becomes a floating-point number: the multipliers are floating-point numbers."""

NARROW: Final = 1
"""(sum * multiplier + offset) >> shift in 32 bits."""

HIGH: Final = 2
"""((((sum << before) * multiplier) >> 32) + offset) >> shift: 32 bits after the high word of the product.
The bias of the sum is given with `before` applied, so that a processor adds and shifts in one instruction."""

WIDE: Final = 3
"""(sum * multiplier + offset) >> shift in 64 bits."""

EVEN: Final = 4
"""(sum + bias) / divisor + zero_point, with ties to the even number; the divisors are the multipliers."""

AWAY: Final = 5
"""sum / divisor, with ties away from zero."""
