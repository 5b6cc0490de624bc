# SPDX-License-Identifier: Apache-2.0
"""Unsupported parts of a model are refused with the operator, the node, a reason and a next step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, defs, helper

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import simplified, supported_operators
from tests.compile.onnx_rewrite.running import longs, model_of

DATA = {"x": np.ones((2, 3, 4), np.float32)}


def refusal(model: Any) -> ModelError:
    """Return the error for a model."""
    with pytest.raises(ModelError) as caught:
        simplified(model)
    assert caught.value.what.endswith(".") and caught.value.next_step.endswith(".")
    return caught.value


def test_the_table_has_each_operator_of_onnx() -> None:
    names = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}
    assert set(supported_operators()) == names


def test_the_table_has_a_treatment_in_words() -> None:
    treatments = supported_operators()
    assert treatments["Add"] == "taken" and treatments["LSTM"] == "rewritten"
    assert "sort" in treatments["TopK"]


def test_an_operator_is_refused_with_its_node() -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], "ranking")
    assert "TopK of node 'ranking'" in refusal(model_of([node], DATA, ["y"], {"k": longs([2])})).what


def test_a_node_without_a_name_is_called_by_its_output() -> None:
    node = helper.make_node("NonZero", ["x"], ["places"])
    assert "'places'" in refusal(model_of([node], DATA, ["places"])).what


@pytest.mark.parametrize("index", [3, -4])
def test_a_constant_index_outside_of_its_axis_is_refused(index: int) -> None:
    node = helper.make_node("Gather", ["x", "i"], ["y"], axis=1)
    model = model_of([node], DATA, ["y"], {"i": longs([index])})
    assert "a constant index is outside of its axis" in refusal(model).what


def test_another_domain_is_refused() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], DATA, ["y"])
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert "com.microsoft" in refusal(model).what


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.COMPLEX64])
def test_an_element_type_that_c_lacks_is_refused(kind: int) -> None:
    model = model_of([helper.make_node("Identity", ["x"], ["y"])], DATA, ["y"])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = kind
    assert "no counterpart in C" in refusal(model).what


def test_an_element_type_between_nodes_is_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
    ]
    assert "float16" in refusal(model_of(nodes, DATA, ["y"])).what


def test_a_dynamic_input_is_refused() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], DATA, ["y"])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert "dynamic shape" in refusal(model).what


def test_an_old_opset_is_refused() -> None:
    assert "opset 6" in refusal(model_of([helper.make_node("Relu", ["x"], ["y"])], DATA, ["y"], opset=6)).what


def test_an_unknown_operator_is_refused() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], DATA, ["y"])
    model.graph.node[0].op_type = "Rely"
    assert "Rely" in refusal(model).what


def test_a_shape_of_run_time_is_refused() -> None:
    model = model_of([helper.make_node("Reshape", ["x", "s"], ["y"])], {**DATA, "s": longs([24])}, ["y"])
    assert "constant parameters" in refusal(model).next_step


def test_training_is_refused() -> None:
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    model = model_of([helper.make_node("Dropout", ["x", "r", "t"], ["y"])], DATA, ["y"], constants)
    assert "training" in refusal(model).what
