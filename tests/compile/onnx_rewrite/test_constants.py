# SPDX-License-Identifier: Apache-2.0
"""Constants are computed, and nodes without an effect vanish."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import simplified
from tests.compile.onnx_rewrite.running import by_reference, floats, longs, model_of

DATA = {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}


def operators(model: Any) -> List[str]:
    """Return the operators of a model in order."""
    return [node.op_type for node in model.graph.node]


def test_the_flattening_of_an_exporter_becomes_one_reshape() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        helper.make_node("Gather", ["s", "zero"], ["batch"]),
        helper.make_node("Constant", [], ["axes"], value_ints=[0]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["first"]),
        helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
        helper.make_node("Concat", ["first", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    simple = simplified(model_of(nodes, DATA, ["y"]))
    assert operators(simple) == ["Reshape"]
    assert by_reference(simple, DATA)[0].shape == (2, 12)


def test_identities_vanish_and_the_output_keeps_its_name() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Dropout", ["b"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
    ]
    simple = simplified(model_of(nodes, DATA, ["y"]))
    assert operators(simple) == ["Relu"]
    assert simple.graph.node[0].output == ["y"]


def test_an_output_that_is_an_input_is_a_copy() -> None:
    simple = simplified(model_of([helper.make_node("Identity", ["x"], ["y"])], DATA, ["y"]))
    assert operators(simple) == ["Identity"]


def test_two_outputs_of_one_value() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["y"], ["z"])]
    simple = simplified(model_of(nodes, DATA, ["y", "z"]))
    assert [value.name for value in simple.graph.output] == ["y", "z"]
    first, second = by_reference(simple, DATA)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "attribute",
    [
        {"value": numpy_helper.from_array(floats([1, 2, 3, 4]))},
        {"value_floats": [1.0, 2.0, 3.0, 4.0]},
        {"value_float": 1.5},
    ],
)
def test_a_constant_in_each_form(attribute: Any) -> None:
    nodes = [helper.make_node("Constant", [], ["c"], **attribute), helper.make_node("Add", ["x", "c"], ["y"])]
    simple = simplified(model_of(nodes, DATA, ["y"]))
    assert operators(simple) == ["Add"] and len(simple.graph.initializer) == 1


def test_unused_constants_and_nodes_vanish() -> None:
    nodes = [helper.make_node("Exp", ["x"], ["unused"]), helper.make_node("Relu", ["x"], ["y"])]
    simple = simplified(model_of(nodes, DATA, ["y"], {"w": np.zeros(9, np.float32)}))
    assert operators(simple) == ["Relu"] and not simple.graph.initializer


def test_equal_constants_are_one() -> None:
    nodes = [helper.make_node("Add", ["x", "a"], ["t"]), helper.make_node("Mul", ["t", "b"], ["y"])]
    constants = {"a": floats([1, 2, 3, 4]), "b": floats([1, 2, 3, 4])}
    assert len(simplified(model_of(nodes, DATA, ["y"], constants)).graph.initializer) == 1


def test_quantized_weights_stay_quantized() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["f"]),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    constants = {"w": np.array([1, 2, 3, 4], np.int8), "s": np.float32(0.5)}
    assert operators(simplified(model_of(nodes, DATA, ["y"], constants))) == ["DequantizeLinear", "Add"]


def test_a_constant_beyond_the_limit_is_refused() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["t"], keepdims=0),
        helper.make_node("Add", ["x", "t"], ["y"]),
    ]
    model = model_of(nodes, DATA, ["y"], {"shape": longs([1 << 14, 1 << 14])})
    with pytest.raises(ModelError, match="too large"):
        simplified(model)


def test_an_input_with_an_initializer_is_a_constant() -> None:
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], DATA, ["y"], {"w": floats([1, 2, 3, 4])})
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4]))
    simple = simplified(model)
    assert [value.name for value in simple.graph.input] == ["x"]


def test_a_sparse_initializer_is_a_constant() -> None:
    values = numpy_helper.from_array(floats([5, 7]), "w")
    indices = numpy_helper.from_array(longs([1, 3]))
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], DATA, ["y"])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    answer = by_reference(simplified(model), DATA)[0]
    np.testing.assert_array_equal(answer, DATA["x"] + floats([0, 5, 0, 7]))


def test_tensors_without_elements_are_constants() -> None:
    nodes = [
        helper.make_node("Slice", ["x", "zero", "zero"], ["none"]),
        helper.make_node("Concat", ["x", "none"], ["y"], axis=0),
    ]
    simple = simplified(model_of(nodes, DATA, ["y"], {"zero": longs([0])}))
    assert operators(simple) == ["Identity"]


def test_local_functions_are_inlined() -> None:
    function = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )
    node = helper.make_node("Twice", ["x"], ["y"], domain="mine")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "g", [info("x", TensorProto.FLOAT, [2])], [info("y", TensorProto.FLOAT, [2])]
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=10)
    assert operators(simplified(model)) == ["Add"]


def test_the_result_passes_the_checker_in_full() -> None:
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)]
    constants = {"w": np.ones((1, 8, 4), np.float32), "r": np.ones((1, 8, 2), np.float32)}
    simple = simplified(model_of(nodes, DATA, ["y"], constants))
    onnx.checker.check_model(simple, full_check=True)
