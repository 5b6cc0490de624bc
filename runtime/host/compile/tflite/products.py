# SPDX-License-Identifier: Apache-2.0
"""Fully connected layers and products of matrices."""

from __future__ import annotations

from typing import List

from runtime.host.compile.onnx_rewrite.parts import transposed
from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call
from runtime.host.compile.tflite.windows import bias_of, check_types, weights_of


def fully_connected(call: Call) -> List[Value]:
    """Convert FULLY_CONNECTED: weights [outputs, inputs], data of any rank with `inputs` last elements."""
    check_types(call)
    options = call.options
    if options.weightsFormat:
        raise call.refusal("its weights are shuffled", "Convert the model without shuffled weights.")
    outputs, inputs = call.needs_rank(1, 2)
    data = call.raw(0)
    if not inputs or data.size % inputs:
        raise call.refusal("the data and the weights do not fit", AGAIN)
    if options.keepNumDims:
        if not data.rank or data.shape[-1] != inputs:
            raise call.refusal("the data and the weights do not fit", AGAIN)
    elif data.rank != 2 or data.shape[1] != inputs:
        data = call.shaped(data, [data.size // inputs, inputs])
    answer = call.emit.op(
        "MatMul",
        call.dequantized(data, call.input(0)),
        weights_of(call, 1, [1, 0], [inputs, outputs], 1),
    )
    bias = bias_of(call, 2, outputs)
    if bias is not None:
        answer = call.emit.op("Add", answer, bias)
    return [call.activated(answer, options.fusedActivationFunction)]


def batch_matmul(call: Call) -> List[Value]:
    """Convert BATCH_MATMUL: adjX and adjY transpose the last two axes."""
    check_types(call)
    sides = []
    for index, adjoint in enumerate((call.options.adjX, call.options.adjY)):
        value = call.raw(index)
        if value.rank < 2:
            raise call.refusal(f"input {index} has rank {value.rank}", AGAIN)
        if adjoint:
            perm = [*range(value.rank - 2), value.rank - 1, value.rank - 2]
            value = transposed(call.emit, value, perm)
        sides.append(call.dequantized(value, call.input(index)))
    return [call.written(call.emit.op("MatMul", *sides))]
