# SPDX-License-Identifier: Apache-2.0
"""LiteRT as the reference of a TensorFlow Lite file, and names of inputs and outputs."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import onnx
import pytest

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import inputs_of, outputs_of
from runtime.host.compile.reference import InvalidInputs
from runtime.host.compile.tflite import TfliteReference, tflite_to_onnx
from tests.compile.tflite.builder import Builder
from tests.compile.tflite.compare import converted_like_litert


def two_inputs(first: str, second: str) -> bytes:
    builder = Builder()
    x, y = builder.tensor((2, 3), name=first), builder.tensor((2, 3), name=second)
    z = builder.tensor((2, 3), name="z")
    builder.operator("SUB", [x, y], [z], ("SubOptions", {}))
    return builder.finish([x, y], [z])


def test_the_reference_runs_the_file() -> None:
    reference = TfliteReference(two_inputs("a", "b"))
    assert (reference.name, reference.outputs) == ("LiteRT", ["z"])
    a, b = np.full((2, 3), 3, "float32"), np.full((2, 3), 1, "float32")
    assert (reference.run({"a": a, "b": b})["z"] == 2).all()
    assert 0 < reference.rounding({"a": a, "b": b})["z"].max() < 1e-4


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"a": np.zeros((2, 3), "float32"), "b": np.zeros((3, 2), "float32")},
        {"a": np.zeros(6), "b": np.zeros(6)},
    ],
)
def test_inputs_of_another_shape_or_type_are_invalid(inputs: object) -> None:
    with pytest.raises(InvalidInputs):
        TfliteReference(two_inputs("a", "b")).run(inputs)  # type: ignore[arg-type]


def test_a_damaged_file_does_not_reach_litert() -> None:
    with pytest.raises(ModelError):
        TfliteReference(two_inputs("a", "b")[:200])


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [("x", "x", ["x", "x:1"]), ("z", "z", ["z", "z:1"]), ("", "a b\n\u00e9", ["tensor_0", "a b?\u00e9"])],
)
def test_duplicate_names_get_a_number(first: str, second: str, names: object) -> None:
    model = converted_like_litert(two_inputs(first, second))
    assert [value.name for value in inputs_of(model)] == names


def test_an_output_may_be_an_input_a_constant_or_listed_twice() -> None:
    builder = Builder()
    x, y = builder.tensor((2, 3), name="x"), builder.tensor((2, 3), name="y")
    builder.operator("RELU", [x], [y])
    model = tflite_to_onnx(builder.finish([x], [y, y, x]))
    assert [value.name for value in outputs_of(model)] == ["y", "y:1", "x:1"]
    model = tflite_to_onnx(builder.finish([x], [builder.constant([1.0, 2.0], "float32")]))
    assert outputs_of(model)[0].shape == (2,)


def test_weights_of_float16_become_float32() -> None:
    builder = Builder()
    x, y = builder.tensor((2, 3)), builder.tensor((2, 3))
    weights = builder.constant([0.5, -1.25, 3.0], "float16")
    wide = builder.tensor((3,))
    builder.operator("DEQUANTIZE", [weights], [wide])
    builder.operator("MUL", [x, wide], [y], ("MulOptions", {}))
    converted_like_litert(builder.finish([x], [y]))


@pytest.mark.parametrize("scales", [1, 4])
def test_quantized_weights_of_a_float_layer_count_as_their_numbers(scales: int) -> None:
    builder = Builder()
    random = np.random.default_rng(0)
    x, y = builder.tensor((2, 64)), builder.tensor((2, 4))
    scale = random.uniform(0.005, 0.01, scales)
    weights = builder.constant(random.integers(-127, 128, (4, 64)), "int8", scale=scale)
    bias = builder.constant(random.normal(size=4), "float32")
    builder.operator("FULLY_CONNECTED", [x, weights, bias], [y], ("FullyConnectedOptions", {}))
    model = converted_like_litert(builder.finish([x], [y]))
    assert any(tensor.data_type == onnx.TensorProto.INT8 for tensor in model.graph.initializer)


def test_a_shape_that_is_computed_from_a_shape_is_constant() -> None:
    builder = Builder()
    dynamic: Dict[str, Any] = {"shapeSignature": np.array([-1, 2, 3], np.int32)}
    x, y = builder.tensor((4, 2, 3), name="x", **dynamic), builder.tensor((1, 6), name="y")
    builder.graph.tensors[y].shapeSignature = np.array([-1, 6], np.int32)
    shape, batch, target = (
        builder.tensor((3,), "int32"),
        builder.tensor((), "int32"),
        builder.tensor((2,), "int32"),
    )
    builder.operator("SHAPE", [x], [shape], ("ShapeOptions", {"outType": 2}))
    part = [builder.constant([number]) for number in (0, 1, 1)]
    builder.operator("STRIDED_SLICE", [shape, *part], [batch], ("StridedSliceOptions", {"shrinkAxisMask": 1}))
    six = builder.constant(6)
    builder.operator("PACK", [batch, six], [target], ("PackOptions", {"valuesCount": 2}))
    builder.operator("RESHAPE", [x, target], [y], ("ReshapeOptions", {}))
    model = converted_like_litert(builder.finish([x], [y]))
    assert outputs_of(model)[0].shape == (4, 6)
    assert [node.op_type for node in model.graph.node] == ["Reshape"]


def test_nodes_have_unique_names_that_come_from_the_file() -> None:
    builder = Builder()
    x, y, z = (
        builder.tensor((2, 3)),
        builder.tensor((2, 3), name="a;net/b"),
        builder.tensor((2, 3), name="net/b/2"),
    )
    builder.operator("SQUARED_DIFFERENCE", [x, x], [y])
    builder.operator("SQUARED_DIFFERENCE", [y, x], [z])
    names = [node.name for node in tflite_to_onnx(builder.finish([x], [z])).graph.node]
    assert len(set(names)) == len(names) == 4 and all(name.startswith("net/b") for name in names)
