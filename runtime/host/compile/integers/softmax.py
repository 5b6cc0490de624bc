# SPDX-License-Identifier: Apache-2.0
"""Softmax of a quantized tensor: exponentials from a table, and one division for each element."""

from __future__ import annotations

from math import ceil, log2
from typing import Final, NamedTuple, Optional

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.tensors import Target, Tensors
from runtime.host.compile.onnx_rewrite.values import Node, Value, axis_of

STEPS: Final = 256
MOST_BITS: Final = 22  # of an exponential
MOST_SHIFT: Final = 8  # bits of a factor that is not an integer
LARGEST_ERROR: Final = 1 / 2  # steps, if the roundings of all exponentials have one direction


class _Factor(NamedTuple):
    """Factor of an exponential, in units of the result.

    Attributes:
        factor: Integer.
        shift: Bits that the sum is shifted to the left for it.
        bits: Bits of an exponential.
        error: Largest error of the result in steps.
    """

    factor: int
    shift: int
    bits: int
    error: float


def _factor(inverse: float, count: int, shift: int) -> Optional[_Factor]:
    """Return the factor of a shift; None if it leaves no bits for the exponentials.

    Args:
        inverse: Steps of the result for a share of 1.
        count: Exponentials of a sum. Each may be wrong by half a unit, all in one direction.
        shift: Bits of the fraction.
    """
    factor = round(inverse * 2.0**shift)
    bits = min(MOST_BITS, 31 - factor.bit_length(), 31 - ceil(log2(count)) - shift)
    if bits < 1 or factor == 0:
        return None
    largest = min(inverse, STEPS)
    error = (inverse + largest * (count - 1)) / 2 ** (bits + 1)
    return _Factor(factor, shift, bits, error + largest * abs(factor / 2.0**shift / inverse - 1))


def integer_softmax(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the softmax: (exponential * factor) / (sum << shift), rounded, in 32 bits without sign."""
    x = tensors.of(node.value(0))
    if x is None or not x.is_bytes:
        return None
    axis = axis_of(node, int(node.attributes.get("axis", -1)), x.value.rank)
    inverse = 1 / target.scale
    found = [_factor(inverse, x.value.shape[axis], shift) for shift in range(MOST_SHIFT + 1)]
    best = min((each for each in found if each is not None), key=lambda each: each.error, default=None)
    if best is None or best.error > LARGEST_ERROR:
        return None
    table = np.rint(np.exp(-float(x.scale) * np.arange(STEPS)) * 2.0**best.bits).astype(np.uint32)
    emit = tensors.emit
    return emit.own(
        operators.SOFTMAX,
        x.value,
        emit.constant(table),
        dtype=target.dtype,
        shape=x.value.shape,
        axis=axis,
        factor=best.factor,
        shift=best.shift,
        zero_point=target.zero_point,
        lowest=target.limits[0],
        highest=target.limits[1],
    )
