# SPDX-License-Identifier: Apache-2.0
"""Operators that select elements: slices, lookups by index, the largest elements."""

from __future__ import annotations

from typing import Any, List

import numpy as np

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call


def plain_slice(call: Call) -> List[Value]:
    """Convert SLICE: inputs are the data, the begin and the extents, of which -1 means all of the rest."""
    call.needs_same_scales(0)
    value = call.raw()
    begins, sizes = call.integers(1, "begin"), call.integers(2, "extents")
    if not len(begins) == len(sizes) == value.rank:
        raise call.refusal("its begin does not fit the data", AGAIN)
    sizes = [
        extent - begin if size == -1 else size for begin, size, extent in zip(begins, sizes, value.shape)
    ]
    for begin, size, extent in zip(begins, sizes, value.shape):
        if begin < 0 or size < 1 or begin + size > extent:
            raise call.refusal("its slice is outside of the data", AGAIN)
    ends = [begin + size for begin, size in zip(begins, sizes)]
    return [_sliced(call, value, begins, ends, [1] * value.rank)]


def _sliced(call: Call, value: Value, begins: List[int], ends: List[int], steps: List[int]) -> Value:
    """Return a slice along the axes that change. With a negative step, an end of -1 includes element 0."""
    axes = [
        axis
        for axis, extent in enumerate(value.shape)
        if (begins[axis], ends[axis], steps[axis]) != (0, extent, 1)
    ]
    if not axes:
        return value
    far = [min(ends[axis], -(2**31)) if steps[axis] < 0 and ends[axis] < 0 else ends[axis] for axis in axes]
    return call.emit.op(
        "Slice",
        value,
        call.ints([begins[axis] for axis in axes]),
        call.ints(far),
        call.ints(axes),
        call.ints([steps[axis] for axis in axes]),
    )


def strided_slice(call: Call) -> List[Value]:
    """Convert STRIDED_SLICE: inputs are the data, begin, end and step of each dimension; bits of masks."""
    call.needs_same_scales(0)
    value, options = call.raw(), call.options
    begins, ends, steps = (
        call.integers(index, name) for index, name in ((1, "begin"), (2, "end"), (3, "step"))
    )
    count = len(begins)
    if not count == len(ends) == len(steps) or count > 16 or not all(steps):
        raise call.refusal("its begin, end and step do not fit", AGAIN)
    if (options.newAxisMask | options.shrinkAxisMask | options.ellipsisMask) >> count:
        raise call.refusal("a mask has a bit for a dimension that is not given", AGAIN)
    if options.offset:
        raise call.refusal("its end is an offset", "Export the model with an end that is an index.")
    ellipses = [index for index in range(count) if options.ellipsisMask >> index & 1]
    if len(ellipses) > 1:
        raise call.refusal("it has several ellipses", AGAIN)
    used = sum(1 for index in range(count) if index not in ellipses and not options.newAxisMask >> index & 1)
    missing = value.rank - used
    if missing < 0:
        raise call.refusal("it has more dimensions than the data", AGAIN)
    starts: List[int] = []
    stops: List[int] = []
    strides: List[int] = []
    shape: List[int] = []
    axis = 0
    # Without an ellipsis, all dimensions that are left follow the given ones.
    for index in [*range(count), *([] if ellipses else [count])]:
        if index in ellipses or index == count:
            for extent in value.shape[axis : axis + missing]:
                starts, stops, strides = [*starts, 0], [*stops, extent], [*strides, 1]
                shape.append(extent)
            axis += missing
            continue
        if options.newAxisMask >> index & 1:
            shape.append(1)
            continue
        extent, step = value.shape[axis], steps[index]
        if options.shrinkAxisMask >> index & 1:
            start = begins[index] + extent if begins[index] < 0 else begins[index]
            if not 0 <= start < extent or step < 0:
                raise call.refusal("its index is outside of the data", AGAIN)
            starts, stops, strides = [*starts, start], [*stops, start + 1], [*strides, 1]
        else:
            begin = None if options.beginMask >> index & 1 else begins[index]
            end = None if options.endMask >> index & 1 else ends[index]
            start, stop, step = slice(begin, end, step).indices(extent)
            extents = len(range(start, stop, step))
            if not extents:
                raise call.refusal("its slice has no elements", AGAIN)
            starts, stops, strides = [*starts, start], [*stops, stop], [*strides, step]
            shape.append(extents)
        axis += 1
    return [call.shaped(_sliced(call, value, starts, stops, strides), shape)]


def gather(call: Call) -> List[Value]:
    """Convert GATHER: elements of an axis; batch_dims axes are common to the data and the indices."""
    call.needs_same_scales(0)
    value, indices = call.raw(0), _indices(call, 1)
    axis = call.axis(call.options.axis, value.rank)
    batch = call.options.batchDims + (indices.rank if call.options.batchDims < 0 else 0)
    if batch == 0:
        _check_range(call, indices, value.shape[axis])
        return [call.emit.op("Gather", value, indices, axis=axis)]
    if not 0 < batch <= axis or batch > indices.rank or value.shape[:batch] != indices.shape[:batch]:
        raise call.refusal("its batch dimensions do not fit", AGAIN)
    _check_range(call, indices, value.shape[axis])
    return [_gathered_by_batch(call, value, indices, axis, batch)]


def _gathered_by_batch(call: Call, value: Value, indices: Value, axis: int, batch: int) -> Value:
    """Return rows of one tensor in which the batches follow each other."""
    count = int(np.prod(value.shape[:batch], dtype=np.int64))
    middle = int(np.prod(value.shape[batch:axis], dtype=np.int64))
    extent, rest = value.shape[axis], value.shape[axis + 1 :]
    flat = call.shaped(value, [count * middle * extent, *rest])
    offsets = np.arange(count * middle, dtype=np.int64).reshape(count, middle, 1) * extent
    listed = call.shaped(indices, [count, 1, indices.size // count])
    rows = call.emit.op("Add", listed, call.emit.constant(offsets))
    chosen = call.emit.op("Gather", flat, rows, axis=0)
    shape = [*value.shape[:axis], *indices.shape[batch:], *rest]
    return call.shaped(chosen, shape)


def _indices(call: Call, index: int) -> Value:
    value = call.raw(index)
    if value.dtype.kind not in "iu" or call.input(index).is_quantized:
        raise call.refusal(f"its indices have type {value.dtype}", AGAIN)
    return call.cast(value, np.int64)


def _check_range(call: Call, indices: Value, extent: int) -> None:
    """Raise a ModelError for constant indices outside of an axis: TensorFlow Lite has no negative ones."""
    if indices.data is not None and not ((indices.data >= 0) & (indices.data < extent)).all():
        raise call.refusal("an index is outside of the data", "Check the indices in the model.")


def gather_nd(call: Call) -> List[Value]:
    """Convert GATHER_ND."""
    call.needs_same_scales(0)
    value, indices = call.raw(0), _indices(call, 1)
    if not indices.rank or not 1 <= indices.shape[-1] <= value.rank:
        raise call.refusal("its indices do not fit the data", AGAIN)
    if indices.data is not None:
        for axis in range(indices.shape[-1]):
            part = indices.data[..., axis]
            if not ((part >= 0) & (part < value.shape[axis])).all():
                raise call.refusal("an index is outside of the data", "Check the indices in the model.")
    return [call.emit.op("GatherND", value, indices)]


def embedding_lookup(call: Call) -> List[Value]:
    """Convert EMBEDDING_LOOKUP: rows of the second input at the indices of the first one."""
    indices = _indices(call, 0)
    if not call.input(1).same_numbers(call.output()):
        raise call.refusal("its output has another scale or type than its table", "Convert to float32.")
    _check_range(call, indices, call.raw(1).shape[0] if call.raw(1).rank else 0)
    return [call.emit.op("Gather", call.raw(1), indices, axis=0)]


def one_hot(call: Call) -> List[Value]:
    """Convert ONE_HOT: inputs are the indices, the depth, and the values on and off."""
    depth = call.integers(1, "depth")
    on, off = call.raw(2), call.raw(3)
    if len(depth) != 1 or not 1 <= depth[0] <= 1 << 20 or on.size != 1 or off.size != 1:
        raise call.refusal("its depth or values do not fit", AGAIN)
    indices = _indices(call, 0)
    axis = indices.rank if call.options.axis == -1 else call.axis(call.options.axis, indices.rank + 1)
    # An index outside of the depth has no element with the value on, and ONNX's OneHot counts from the end.
    shape = [1] * (indices.rank + 1)
    shape[axis] = depth[0]
    classes = call.emit.constant(np.arange(depth[0], dtype=np.int64).reshape(shape))
    grown = call.shaped(indices, [*indices.shape[:axis], 1, *indices.shape[axis:]])
    return [
        call.emit.op(
            "Where", call.emit.op("Equal", grown, classes), call.shaped(on, ()), call.shaped(off, ())
        )
    ]


def largest(call: Call) -> List[Value]:
    """Convert TOPK_V2: the largest elements of the last axis in order, and their indices."""
    call.needs_same_scales(0)
    count = call.integers(1, "number of elements")
    value = call.raw()
    if len(count) != 1 or not value.rank or not 1 <= count[0] <= value.shape[-1]:
        raise call.refusal("its number of elements does not fit", AGAIN)
    if call.input().is_quantized:
        values, indices = call.emit.ops("TopK", 2, call.real(), call.ints(count), axis=-1)
        return [call.written(values), call.cast(indices, call.output(1).dtype)]
    values, indices = call.emit.ops("TopK", 2, value, call.ints(count), axis=-1)
    return [values, call.cast(indices, call.output(1).dtype)]


def scatter_nd(call: Call) -> List[Value]:
    """Convert SCATTER_ND: inputs are indices, updates and the shape. Equal indices add up."""
    shape = call.integers(2, "shape")
    updates, indices = call.raw(1), _indices(call, 0)
    if min(shape, default=0) < 1 or not np.prod(shape, dtype=float) <= 1 << 24:
        raise call.refusal("its shape does not fit", AGAIN)
    if updates.dtype.kind not in "fiu" or updates.dtype.itemsize < 4:
        raise call.refusal(f"its updates have type {updates.dtype}", "Use float32 or int32.")
    if indices.data is None:
        raise call.refusal("its indices are computed from the model's inputs", "Use constant indices.")
    for axis in range(indices.shape[-1]):
        part = indices.data[..., axis]
        if not ((part >= 0) & (part < shape[axis])).all():
            raise call.refusal("an index is outside of the data", "Check the indices in the model.")
    zeros = call.emit.constant(np.zeros(shape, updates.dtype))
    rows = indices.data.reshape(-1, indices.shape[-1])
    reduction = "none" if len(np.unique(rows, axis=0)) == len(rows) else "add"
    return [call.emit.op("ScatterND", zeros, indices, updates, reduction=reduction)]


def filled(call: Call) -> List[Value]:
    """Convert FILL: inputs are the shape and the element."""
    if not call.input(1).same_numbers(call.output()) or call.raw(1).size != 1:
        raise call.refusal("its element does not fit the output", AGAIN)
    shape = call.integers(0, "shape")
    if min(shape, default=1) < 1 or np.prod(shape, dtype=float) > 1 << 24:
        raise call.refusal("its shape does not fit", AGAIN)
    return [call.emit.op("Expand", call.shaped(call.raw(1), ()), call.ints(shape))]


def shape_of(call: Call) -> List[Value]:
    """Convert SHAPE, which is constant."""
    return [call.emit.constant(np.array(call.raw().shape), call.output().dtype)]


def rank_of(call: Call) -> List[Value]:
    """Convert RANK, which is constant."""
    return [call.emit.constant(np.array(call.raw().rank), call.output().dtype)]


def counted(call: Call) -> List[Value]:
    """Convert RANGE, whose inputs must be constant: start, end and step."""
    start, end, step = (np.asarray(call.constant(index, "range")) for index in range(3))
    if not start.size == end.size == step.size == 1 or not step.reshape(-1)[0]:
        raise call.refusal("its start, end and step do not fit", AGAIN)
    numbers: Any = [array.reshape(-1)[0] for array in (start, end, step)]
    length = np.ceil((float(numbers[1]) - float(numbers[0])) / float(numbers[2]))
    if not 1 <= length <= 1 << 20:
        raise call.refusal("it has too many or no elements", AGAIN)
    steps = np.arange(int(length)).astype(start.dtype)
    return [call.emit.constant((numbers[0] + steps * numbers[2]).astype(start.dtype))]
