# SPDX-License-Identifier: Apache-2.0
"""Small parts that rules are made of."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import Value


def ints(emit: Emitter, numbers: Sequence[int]) -> Value:
    """Return a constant list of int64."""
    return emit.constant(np.array(list(numbers), dtype=np.int64))


def reshaped(emit: Emitter, value: Value, shape: Sequence[int]) -> Value:
    """Return a value in another shape, which has no 0 and no -1 of ONNX's special meanings."""
    if tuple(value.shape) == tuple(shape):
        return value
    return emit.op("Reshape", value, ints(emit, shape), allowzero=1 if 0 in shape else None)


def sliced(emit: Emitter, value: Value, axis: int, start: int, end: int) -> Value:
    """Return the elements from start to end (excluded) of an axis."""
    axis %= value.rank
    if start == 0 and end == value.shape[axis]:
        return value
    return emit.op("Slice", value, *(ints(emit, [number]) for number in (start, end, axis)))


def expanded(emit: Emitter, value: Value, shape: Sequence[int]) -> Value:
    """Return a value that is broadcast to a shape."""
    if tuple(value.shape) == tuple(shape):
        return value
    return emit.op("Expand", value, ints(emit, shape))


def transposed(emit: Emitter, value: Value, perm: Sequence[int]) -> Value:
    """Return a value with its axes in another order."""
    if list(perm) == list(range(value.rank)):
        return value
    return emit.op("Transpose", value, perm=list(perm))


def cast(emit: Emitter, value: Value, dtype: Any) -> Value:
    """Return a value in another element type."""
    from onnx import helper

    if value.dtype == np.dtype(dtype):
        return value
    return emit.op("Cast", value, to=int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype))))


def reduced(emit: Emitter, op: str, value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """Return a reduction over axes."""
    if not axes:
        return value
    return emit.op(op, value, ints(emit, axes), keepdims=int(keepdims))


def along(emit: Emitter, matrix: Any, value: Value, axis: int) -> Value:
    """Return the product of a constant matrix with the vectors along an axis.

    Args:
        emit: Writer of the graph.
        matrix: Array of shape (new extent, old extent).
        value: Tensor of floating-point numbers.
        axis: Axis that gets the new extent.
    """
    axis %= value.rank
    rows = emit.constant(np.asarray(matrix, dtype=value.dtype))
    if axis == value.rank - 1:
        flat = reshaped(emit, value, (value.size // value.shape[-1], value.shape[-1]))
        answer = emit.op(
            "MatMul", flat, emit.constant(np.ascontiguousarray(np.asarray(matrix).T), value.dtype)
        )
        return reshaped(emit, answer, (*value.shape[:-1], rows.shape[0]))
    inner = int(np.prod(value.shape[axis + 1 :], dtype=np.int64))
    outer = int(np.prod(value.shape[:axis], dtype=np.int64))
    flat = reshaped(emit, value, (outer, value.shape[axis], inner))
    answer = emit.op("MatMul", rows, flat)
    return reshaped(emit, answer, (*value.shape[:axis], rows.shape[0], *value.shape[axis + 1 :]))


def gathered(emit: Emitter, value: Value, indices: Sequence[int], axis: int) -> Value:
    """Return the elements of constant indices along an axis."""
    if list(indices) == list(range(value.shape[axis])):
        return value
    return emit.op("Gather", value, ints(emit, indices), axis=axis)


def sum_of(emit: Emitter, values: Sequence[Value]) -> Optional[Value]:
    """Return the sum of values; None without any."""
    total: Optional[Value] = None
    for value in values:
        total = value if total is None else emit.op("Add", total, value)
    return total


def axes_of_all(value: Value, first: int = 0) -> List[int]:
    """Return all axes of a value from the first one on."""
    return list(range(first, value.rank))


def broadcast_shape(*values: Value) -> Tuple[int, ...]:
    """Return the common shape of values by the rules of numpy."""
    return tuple(int(extent) for extent in np.broadcast_shapes(*(value.shape for value in values)))
