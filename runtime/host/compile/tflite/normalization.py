# SPDX-License-Identifier: Apache-2.0
"""Operators that scale elements by others: softmax, norms, and interpolation of images."""

from __future__ import annotations

from typing import List

import numpy as np

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call
from runtime.host.compile.tflite.windows import channels_last, channels_second

SMALLEST_NORM = 1e-6  # of TensorFlow Lite's L2_NORMALIZATION, below which it divides by this number


def softmax(call: Call) -> List[Value]:
    """Convert SOFTMAX of the last axis, with a factor beta before it."""
    call.needs_output(1 / 256, -128)
    value = call.real()
    beta = float(call.options.beta)
    if not np.isfinite(beta) or not value.rank:
        raise call.refusal("its factor or its data does not fit", AGAIN)
    if beta != 1:
        value = call.emit.op("Mul", value, call.emit.like(beta, value))
    return [call.written(call.emit.op("Softmax", value, axis=-1))]


def log_softmax(call: Call) -> List[Value]:
    """Convert LOG_SOFTMAX of the last axis."""
    call.needs_output(16 / 256, 127)
    return [call.written(call.emit.op("LogSoftmax", call.real(), axis=-1))]


def l2_normalization(call: Call) -> List[Value]:
    """Convert L2_NORMALIZATION of the last axis."""
    call.needs_output(1 / 128, 0)
    value = call.real()
    squares = call.emit.op("ReduceSum", call.emit.op("Mul", value, value), call.ints([-1]), keepdims=1)
    norm = call.emit.op("Sqrt", squares)
    bounded = call.emit.op("Max", norm, call.emit.like(SMALLEST_NORM, norm))
    answer = call.emit.op("Div", value, bounded)
    return [call.activated(answer, call.options.fusedActivationFunction)]


def local_response(call: Call) -> List[Value]:
    """Convert LOCAL_RESPONSE_NORMALIZATION: ONNX divides alpha by the number of channels of the window."""
    options = call.options
    call.needs_rank(0, 4)
    if not 0 <= options.radius <= 1 << 16:
        raise call.refusal(f"its radius is {options.radius}", AGAIN)
    if not all(0 < number < np.inf for number in (options.bias, options.alpha, options.beta)):
        raise call.refusal("its bias, alpha or beta is not a positive number", AGAIN)
    size = 2 * options.radius + 1
    answer = call.emit.op(
        "LRN",
        channels_second(call, call.real()),
        size=size,
        alpha=float(options.alpha) * size,
        beta=float(options.beta),
        bias=float(options.bias),
    )
    return [channels_last(call, answer)]


def resize_bilinear(call: Call) -> List[Value]:
    """Convert RESIZE_BILINEAR of NHWC."""
    return _resized(call, call.real(), "linear")


def resize_nearest(call: Call) -> List[Value]:
    """Convert RESIZE_NEAREST_NEIGHBOR of NHWC, which selects elements."""
    call.needs_same_scales(0)
    options, value = call.options, call.raw()
    _, *extents, _ = call.needs_rank(0, 4)
    for axis, (extent, size) in enumerate(zip(extents, _size(call)), 1):
        rows = _nearest(extent, size, bool(options.alignCorners), bool(options.halfPixelCenters))
        if rows != list(range(extent)):
            value = call.emit.op("Gather", value, call.ints(rows), axis=axis)
    return [value]


def _nearest(extent: int, size: int, align_corners: bool, half_pixel: bool) -> List[int]:
    """Return the row of the data for each row of the output; TensorFlow Lite computes in float32."""
    if align_corners and size > 1:
        scale = np.float32(extent - 1) / np.float32(size - 1)
    else:
        scale = np.float32(extent) / np.float32(size)
    rows = []
    for index in range(size):
        place = (np.float32(index) + np.float32(0.5 if half_pixel else 0)) * scale
        # Half away from zero, the rounding of C.
        row = int(np.floor(place + np.float32(0.5))) if align_corners else int(np.floor(place))
        rows.append(max(0, min(row, extent - 1)))
    return rows


def _size(call: Call) -> List[int]:
    size = call.integers(1, "size")
    if len(size) != 2 or min(size) < 1 or max(size) > 1 << 14:
        raise call.refusal("its size does not fit", AGAIN)
    return size


def _resized(call: Call, value: Value, mode: str) -> List[Value]:
    batch, height, width, channels = call.needs_rank(0, 4)
    size = _size(call)
    options = call.options
    if options.alignCorners and options.halfPixelCenters:
        raise call.refusal("it aligns both corners and centers", "Use one of them.")
    form = (
        "align_corners"
        if options.alignCorners
        else "half_pixel"
        if options.halfPixelCenters
        else "asymmetric"
    )
    if [height, width] == size:
        return [call.written(value)]
    answer = call.emit.op(
        "Resize",
        channels_second(call, value),
        None,
        None,
        call.ints([batch, channels, *size]),
        mode=mode,
        coordinate_transformation_mode=form,
    )
    return [call.written(channels_last(call, answer))]
