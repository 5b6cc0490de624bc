# SPDX-License-Identifier: Apache-2.0
"""Convolutions. TensorFlow Lite has the channels last, and ONNX has them second.

The transposes around each operator cancel in `layout`.
"""

from __future__ import annotations

import dataclasses
from typing import Final, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.parts import transposed
from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call
from runtime.host.compile.tflite.network import Operator
from runtime.host.compile.tflite.schema import names_of

LARGEST_STEP: Final = 1 << 16


def channels_second(call: Call, value: Value) -> Value:
    """Return a tensor N...C as NC..."""
    return transposed(call.emit, value, [0, value.rank - 1, *range(1, value.rank - 1)])


def channels_last(call: Call, value: Value) -> Value:
    """Return a tensor NC... as N...C."""
    return transposed(call.emit, value, [0, *range(2, value.rank), 1])


def pads_of(
    call: Call,
    padding: int,
    extents: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> List[int]:
    """Return the zeros around the input: all that come before, then all that come after.

    TensorFlow's SAME gives ceil(extent / stride) outputs, and puts an odd zero after the input.
    """
    if min(*strides, *dilations, *kernel) < 1 or max(*strides, *dilations, *kernel) > LARGEST_STEP:
        raise call.refusal("a stride, dilation or extent of its window is out of range", AGAIN)
    name = names_of("Padding").get(padding)
    if name == "VALID":
        return [0] * 2 * len(extents)
    if name != "SAME":
        raise call.refusal(f"its padding is number {padding}", AGAIN)
    before, after = [], []
    for extent, window, stride, dilation in zip(extents, kernel, strides, dilations):
        outputs = -(-extent // stride)
        total = max(0, (outputs - 1) * stride + (window - 1) * dilation + 1 - extent)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def bias_of(call: Call, index: int, count: int) -> Optional[Value]:
    """Return the bias of a convolution or product as real numbers; None without one.

    The scale of an int32 bias is the product of those of the data and of the weights (TensorFlow Lite's
    quantization specification), so that it is added to the integer sums.
    """
    if not call.has(index):
        return None
    bias = call.raw(index)
    if bias.shape != (count,):
        raise call.refusal(f"its bias does not have {count} elements", AGAIN)
    data, weights = call.input(0), call.input(1)
    if bias.dtype == np.float32 and not data.is_quantized:
        return bias
    if bias.dtype != np.int32 or data.scale is None or weights.scale is None:
        raise call.refusal(f"its bias has type {bias.dtype}", "Quantize the bias to int32.")
    step = (data.scale * weights.scale).astype(np.float32)
    if step.size == 1:
        return call.emit.op("DequantizeLinear", bias, call.emit.constant(step.reshape(())))
    return call.emit.op("DequantizeLinear", bias, call.emit.constant(step), axis=0)


def weights_of(call: Call, index: int, perm: Sequence[int], shape: Sequence[int], axis: int) -> Value:
    """Return weights in another order of axes as real numbers.

    Args:
        call: Operator.
        index: Number of the input.
        perm: Order of the axes.
        shape: Shape after that, with as many elements.
        axis: Axis in that shape for the scales of the output channels.
    """
    tensor = call.input(index)
    if tensor.dtype == np.int8 and tensor.zero is not None and tensor.zero.any():
        raise call.refusal("its weights of int8 have a zero point", "Quantize the weights symmetrically.")
    if tensor.scale is not None and tensor.scale.size > 1 and list(perm).index(tensor.axis) != axis:
        raise call.refusal("its weights have scales for another axis than the output channels", AGAIN)
    moved = call.shaped(transposed(call.emit, call.raw(index), perm), shape)
    return call.dequantized(moved, tensor, axis)


def check_types(call: Call, data: int = 0, weights: int = 1) -> None:
    """Raise a ModelError for a combination of element types without a definite answer.

    Quantized weights with float32 activations are allowed, and count as the numbers that they stand for.
    """
    x, w, y = call.input(data), call.input(weights), call.output()
    kinds = [tensor.is_quantized or tensor.dtype == np.float32 for tensor in (x, w, y)]
    if not all(kinds) or x.is_quantized != y.is_quantized or (x.is_quantized and not w.is_quantized):
        raise call.refusal(
            f"its types are {x.dtype} for data, {w.dtype} for weights and {y.dtype} for the output",
            "Quantize the whole model to int8, or convert it to float32.",
        )


def convolution(call: Call) -> List[Value]:
    """Convert CONV_2D: data NHWC, weights OHWI."""
    check_types(call)
    options = call.options
    _, height, width, channels = call.needs_rank(0, 4)
    outputs, *kernel, depth = call.needs_rank(1, 4)
    if depth == 0 or channels % depth or outputs % (channels // depth):
        raise call.refusal("the channels of data and weights do not fit", AGAIN)
    strides = [options.strideH, options.strideW]
    dilations = [options.dilationHFactor, options.dilationWFactor]
    inputs = [
        call.real(0),
        weights_of(call, 1, [0, 3, 1, 2], [outputs, depth, *kernel], 0),
        bias_of(call, 2, outputs),
    ]
    pads = pads_of(call, options.padding, [height, width], kernel, strides, dilations)
    return _convolved(call, inputs, kernel, strides, dilations, pads, channels // depth)


def depthwise(call: Call) -> List[Value]:
    """Convert DEPTHWISE_CONV_2D: data NHWC, weights 1HWO."""
    check_types(call)
    options = call.options
    _, height, width, channels = call.needs_rank(0, 4)
    one, *kernel, outputs = call.needs_rank(1, 4)
    if one != 1 or outputs % channels:
        raise call.refusal("the channels of data and weights do not fit", AGAIN)
    strides = [options.strideH, options.strideW]
    dilations = [options.dilationHFactor, options.dilationWFactor]
    inputs = [
        call.real(0),
        weights_of(call, 1, [3, 0, 1, 2], [outputs, 1, *kernel], 0),
        bias_of(call, 2, outputs),
    ]
    pads = pads_of(call, options.padding, [height, width], kernel, strides, dilations)
    return _convolved(call, inputs, kernel, strides, dilations, pads, channels)


def convolution_3d(call: Call) -> List[Value]:
    """Convert CONV_3D: data NDHWC, weights DHWIO."""
    check_types(call)
    options = call.options
    _, *extents, channels = call.needs_rank(0, 5)
    *kernel, depth, outputs = call.needs_rank(1, 5)
    if depth == 0 or channels % depth or outputs % (channels // depth):
        raise call.refusal("the channels of data and weights do not fit", AGAIN)
    strides = [options.strideD, options.strideH, options.strideW]
    dilations = [options.dilationDFactor, options.dilationHFactor, options.dilationWFactor]
    inputs = [
        call.real(0),
        weights_of(call, 1, [4, 3, 0, 1, 2], [outputs, depth, *kernel], 0),
        bias_of(call, 2, outputs),
    ]
    pads = pads_of(call, options.padding, extents, kernel, strides, dilations)
    return _convolved(call, inputs, kernel, strides, dilations, pads, channels // depth)


def _convolved(
    call: Call,
    inputs: Sequence[Optional[Value]],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    groups: int,
) -> List[Value]:
    data, *weights = inputs
    assert data is not None
    answer = call.emit.op(
        "Conv",
        channels_second(call, data),
        *weights,
        kernel_shape=list(kernel),
        strides=list(strides),
        dilations=list(dilations),
        pads=list(pads),
        group=groups,
    )
    return [channels_last(call, call.activated(answer, call.options.fusedActivationFunction))]


def transpose_convolution(call: Call) -> List[Value]:
    """Convert TRANSPOSE_CONV (weights OHWI): inputs are the shape of the output, weights, data and bias."""
    options = call.options
    outputs, *kernel, _ = call.needs_rank(1, 4)
    return _transpose_convolved(
        call, outputs, kernel, [3, 0, 1, 2], [options.strideH, options.strideW], [1, 1]
    )


def transpose_convolution_3d(call: Call) -> List[Value]:
    """Convert CONV_3D_TRANSPOSE (weights DHWOI), whose inputs are those of TRANSPOSE_CONV."""
    options = call.options
    *kernel, outputs, _ = call.needs_rank(1, 5)
    strides = [options.strideD, options.strideH, options.strideW]
    dilations = [options.dilationDFactor, options.dilationHFactor, options.dilationWFactor]
    return _transpose_convolved(call, outputs, kernel, [4, 3, 0, 1, 2], strides, dilations)


def _transpose_convolved(
    call: Call,
    outputs: int,
    kernel: Sequence[int],
    perm: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> List[Value]:
    check_types(call, 2, 1)
    turned = Call(call.emit, _reordered(call), [call.raw(2), call.raw(1), *call.values[3:]])
    _, *extents, channels = call.needs_rank(2, len(perm))
    shape = call.integers(0, "shape of the output")
    if len(shape) != len(perm) or shape[-1] != outputs or min(shape) < 1:
        raise call.refusal("the shape of its output does not fit", AGAIN)
    pads = pads_of(call, call.options.padding, shape[1:-1], kernel, strides, dilations)
    if list(extents) != _extents_of(shape[1:-1], pads, kernel, strides, dilations):
        raise call.refusal("a convolution of its output does not have the shape of its input", AGAIN)
    begins, ends, extra = [], [], []
    for extent, output, window, stride, dilation, begin in zip(
        extents, shape[1:-1], kernel, strides, dilations, pads
    ):
        after = (extent - 1) * stride + (window - 1) * dilation + 1 - output - begin
        begins.append(begin)
        ends.append(max(0, after))
        extra.append(max(0, -after))
    inputs: Tuple[Optional[Value], ...] = (
        channels_second(call, turned.real(0)),
        weights_of(turned, 1, perm, [channels, outputs, *kernel], 1),
        bias_of(turned, 2, outputs),
    )
    answer = call.emit.op(
        "ConvTranspose",
        *inputs,
        kernel_shape=list(kernel),
        strides=list(strides),
        dilations=list(dilations),
        pads=begins + ends,
        output_padding=extra,
    )
    return [channels_last(call, call.activated(answer, call.options.fusedActivationFunction))]


def _extents_of(
    extents: Sequence[int],
    pads: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> List[int]:
    """Return the extents of the output of a convolution."""
    before, after = pads[: len(extents)], pads[len(extents) :]
    return [
        (extent + one + other - (window - 1) * dilation - 1) // stride + 1
        for extent, one, other, window, stride, dilation in zip(
            extents, before, after, kernel, strides, dilations
        )
    ]


def _reordered(call: Call) -> Operator:
    """Return the operator with data, weights and bias as the inputs, in the order of other convolutions."""
    inputs = [call.input(2), call.input(1), *call.operator.inputs[3:]]
    return dataclasses.replace(call.operator, inputs=inputs)
