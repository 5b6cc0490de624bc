# SPDX-License-Identifier: Apache-2.0
"""Operators that move blocks of an image to channels or to the batch, and back."""

from __future__ import annotations

from typing import Any, List

import numpy as np

from runtime.host.compile.onnx_rewrite.parts import transposed
from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call


def space_to_depth(call: Call) -> List[Value]:
    """Convert SPACE_TO_DEPTH of NHWC."""
    call.needs_same_scales(0)
    batch, height, width, depth = call.needs_rank(0, 4)
    block = _block(call)
    if height % block or width % block:
        raise call.refusal("its block does not divide the data", AGAIN)
    parts = call.shaped(call.raw(), [batch, height // block, block, width // block, block, depth])
    moved = transposed(call.emit, parts, [0, 1, 3, 2, 4, 5])
    return [call.shaped(moved, [batch, height // block, width // block, block * block * depth])]


def depth_to_space(call: Call) -> List[Value]:
    """Convert DEPTH_TO_SPACE of NHWC."""
    call.needs_same_scales(0)
    batch, height, width, depth = call.needs_rank(0, 4)
    block = _block(call)
    if depth % (block * block):
        raise call.refusal("its block does not divide the channels", AGAIN)
    parts = call.shaped(call.raw(), [batch, height, width, block, block, depth // (block * block)])
    moved = transposed(call.emit, parts, [0, 1, 3, 2, 4, 5])
    return [call.shaped(moved, [batch, height * block, width * block, depth // (block * block)])]


def _block(call: Call) -> int:
    block = int(call.options.blockSize)
    if not 1 <= block <= 1 << 10:
        raise call.refusal(f"its block has extent {block}", AGAIN)
    return block


def space_to_batch(call: Call) -> List[Value]:
    """Convert SPACE_TO_BATCH_ND: inputs are the data, the block and the padding."""
    call.needs_same_scales(0)
    value, block = call.raw(), _blocks(call)
    pads = _spatial(call, 2, "padding", len(block))
    before = [0, *pads[:, 0].tolist(), *[0] * (value.rank - 1 - len(block))]
    after = [0, *pads[:, 1].tolist(), *[0] * (value.rank - 1 - len(block))]
    tensor = call.input()
    zero = int(tensor.zero[0]) if tensor.is_quantized and tensor.zero is not None else 0
    if any(before + after):
        value = call.emit.op("Pad", value, call.ints(before + after), call.emit.like(zero, value))
    batch, space, rest = value.shape[0], value.shape[1 : 1 + len(block)], value.shape[1 + len(block) :]
    if any(extent % size for extent, size in zip(space, block)):
        raise call.refusal("its block does not divide the data", AGAIN)
    split_up = [number for extent, size in zip(space, block) for number in (extent // size, size)]
    count = len(block)
    perm = [
        *(2 + 2 * index for index in range(count)),
        0,
        *(1 + 2 * index for index in range(count)),
        *range(1 + 2 * count, 1 + 2 * count + len(rest)),
    ]
    moved = transposed(call.emit, call.shaped(value, [batch, *split_up, *rest]), perm)
    shape = [batch * int(np.prod(block)), *(extent // size for extent, size in zip(space, block)), *rest]
    return [call.shaped(moved, shape)]


def batch_to_space(call: Call) -> List[Value]:
    """Convert BATCH_TO_SPACE_ND: inputs are the data, the block and the part that is cut off."""
    call.needs_same_scales(0)
    value, block = call.raw(), _blocks(call)
    crops = _spatial(call, 2, "cropping", len(block))
    count, size = len(block), int(np.prod(block))
    space, rest = value.shape[1 : 1 + count], value.shape[1 + count :]
    if value.shape[0] % size:
        raise call.refusal("its block does not divide the batch", AGAIN)
    batch = value.shape[0] // size
    perm = [count, *(axis for index in range(count) for axis in (count + 1 + index, index))]
    perm += range(2 * count + 1, 2 * count + 1 + len(rest))
    moved = transposed(call.emit, call.shaped(value, [*block, batch, *space, *rest]), perm)
    value = call.shaped(moved, [batch, *(extent * times for extent, times in zip(space, block)), *rest])
    for axis, (start, end) in enumerate(crops.tolist(), 1):
        stop = value.shape[axis] - end
        if start >= stop:
            raise call.refusal("its cropping removes all elements", AGAIN)
        if start or end:
            value = call.emit.op("Slice", value, call.ints([start]), call.ints([stop]), call.ints([axis]))
    return [value]


def _blocks(call: Call) -> List[int]:
    block = call.integers(1, "block")
    if not 1 <= len(block) < call.raw().rank or min(block) < 1 or max(block) > 1 << 10:
        raise call.refusal("its block does not fit the data", AGAIN)
    return block


def _spatial(call: Call, index: int, meaning: str, count: int) -> Any:
    pads = np.asarray(call.constant(index, meaning))
    if pads.shape != (count, 2) or pads.dtype.kind != "i" or pads.min() < 0 or pads.max() > 1 << 20:
        raise call.refusal(f"its {meaning} does not fit the data", AGAIN)
    return pads
