# SPDX-License-Identifier: Apache-2.0
"""Facts about the operators of an ONNX model."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.about import OperatorFacts
from runtime.host.compile.onnx_model import with_static_shapes
from runtime.host.compile.operators import operators_of, parameters_of
from tests.support.onnx_nets import value, weights


def model_of(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], constants: Any = ()) -> Any:
    graph = helper.make_graph(list(nodes), "net", list(inputs), list(outputs), list(constants))
    return with_static_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def only(
    operator: str, shapes: Sequence[Sequence[int]], made: Sequence[int], **attributes: Any
) -> OperatorFacts:
    """Return the facts about one operator; its inputs after the first are constants."""
    names = [f"t{index}" for index in range(len(shapes))]
    node = helper.make_node(operator, names, ["y"], **attributes)
    constants = [weights(name, *shape) for name, shape in zip(names[1:], shapes[1:])]
    (found,) = operators_of(model_of([node], [value("t0", shapes[0])], [value("y", made)], constants))
    return found


@pytest.mark.parametrize(
    ("operator", "shapes", "made", "attributes", "macs", "parameters"),
    [
        ("Conv", [(1, 3, 8, 8), (4, 3, 3, 3), (4,)], (1, 4, 6, 6), {}, 4 * 36 * 27, 112),
        ("Conv", [(1, 4, 8, 8), (4, 1, 3, 3)], (1, 4, 6, 6), {"group": 4}, 4 * 36 * 9, 36),
        ("ConvTranspose", [(1, 2, 3, 3), (2, 5, 2, 2)], (1, 5, 4, 4), {}, 2 * 9 * 5 * 4, 40),
        ("Gemm", [(2, 7), (7, 5)], (2, 5), {}, 70, 35),
        ("Gemm", [(7, 2), (7, 5)], (2, 5), {"transA": 1}, 70, 35),
        ("MatMul", [(3, 2, 7), (7, 5)], (3, 2, 5), {}, 210, 35),
        ("Add", [(2, 7), (7,)], (2, 7), {}, 0, 7),
        ("GRU", [(4, 1, 5), (1, 9, 5), (1, 9, 3)], (4, 1, 1, 3), {"hidden_size": 3}, 4 * (45 + 27), 72),
    ],
)
def test_macs_and_parameters(
    operator: str, shapes: Any, made: Any, attributes: Any, macs: int, parameters: int
) -> None:
    found = only(operator, shapes, made, **attributes)
    assert (found.operator, found.macs, found.parameters) == (operator, macs, parameters)
    assert found.memory_bytes == 4 * (int(np.prod(shapes[0])) + int(np.prod(made)))
    assert found.outputs == [f"float32 {'x'.join(map(str, made))}"]


def test_a_constant_is_no_operator() -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones(6, "float32")))
    model = model_of(
        [constant, helper.make_node("Mul", ["x", "c"], ["y"])], [value("x", [6])], [value("y", [6])]
    )
    (found,) = operators_of(model)
    assert (found.operator, found.parameters, found.memory_bytes) == ("Mul", 6, 48)
    assert parameters_of(model) == 6


def test_a_tensor_that_is_used_twice_counts_once() -> None:
    nodes = [helper.make_node("Mul", ["x", "x"], ["y"])]
    (found,) = operators_of(model_of(nodes, [value("x", [6])], [value("y", [6])]))
    assert found.memory_bytes == 48 and found.inputs == ["float32 6", "float32 6"]


def test_types_that_devices_do_not_have() -> None:
    half = TensorProto.FLOAT16
    nodes = [helper.make_node("Cast", ["x"], ["h"], to=half), helper.make_node("Cast", ["h"], ["y"], to=1)]
    first, _ = operators_of(model_of(nodes, [value("x", [2, 2])], [value("y", [2, 2])]))
    assert first.outputs == ["float16 2x2"] and first.memory_bytes == 16 + 8
