# SPDX-License-Identifier: Apache-2.0
"""Pools of an image: maximum, mean, and root of the mean of squares."""

from __future__ import annotations

from typing import List

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import Call
from runtime.host.compile.tflite.schema import names_of
from runtime.host.compile.tflite.windows import channels_last, channels_second, pads_of


def max_pool(call: Call) -> List[Value]:
    """Convert MAX_POOL_2D, which selects elements."""
    call.needs_same_scales(0)
    fused = names_of("ActivationFunctionType").get(call.options.fusedActivationFunction)
    if fused == "NONE":
        return [_pooled(call, "MaxPool", call.raw(0))]
    answer = _pooled(call, "MaxPool", call.real(0))
    return [call.activated(answer, call.options.fusedActivationFunction)]


def average_pool(call: Call) -> List[Value]:
    """Convert AVERAGE_POOL_2D, whose mean leaves out the padding."""
    call.needs_same_scales(0)
    answer = _pooled(call, "AveragePool", call.real(0))
    return [call.activated(answer, call.options.fusedActivationFunction)]


def l2_pool(call: Call) -> List[Value]:
    """Convert L2_POOL_2D: the root of the mean of squares."""
    data = call.real(0)
    answer = call.emit.op("Sqrt", _pooled(call, "AveragePool", call.emit.op("Mul", data, data)))
    return [call.activated(answer, call.options.fusedActivationFunction)]


def _pooled(call: Call, op: str, data: Value) -> Value:
    options = call.options
    _, *extents, _ = call.needs_rank(0, 4)
    kernel = [options.filterHeight, options.filterWidth]
    strides = [options.strideH, options.strideW]
    pads = pads_of(call, options.padding, extents, kernel, strides, [1, 1])
    answer = call.emit.op(op, channels_second(call, data), kernel_shape=kernel, strides=strides, pads=pads)
    return channels_last(call, answer)
