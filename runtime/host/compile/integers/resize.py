# SPDX-License-Identifier: Apache-2.0
"""Linear and cubic Resize of quantized tensors."""

from __future__ import annotations

from math import prod
from typing import Any, Final, List, Optional, Tuple

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import fixed_point
from runtime.host.compile.integers.tensors import Target, Tensors
from runtime.host.compile.onnx_rewrite.resize import resize_matrices
from runtime.host.compile.onnx_rewrite.values import Node, Value

BITS: Final = 10  # of a weight; those of two axes and an element have 28
MOST_AXES: Final = 2
MOST_TAPS: Final = 8


def integer_resize(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return a tensor whose elements are weighted sums of neighbours."""
    x, matrices = tensors.of(node.value(0)), resize_matrices(node)
    if x is None or not x.is_bytes or not matrices or len(matrices) > MOST_AXES:
        return None
    taps = [_taps(matrix) for matrix in matrices.values()]
    if max(indices.shape[1] for indices, _ in taps) > MOST_TAPS:
        return None
    whole = 2 ** (BITS * len(taps))
    bias = -whole * int(x.zero_point)
    bound = prod(float(np.abs(weights).sum(1).max()) for _, weights in taps) * max(map(abs, x.limits)) + abs(
        bias
    )
    found = fixed_point(float(x.scale) / target.scale / whole, bound, target.zero_point, target.limits)
    if found is None:
        return None
    shape = list(x.value.shape)
    for axis, matrix in matrices.items():
        shape[axis] = matrix.shape[0]
    emit = tensors.emit
    constants: List[Any] = [array.astype(np.int32) for pair in taps for array in pair]
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


def _taps(matrix: Any) -> Tuple[Any, Any]:
    """Return indices and integer weights of the nonzero elements of each row, which add up to 1 << BITS."""
    count = int(np.count_nonzero(matrix, axis=1).max())
    indices = np.argsort(matrix == 0, axis=1, kind="stable")[:, :count]
    weights = np.rint(np.take_along_axis(matrix, indices, axis=1) * 2**BITS).astype(np.int64)
    rows = np.arange(len(weights))
    weights[rows, weights.argmax(1)] += (1 << BITS) - weights.sum(1)
    return indices, weights
