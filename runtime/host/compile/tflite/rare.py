# SPDX-License-Identifier: Apache-2.0
"""Operators that few networks have: diagonals, segments, updates of a part, and fake quantization."""

from __future__ import annotations

from typing import Any, Callable, List

import numpy as np

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call

Convert = Callable[[Call], List[Value]]
MOST_ELEMENTS = 1 << 22


def matrix_diagonal(call: Call) -> List[Value]:
    """Convert MATRIX_DIAG: a matrix with the vector on its diagonal, and zeros elsewhere."""
    value = call.raw()
    if not value.rank or value.size * value.shape[-1] > MOST_ELEMENTS:
        raise call.refusal("its data does not fit", AGAIN)
    grown = call.shaped(value, [*value.shape, 1])
    return [
        call.emit.op(
            "Where", _diagonal(call, value.shape[-1], value.shape[-1]), grown, call.emit.like(0, value)
        )
    ]


def matrix_set_diagonal(call: Call) -> List[Value]:
    """Convert MATRIX_SET_DIAG: inputs are the matrix and its new diagonal."""
    value, diagonal = call.raw(0), call.raw(1)
    if value.rank < 2 or diagonal.shape != (*value.shape[:-2], min(value.shape[-2:])):
        raise call.refusal("its diagonal does not fit", AGAIN)
    if value.shape[-2] != value.shape[-1]:
        raise call.refusal("its matrix is not square", "Use a square matrix.")
    grown = call.shaped(diagonal, [*diagonal.shape, 1])
    return [call.emit.op("Where", _diagonal(call, *value.shape[-2:]), grown, value)]


def _diagonal(call: Call, rows: int, columns: int) -> Value:
    return call.emit.constant(np.eye(rows, columns, dtype=np.bool_))


def _within(call: Call, indices: Any, shape: Any) -> None:
    """Raise a ModelError for rows of constant indices outside of a shape."""
    if indices.shape[-1] != len(shape) or not ((indices >= 0) & (indices < np.array(shape))).all():
        raise call.refusal("an index is outside of the data", "Check the indices in the model.")


def segment_sum(call: Call) -> List[Value]:
    """Convert SEGMENT_SUM and UNSORTED_SEGMENT_SUM: rows with the same constant number add up."""
    value = call.raw(0)
    numbers = np.asarray(call.constant(1, "number of the segment"))
    if not value.rank or numbers.shape != value.shape[:1]:
        raise call.refusal("its numbers of segments do not fit", AGAIN)
    segments = call.output().shape[0] if call.output().shape else 0
    if call.has(2) and call.integers(2, "number of segments") != [segments]:
        raise call.refusal("its number of segments does not fit", AGAIN)
    _within(call, numbers.reshape(-1, 1), [segments])
    is_sorted = numbers[0] == 0 and np.isin(np.diff(numbers), (0, 1)).all()
    if not call.has(2) and not (is_sorted and segments == numbers[-1] + 1):
        raise call.refusal("its number of segments does not fit", AGAIN)
    zeros = call.emit.constant(np.zeros((segments, *value.shape[1:]), value.dtype))
    indices = call.emit.constant(numbers.astype(np.int64).reshape(-1, 1))
    return [call.emit.op("ScatterND", zeros, indices, value, reduction="add")]


def updated(call: Call) -> List[Value]:
    """Convert DYNAMIC_UPDATE_SLICE with a constant start, which is moved so that the update fits."""
    call.needs_same_scales(0, 1)
    value, update = call.raw(0), call.raw(1)
    starts = call.integers(2, "start")
    if not len(starts) == value.rank == update.rank or value.size > MOST_ELEMENTS:
        raise call.refusal("its start does not fit the data", AGAIN)
    if any(size > extent for size, extent in zip(update.shape, value.shape)):
        raise call.refusal("its update is larger than the data", AGAIN)
    before = [
        max(0, min(start, extent - size)) for start, extent, size in zip(starts, value.shape, update.shape)
    ]
    after = [extent - start - size for extent, start, size in zip(value.shape, before, update.shape)]
    mask = np.pad(np.ones(update.shape, np.bool_), list(zip(before, after)))
    padded = call.emit.op("Pad", update, call.ints(before + after), call.emit.like(0, update))
    return [call.emit.op("Where", call.emit.constant(mask), padded, value)]


def dense_from_sparse(call: Call) -> List[Value]:
    """Convert SPARSE_TO_DENSE: inputs are constant indices, the shape, values and the default."""
    shape = call.integers(1, "shape")
    if min(shape, default=0) < 1 or np.prod(shape, dtype=float) > MOST_ELEMENTS or call.raw(3).size != 1:
        raise call.refusal("its shape does not fit", AGAIN)
    indices = np.asarray(call.constant(0, "list of indices")).astype(np.int64)
    rows = (
        indices
        if indices.ndim == 2
        else indices.reshape(-1, 1)
        if len(shape) == 1
        else indices.reshape(1, -1)
    )
    _within(call, rows, shape)
    if len(np.unique(rows, axis=0)) < len(rows):
        raise call.refusal("it has an index twice", "Check the indices in the model.")
    values = call.raw(2)
    if values.size == 1:
        values = call.emit.op("Expand", call.shaped(values, ()), call.ints([len(rows)]))
    filled = call.emit.op("Expand", call.shaped(call.raw(3), ()), call.ints(shape))
    return [call.emit.op("ScatterND", filled, call.emit.constant(rows), call.shaped(values, [len(rows)]))]


def broadcast_shapes(call: Call) -> List[Value]:
    """Convert BROADCAST_ARGS, which is constant: the shape that two shapes broadcast to."""
    shapes = [call.integers(index, "shape") for index in (0, 1)]
    return [call.emit.constant(np.array(np.broadcast_shapes(*map(tuple, shapes))), call.output().dtype)]


def angle(call: Call) -> List[Value]:
    """Convert ATAN2: the angle of the point (second input, first input)."""
    y, x = call.raw(0), call.raw(1)
    if not x.is_float:
        raise call.refusal(f"its inputs have type {x.dtype}", "Use float32.")
    zero = call.emit.like(0, x)
    slope = call.emit.op("Atan", call.emit.op("Div", y, x))
    half = call.emit.op(
        "Where", call.emit.op("Less", y, zero), call.emit.like(-np.pi, x), call.emit.like(np.pi, x)
    )
    turned = call.emit.op("Where", call.emit.op("Less", x, zero), call.emit.op("Add", slope, half), slope)
    # A point at the origin has the angle 0; its slope is not a number.
    origin = call.emit.op("And", call.emit.op("Equal", x, zero), call.emit.op("Equal", y, zero))
    return [call.emit.op("Where", origin, zero, turned)]
