# SPDX-License-Identifier: Apache-2.0
"""Files that are not what they seem: each is converted or refused with a sentence."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Final

import numpy as np
import pytest

from runtime.host.compile.errors import ModelError
from runtime.host.compile.tflite import tflite_to_onnx
from tests.compile.tflite.builder import Builder

FLIPS: Final = 300
SEED: Final = 20_260_101


def network() -> bytes:
    """Return a small quantized network: a convolution, a pool, a reshape and a fully connected layer."""
    builder = Builder()
    scale: Dict[str, Any] = {"scale": [0.05], "zero": [3]}
    x = builder.tensor((1, 6, 6, 2), "int8", "x", **scale)
    weights = builder.tensor((4, 3, 3, 2), "int8", data=np.ones((4, 3, 3, 2)), scale=[0.01] * 4)
    bias = builder.tensor((4,), "int32", data=np.arange(4), scale=[0.0005] * 4)
    y = builder.tensor((1, 6, 6, 4), "int8", **scale)
    builder.operator("CONV_2D", [x, weights, bias], [y], ("Conv2DOptions", {"strideW": 1, "strideH": 1}))
    pooled = builder.tensor((1, 3, 3, 4), "int8", **scale)
    pool = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
    builder.operator("MAX_POOL_2D", [y], [pooled], ("Pool2DOptions", pool))
    flat = builder.tensor((1, 36), "int8", **scale)
    builder.operator("RESHAPE", [pooled, builder.constant([1, 36])], [flat], ("ReshapeOptions", {}))
    dense = builder.tensor((3, 36), "int8", data=np.ones((3, 36)), scale=[0.01])
    z = builder.tensor((1, 3), "int8", "z", **scale)
    builder.operator("FULLY_CONNECTED", [flat, dense, -1], [z], ("FullyConnectedOptions", {}))
    return builder.finish([x], [z])


def outcome(data: bytes) -> str:
    """Return the sentence of a refusal, or an empty string for a file that is converted."""
    try:
        tflite_to_onnx(data)
    except ModelError as error:
        assert error.what.endswith(".") and error.next_step.endswith("."), error
        return error.what
    return ""


def test_the_network_itself_is_converted() -> None:
    assert outcome(network()) == ""


@pytest.mark.parametrize("part", range(20))
def test_a_truncated_file_is_refused(part: int) -> None:
    data = network()
    for length in range(part * len(data) // 20, (part + 1) * len(data) // 20, 7):
        outcome(data[:length])
    assert outcome(data[: part * len(data) // 40])


@pytest.mark.parametrize("part", range(10))
def test_random_bytes_do_not_end_in_a_traceback(part: int) -> None:
    data = network()
    random = np.random.default_rng(SEED + part)
    for _ in range(FLIPS // 10):
        flipped = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            flipped[place] = random.integers(0, 256)
        outcome(bytes(flipped))


def _plain(builder: Builder, **fields: Any) -> bytes:
    x = builder.tensor((2, 3), name="x", **fields)
    y = builder.tensor((2, 3), name="y")
    builder.operator("RELU", [x], [y])
    return builder.finish([x], [y])


def unknown_operator(builder: Builder) -> bytes:
    _plain(builder)
    builder.model.operatorCodes[0].builtinCode = 9999
    return builder.finish([0], [1])


def custom_operator(builder: Builder) -> bytes:
    _plain(builder)
    code = builder.model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = "Swirl"
    return builder.finish([0], [1])


def circle(builder: Builder) -> bytes:
    x, y, z = (builder.tensor((2, 3)) for _ in range(3))
    builder.operator("ADD", [x, z], [y], ("AddOptions", {}))
    builder.operator("RELU", [y], [z])
    return builder.finish([x], [z])


def written_twice(builder: Builder) -> bytes:
    _plain(builder)
    builder.operator("TANH", [0], [1])
    return builder.finish([0], [1])


def index_too_large(builder: Builder) -> bytes:
    _plain(builder)
    return builder.finish([0], [99])


def control(builder: Builder) -> bytes:
    x, y = builder.tensor((1,), "bool"), builder.tensor((1,), "bool")
    builder.operator("WHILE", [x], [y], ("WhileOptions", {"condSubgraphIndex": 7}))
    return builder.finish([x], [y])


def wrong_options(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3)), builder.tensor((2, 3))
    builder.operator("ADD", [x, x], [y], ("Conv2DOptions", {}))
    return builder.finish([x], [y])


def wrong_shape(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3)), builder.tensor((2, 4))
    builder.operator("RELU", [x], [y])
    return builder.finish([x], [y])


def no_stride(builder: Builder) -> bytes:
    x, y = builder.tensor((1, 4, 4, 1)), builder.tensor((1, 4, 4, 1))
    builder.operator("MAX_POOL_2D", [x], [y], ("Pool2DOptions", {"filterWidth": 1, "filterHeight": 1}))
    return builder.finish([x], [y])


def short_buffer(builder: Builder) -> bytes:
    _plain(builder)
    builder.operator("ADD", [0, builder.constant([1.0, 2.0, 3.0], "float32")], [builder.tensor((2, 3))])
    builder.model.buffers[-1].data = np.zeros(5, np.uint8)
    return builder.finish([0], [1])


def buffer_index(builder: Builder) -> bytes:
    _plain(builder)
    builder.graph.tensors[0].buffer = 77
    return builder.finish([0], [1])


def two_scales(builder: Builder) -> bytes:
    x = builder.tensor((2, 3), "int8", scale=[0.1, 0.2], axis=0)
    y = builder.tensor((2, 3), "int8", scale=[0.1])
    builder.operator("RELU", [x], [y])
    return builder.finish([x], [y])


def weights_with_zero(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3), "int8", scale=[0.1]), builder.tensor((2, 4), "int8", scale=[0.1])
    weights = builder.constant(np.ones((4, 3)), "int8", scale=[0.1], zero=[3])
    builder.operator("FULLY_CONNECTED", [x, weights, -1], [y], ("FullyConnectedOptions", {}))
    return builder.finish([x], [y])


def mean_with_other_scale(builder: Builder) -> bytes:
    x, y = (builder.tensor((1, 2, 2, 1), "int8", scale=[scale]) for scale in (0.1, 0.2))
    pool = {"strideW": 1, "strideH": 1, "filterWidth": 1, "filterHeight": 1}
    builder.operator("AVERAGE_POOL_2D", [x], [y], ("Pool2DOptions", pool))
    return builder.finish([x], [y])


def maximum_of_scales(builder: Builder) -> bytes:
    x, y, z = (builder.tensor((2, 3), "int8", scale=[scale]) for scale in (0.1, 0.2, 0.1))
    builder.operator("MAXIMUM", [x, y], [z])
    return builder.finish([x, y], [z])


def fused_tanh(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3)), builder.tensor((2, 3))
    builder.operator("ADD", [x, x], [y], ("AddOptions", {"fusedActivationFunction": 4}))
    return builder.finish([x], [y])


def softmax_scale(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3), "int8", scale=[0.1]), builder.tensor((2, 3), "int8", scale=[0.1])
    builder.operator("SOFTMAX", [x], [y], ("SoftmaxOptions", {"beta": 1.0}))
    return builder.finish([x], [y])


def no_scale(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3), "int8"), builder.tensor((2, 3), "int8")
    builder.operator("ADD", [x, x], [y], ("AddOptions", {}))
    return builder.finish([x], [y])


def strange_scale(builder: Builder) -> bytes:
    x, y = builder.tensor((2, 3), "int8", scale=[1e-36]), builder.tensor((2, 3), "int8", scale=[0.1])
    builder.operator("RELU", [x], [y])
    return builder.finish([x], [y])


def other_scale(builder: Builder) -> bytes:
    x = builder.tensor((2, 3), "int8", scale=[0.1])
    y = builder.tensor((3, 2), "int8", scale=[0.2])
    builder.operator("TRANSPOSE", [x, builder.constant([1, 0])], [y])
    return builder.finish([x], [y])


def quantized_float_only(builder: Builder) -> bytes:
    x, y = (builder.tensor((2, 3), "int8", scale=[0.1]) for _ in range(2))
    builder.operator("SIN", [x], [y])
    return builder.finish([x], [y])


def large_list(builder: Builder) -> bytes:
    x = builder.tensor((1,), name="x")
    y = builder.tensor((1 << 27,), name="y")
    builder.operator("TILE", [x, builder.constant([1 << 27])], [y])
    builder.tensor((1 << 28,))
    return builder.finish([x], [y])


def moved_by_input(builder: Builder) -> bytes:
    x, perm, y = builder.tensor((2, 3)), builder.tensor((2,), "int32"), builder.tensor((3, 2))
    builder.operator("TRANSPOSE", [x, perm], [y])
    return builder.finish([x, perm], [y])


REFUSED: Final[Dict[Callable[[Builder], bytes], str]] = {
    unknown_operator: "Operator number 9999 number 0 .* is not supported",
    custom_operator: "Custom operator 'Swirl' number 0",
    circle: "Operator ADD number 0 .* input 1 is not computed before it",
    written_twice: "Operator TANH number 1 .* its output has a value before it",
    index_too_large: "damaged: index 99 is outside of a list of 2",
    control: "Operator WHILE .* it repeats a graph at run time",
    wrong_options: "operator ADD has options of type Conv2DOptions",
    wrong_shape: "Operator RELU .* declared as float32 2x4: expected float32 2x3",
    no_stride: "Operator MAX_POOL_2D .* a stride, dilation or extent of its window is out of range",
    short_buffer: "has 5 bytes of data: expected 12",
    buffer_index: "buffer 77 is outside of a list",
    two_scales: "has several scales",
    other_scale: "Operator TRANSPOSE .* another scale",
    weights_with_zero: "Operator FULLY_CONNECTED .* weights of int8 have a zero point",
    mean_with_other_scale: "Operator AVERAGE_POOL_2D .* another scale",
    maximum_of_scales: "Operator MAXIMUM .* another scale",
    fused_tanh: "Operator ADD .* its fused activation is TANH",
    softmax_scale: "Operator SOFTMAX .* scale 0.1 and zero point 0: expected 0.00390625 and -128",
    no_scale: "Operator ADD .* int8 and no scale",
    strange_scale: "has a scale of 1e-36, which is out of range",
    quantized_float_only: "Operator SIN .* quantized to int8",
    large_list: "more elements than expected",
    moved_by_input: "Operator TRANSPOSE .* order of the axes is computed from the model's inputs",
    lambda builder: _plain(builder, isVariable=True): "is a variable",
    lambda builder: _plain(builder, shapeSignature=np.array([-1, 3], np.int32)): "",
    lambda builder: builder.finish([], []): "the model has no outputs",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_a_part_that_is_not_supported_is_refused_by_name(make: Callable[[Builder], bytes]) -> None:
    assert re.search(REFUSED[make], outcome(make(Builder()))), outcome(make(Builder()))


@pytest.mark.parametrize("dtype", ["float16", "int16", "float64"])
def test_a_type_without_a_conversion_is_refused(dtype: str) -> None:
    builder = Builder()
    scale: Dict[str, Any] = {"scale": [0.1]} if dtype == "int16" else {}
    x, y = builder.tensor((2, 3), dtype, **scale), builder.tensor((2, 3), dtype, **scale)
    builder.operator("RELU", [x], [y])
    assert re.search("float16|int16|^$", outcome(builder.finish([x], [y])))


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"\0" * 4 + b"TFL3", b"\x08\0\0\0ONNX" + b"\0" * 99, b"\0" * 4096]
)
def test_another_file_is_refused(data: bytes) -> None:
    assert outcome(data)
