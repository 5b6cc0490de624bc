# SPDX-License-Identifier: Apache-2.0
"""Linear and cubic Resize of quantized tensors."""

from __future__ import annotations

from math import prod
from typing import Any, Final, List, NamedTuple, Optional

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import fixed_point
from runtime.host.compile.integers.tensors import Target, Tensors
from runtime.host.compile.onnx_rewrite.resize import resize_matrices
from runtime.host.compile.onnx_rewrite.values import Node, Value

BITS: Final = 20  # of the weights of all axes; with an element they have 28
MOST_AXES: Final = 2
MOST_TAPS: Final = 8
HALF_RANGE: Final = 128  # of integers of 8 bits
LARGEST_ERROR: Final = 1 / 2  # steps of the result, in addition to the rounding


class _Taps(NamedTuple):
    """Neighbours along an axis.

    Attributes:
        indices: Index of each neighbour, (new extent, taps).
        weights: Integer weight of each, in units of which a row has 1 << bits.
        reach: Largest sum of the absolute weights of a row, as a real number.
        error: Largest sum of the absolute errors of the weights of a row.
    """

    indices: Any
    weights: Any
    reach: float
    error: float


def integer_resize(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return a tensor whose elements are weighted sums of neighbours."""
    x, matrices = tensors.of(node.value(0)), resize_matrices(node)
    if x is None or not x.is_bytes or not matrices or len(matrices) > MOST_AXES:
        return None
    bits = BITS // len(matrices)
    taps = [_taps(matrix, bits) for matrix in matrices.values()]
    if max(each.indices.shape[1] for each in taps) > MOST_TAPS:
        return None
    scale = float(x.scale) / target.scale
    reach = prod(each.reach for each in taps)
    # The errors of a row add up to 0, so that only differences from the middle of the range count.
    error = sum(each.error * reach / each.reach for each in taps) * HALF_RANGE * scale
    if error > LARGEST_ERROR:
        return None
    whole = 2 ** (bits * len(taps))
    bias = -whole * int(x.zero_point)
    bound = whole * reach * max(map(abs, x.limits)) + abs(bias)
    found = fixed_point(scale / whole, bound, target.zero_point, target.limits)
    if found is None:
        return None
    shape = list(x.value.shape)
    for axis, matrix in matrices.items():
        shape[axis] = matrix.shape[0]
    emit = tensors.emit
    constants: List[Any] = [array.astype(np.int32) for each in taps for array in (each.indices, each.weights)]
    return emit.own(
        operators.RESIZE,
        x.value,
        emit.constant(found.multipliers),
        *(emit.constant(array) for array in constants),
        dtype=target.dtype,
        shape=shape,
        axes=list(matrices),
        bias=bias << found.before,
        **found.attributes(),
    )


def _taps(matrix: Any, bits: int) -> _Taps:
    """Return the nonzero elements of each row."""
    count = int(np.count_nonzero(matrix, axis=1).max())
    indices = np.argsort(matrix == 0, axis=1, kind="stable")[:, :count]
    exact = np.take_along_axis(matrix, indices, axis=1).astype(np.float64)
    weights = np.rint(exact * 2**bits).astype(np.int64)
    rows = np.arange(len(weights))
    weights[rows, weights.argmax(1)] += (1 << bits) - weights.sum(1)
    real = weights / 2.0**bits
    reach = max(float(np.abs(exact).sum(1).max()), float(np.abs(real).sum(1).max()))
    return _Taps(indices, weights, reach, float(np.abs(exact - real).sum(1).max()))
