# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements. Quantized tensors keep their scale, so that the integers are moved."""

from __future__ import annotations

from typing import Final, List, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.parts import expanded, transposed
from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, LONGEST_LIST, Call
from runtime.host.compile.tflite.schema import names_of

MOST_INDICES: Final = 1 << 20


def reshape(call: Call) -> List[Value]:
    """Convert RESHAPE: the shape is an input or an attribute, and one extent may be -1."""
    call.needs_same_scales(0)
    if call.has(1):
        shape = call.integers(1, "shape")
    else:
        given = call.options.newShape
        if given is not None and len(given) > LONGEST_LIST:
            raise call.refusal("its shape is too long", AGAIN)
        shape = [int(extent) for extent in (call.output().shape if given is None else given)]
    value = call.raw()
    if shape.count(-1) == 1:
        rest = int(np.prod([extent for extent in shape if extent != -1], dtype=np.int64))
        if rest < 1 or value.size % rest:
            raise call.refusal("its shape does not fit", AGAIN)
        shape[shape.index(-1)] = value.size // rest
    if any(extent < 0 for extent in shape):
        raise call.refusal("its shape has a negative extent", AGAIN)
    return [call.shaped(value, shape)]


def squeeze(call: Call) -> List[Value]:
    """Convert SQUEEZE, which removes extents of 1: those of a list, or all of them."""
    call.needs_same_scales(0)
    value, given = call.raw(), call.options.squeezeDims
    if given is not None and len(given) > value.rank:
        raise call.refusal("its list of axes is too long", AGAIN)
    axes = {call.axis(int(axis), value.rank) for axis in ([] if given is None else given)}
    if any(value.shape[axis] != 1 for axis in axes):
        raise call.refusal("it removes an extent that is not 1", AGAIN)
    removed = axes or {axis for axis, extent in enumerate(value.shape) if extent == 1}
    return [call.shaped(value, [extent for axis, extent in enumerate(value.shape) if axis not in removed])]


def expand_dims(call: Call) -> List[Value]:
    """Convert EXPAND_DIMS, which adds an extent of 1."""
    call.needs_same_scales(0)
    value = call.raw()
    axis = call.axis(_one(call, 1, "axis"), value.rank + 1)
    return [call.shaped(value, [*value.shape[:axis], 1, *value.shape[axis:]])]


def transpose(call: Call) -> List[Value]:
    """Convert TRANSPOSE."""
    call.needs_same_scales(0)
    perm = call.integers(1, "order of the axes")
    if sorted(axis % max(1, call.raw().rank) for axis in perm) != list(range(call.raw().rank)):
        raise call.refusal("its order of axes is not a permutation", AGAIN)
    return [transposed(call.emit, call.raw(), [axis % call.raw().rank for axis in perm])]


def concatenation(call: Call) -> List[Value]:
    """Convert CONCATENATION. Inputs with another scale than the output are quantized again."""
    axis = call.axis(call.options.axis, call.raw().rank)
    fused = names_of("ActivationFunctionType").get(call.options.fusedActivationFunction)
    if fused != "NONE":
        raise call.refusal(
            f"its fused activation is {fused}, which LiteRT ignores", "Use an activation of its own."
        )
    parts = [
        call.raw(index) if call.same_scales(index) else call.written(call.real(index))
        for index in range(len(call.values))
    ]
    return [_joined(call, parts, axis)]


def _joined(call: Call, parts: Sequence[Value], axis: int) -> Value:
    return parts[0] if len(parts) == 1 else call.emit.op("Concat", *parts, axis=axis)


def pack(call: Call) -> List[Value]:
    """Convert PACK: the inputs become the elements of a new axis."""
    indices = range(len(call.values))
    call.needs_same_scales(*indices)
    call.needs_count(call.options.valuesCount, len(indices))
    axis = call.axis(call.options.axis, call.raw().rank + 1)
    parts = []
    for index in indices:
        shape = list(call.raw(index).shape)
        parts.append(call.shaped(call.raw(index), [*shape[:axis], 1, *shape[axis:]]))
    return [_joined(call, parts, axis)]


def unpack(call: Call) -> List[Value]:
    """Convert UNPACK: the elements of an axis become outputs."""
    call.needs_same_scales(0)
    value = call.raw()
    axis = call.axis(call.options.axis, value.rank)
    count = value.shape[axis]
    for output in call.operator.outputs:
        if not call.input().same_numbers(output):
            raise call.refusal("an output has another scale or type than its input", AGAIN)
    call.needs_count(call.options.num, count)
    shape = [*value.shape[:axis], *value.shape[axis + 1 :]]
    return [call.shaped(part, shape) for part in parts_of(call, value, axis, [1] * count)]


def split(call: Call) -> List[Value]:
    """Convert SPLIT: equal parts; the axis is the first input."""
    value = call.raw(1)
    axis = call.axis(_one(call, 0, "axis"), value.rank)
    count = len(call.operator.outputs)
    if not count or value.shape[axis] % count:
        raise call.refusal("its parts are not equal", AGAIN)
    return _split(call, 1, axis, [value.shape[axis] // count] * count)


def split_sizes(call: Call) -> List[Value]:
    """Convert SPLIT_V: inputs are the data, the extents and the axis."""
    value = call.raw(0)
    axis = call.axis(_one(call, 2, "axis"), value.rank)
    sizes = call.integers(1, "extents")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = value.shape[axis] - sum(sizes) - 1
    if min(sizes, default=0) < 1 or sum(sizes) != value.shape[axis]:
        raise call.refusal("its extents do not fit the data", AGAIN)
    return _split(call, 0, axis, sizes)


def _split(call: Call, index: int, axis: int, sizes: Sequence[int]) -> List[Value]:
    call.needs_count(call.options.numSplits, len(sizes))
    if len(sizes) != len(call.operator.outputs):
        raise call.refusal("it has another number of outputs than parts", AGAIN)
    for output in call.operator.outputs:
        if not call.input(index).same_numbers(output):
            raise call.refusal("an output has another scale or type than its input", AGAIN)
    return parts_of(call, call.raw(index), axis, sizes)


def parts_of(call: Call, value: Value, axis: int, sizes: Sequence[int]) -> List[Value]:
    """Return consecutive parts of an axis."""
    if len(sizes) == 1:
        return [value]
    return call.emit.ops("Split", len(sizes), value, call.ints(sizes), axis=axis)


def _one(call: Call, index: int, meaning: str) -> int:
    """Return an input that is one constant integer."""
    numbers = call.integers(index, meaning)
    if len(numbers) != 1:
        raise call.refusal(f"{meaning} is not one number", AGAIN)
    return numbers[0]


def pad(call: Call) -> List[Value]:
    """Convert PAD and PADV2. PAD adds the number zero, which is the zero point of a quantized tensor."""
    call.needs_same_scales(0)
    value = call.raw()
    if call.has(2):
        if not call.input(2).same_numbers(call.output()) or call.raw(2).size != 1:
            raise call.refusal("its padding value has another scale or type than its data", AGAIN)
        filler = call.shaped(call.raw(2), ())
    else:
        tensor = call.input()
        zero = int(tensor.zero[0]) if tensor.is_quantized and tensor.zero is not None else 0
        filler = call.emit.like(zero, value)
    return [call.emit.op("Pad", value, call.ints(_pads(call)), filler)]


def mirror_pad(call: Call) -> List[Value]:
    """Convert MIRROR_PAD: REFLECT leaves out the border element, and SYMMETRIC repeats it."""
    call.needs_same_scales(0)
    value, pads = call.raw(), _pads(call)
    mode = names_of("MirrorPadMode").get(call.options.mode)
    ends = 0 if mode == "SYMMETRIC" else 1
    for axis, extent in enumerate(value.shape):
        before, after = pads[axis], pads[axis + value.rank]
        if max(before, after) > extent - ends:
            raise call.refusal("its padding is larger than the data", AGAIN)
        if before or after:
            order = np.pad(np.arange(extent), (before, after), "symmetric" if ends == 0 else "reflect")
            value = call.emit.op("Gather", value, call.ints(order), axis=axis)
    return [value]


def _pads(call: Call) -> List[int]:
    """Return the padding in ONNX's order: before each axis, then after each axis."""
    pads = np.asarray(call.constant(1, "padding"))
    if pads.shape != (call.raw().rank, 2) or pads.dtype.kind != "i" or pads.min(initial=0) < 0:
        raise call.refusal("its padding does not fit the data", AGAIN)
    if pads.max(initial=0) > 1 << 20:
        raise call.refusal("its padding is too large", AGAIN)
    return [int(number) for number in pads.T.reshape(-1)]


def tile(call: Call) -> List[Value]:
    """Convert TILE."""
    call.needs_same_scales(0)
    repeats = call.integers(1, "number of repeats")
    if len(repeats) != call.raw().rank or min(repeats, default=1) < 1:
        raise call.refusal("its number of repeats does not fit the data", AGAIN)
    return [call.emit.op("Tile", call.raw(), call.ints(repeats))]


def broadcast_to(call: Call) -> List[Value]:
    """Convert BROADCAST_TO."""
    call.needs_same_scales(0)
    shape = call.integers(1, "shape")
    if shape != list(call.output().shape):
        raise call.refusal("its shape does not fit", AGAIN)
    return [expanded(call.emit, call.raw(), shape)]


def reverse(call: Call) -> List[Value]:
    """Convert REVERSE_V2."""
    call.needs_same_scales(0)
    value = call.raw()
    axes = sorted({call.axis(axis, value.rank) for axis in call.integers(1, "axes")})
    for axis in axes:
        order = np.arange(value.shape[axis])[::-1]
        value = call.emit.op("Gather", value, call.ints(order.tolist()), axis=axis)
    return [value]


def reverse_sequence(call: Call) -> List[Value]:
    """Convert REVERSE_SEQUENCE: the length of each part is an input."""
    call.needs_same_scales(0)
    value = call.raw()
    time = call.axis(call.options.seqDim, value.rank)
    batch = call.axis(call.options.batchDim, value.rank)
    if time == batch:
        raise call.refusal("its two axes are equal", AGAIN)
    if value.size > MOST_INDICES:
        raise call.refusal(f"its data has {value.size} elements", "Use a smaller tensor.")
    lengths = np.asarray(call.constant(1, "lengths"))
    if lengths.shape != (value.shape[batch],) or lengths.min() < 0 or lengths.max() > value.shape[time]:
        raise call.refusal("its lengths do not fit the data", AGAIN)
    order = [[*reversed(range(length)), *range(length, value.shape[time])] for length in map(int, lengths)]
    shape = [1] * value.rank
    shape[batch], shape[time] = value.shape[batch], value.shape[time]
    matrix = np.array(order, np.int64)
    indices = np.broadcast_to((matrix if batch < time else matrix.T).reshape(shape), value.shape)
    return [call.emit.op("GatherElements", value, call.emit.constant(indices), axis=time)]
