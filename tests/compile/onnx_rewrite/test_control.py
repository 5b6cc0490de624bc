# SPDX-License-Identifier: Apache-2.0
"""Control flow with a known course is written out; other control flow is refused by name."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import simplified
from tests.compile.onnx_rewrite.running import by_onnxruntime, difference, longs, model_of

DATA = {"x": np.arange(12, dtype=np.float32).reshape(3, 4)}


def info(name: str, kind: int = TensorProto.FLOAT, shape: Any = None) -> Any:
    """Return the description of a value of a body."""
    return helper.make_tensor_value_info(name, kind, shape)


def check(model: Any, inputs: Dict[str, Any]) -> List[str]:
    """Compare with onnxruntime, and return the operators of the rewritten model."""
    simple = simplified(model)
    assert difference(by_onnxruntime(simple, inputs), by_onnxruntime(model, inputs)) == ""
    return [node.op_type for node in simple.graph.node]


def branches() -> Any:
    """Return an If that adds or multiplies x, which it takes from the outer graph."""
    then = helper.make_graph([helper.make_node("Add", ["x", "x"], ["t"])], "then", [], [info("t")])
    other = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["e"])], "else", [], [info("e")])
    return helper.make_node("If", ["c"], ["y"], "choice", then_branch=then, else_branch=other)


@pytest.mark.parametrize(("condition", "operator"), [(True, "Add"), (False, "Mul")])
def test_the_branch_of_a_constant_condition(condition: bool, operator: str) -> None:
    assert check(model_of([branches()], DATA, ["y"], {"c": np.array(condition)}), DATA) == [operator]


def test_a_condition_of_run_time_is_refused() -> None:
    with pytest.raises(ModelError, match="If of node 'choice'"):
        simplified(model_of([branches()], {**DATA, "c": np.array(True)}, ["y"]))


def loop(trips: str, condition: str) -> Any:
    """Return a Loop that doubles a value and collects it, while its condition holds."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["value", "x"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
            helper.make_node("Constant", [], ["limit"], value_int=2),
            helper.make_node("Less", ["step", "limit"], ["goes_on"]),
        ],
        "body",
        [info("step", TensorProto.INT64, []), info("runs", TensorProto.BOOL, []), info("value")],
        [info("goes_on", TensorProto.BOOL, []), info("next"), info("row")],
    )
    return helper.make_node("Loop", [trips, condition, "x"], ["last", "rows"], "loop", body=body)


@pytest.mark.parametrize("trips", [1, 2, 10])
def test_a_loop_is_written_out(trips: int) -> None:
    model = model_of([loop("n", "")], DATA, ["last", "rows"], {"n": np.int64(trips)})
    assert check(model, DATA).count("Add") == min(trips, 3)


def test_a_loop_whose_trips_are_an_input_is_refused() -> None:
    with pytest.raises(ModelError, match="Loop of node 'loop'"):
        simplified(model_of([loop("n", "")], {**DATA, "n": np.int64(3)}, ["last", "rows"]))


def test_a_loop_without_an_end_is_refused() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["runs"], ["on"]), helper.make_node("Relu", ["value"], ["next"])],
        "body",
        [info("step", TensorProto.INT64, []), info("runs", TensorProto.BOOL, []), info("value")],
        [info("on", TensorProto.BOOL, []), info("next")],
    )
    node = helper.make_node("Loop", ["", "c", "x"], ["y"], body=body)
    with pytest.raises(ModelError, match="more than 1024 iterations"):
        simplified(model_of([node], DATA, ["y"], {"c": np.array(True)}))


@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_is_written_out(axis: int, backwards: int) -> None:
    rows = DATA["x"].shape[1 - axis]
    body = helper.make_graph(
        [helper.make_node("Add", ["state", "item"], ["next"]), helper.make_node("Exp", ["item"], ["row"])],
        "body",
        [info("state", shape=[rows]), info("item", shape=[rows])],
        [info("next", shape=[rows]), info("row", shape=[rows])],
    )
    node = helper.make_node(
        "Scan",
        ["s", "x"],
        ["last", "rows"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[axis],
        scan_output_axes=[1 - axis],
        scan_input_directions=[backwards],
        scan_output_directions=[1 - backwards],
    )
    model = model_of([node], DATA, ["last", "rows"], {"s": np.ones(rows, np.float32)})
    assert check(model, DATA).count("Add") == DATA["x"].shape[axis]


def test_sequences_vanish() -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x", "parts"], ["s"], axis=1),
        helper.make_node("SequenceAt", ["s", "one"], ["second"]),
        helper.make_node("SequenceInsert", ["s", "second", "zero"], ["longer"]),
        helper.make_node("SequenceErase", ["longer", "one"], ["shorter"]),
        helper.make_node("ConcatFromSequence", ["shorter"], ["y"], axis=1),
    ]
    constants = {"parts": longs([1, 3]), "one": np.int64(1), "zero": np.int64(0)}
    operators = check(model_of(nodes, DATA, ["y"], constants), DATA)
    assert set(operators) <= {"Slice", "Concat"}


def test_the_lengths_of_a_reversed_sequence_are_constants() -> None:
    node = helper.make_node("ReverseSequence", ["x", "l"], ["y"], batch_axis=0, time_axis=1)
    check(model_of([node], DATA, ["y"], {"l": longs([1, 3, 4])}), DATA)
