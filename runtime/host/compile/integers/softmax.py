# SPDX-License-Identifier: Apache-2.0
"""Softmax of a quantized tensor: exponentials from a table, and one division for each element."""

from __future__ import annotations

from math import ceil, log2
from typing import Final, Optional

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.tensors import Target, Tensors
from runtime.host.compile.onnx_rewrite.values import Node, Value, axis_of

STEPS: Final = 256
MOST_BITS: Final = 22  # of an exponential
LEAST_BITS: Final = 11
FRACTION: Final = 8  # bits of a factor that is not an integer


def integer_softmax(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the softmax: (exponential * factor) / (sum << shift), rounded, in 32 bits without sign."""
    x = tensors.of(node.value(0))
    if x is None or not x.is_bytes:
        return None
    axis = axis_of(node, int(node.attributes.get("axis", -1)), x.value.rank)
    inverse = 1 / target.scale
    shift = 0 if abs(inverse - round(inverse)) < 1e-5 * inverse else FRACTION
    factor = round(inverse * 2**shift)
    count = x.value.shape[axis]
    bits = min(MOST_BITS, 31 - factor.bit_length(), 31 - ceil(log2(count)) - shift)
    if bits < LEAST_BITS or factor == 0:
        return None
    table = np.rint(np.exp(-float(x.scale) * np.arange(STEPS)) * 2.0**bits).astype(np.uint32)
    emit = tensors.emit
    return emit.own(
        operators.SOFTMAX,
        x.value,
        emit.constant(table),
        dtype=target.dtype,
        shape=x.value.shape,
        axis=axis,
        factor=factor,
        shift=shift,
        zero_point=target.zero_point,
        lowest=target.limits[0],
        highest=target.limits[1],
    )
