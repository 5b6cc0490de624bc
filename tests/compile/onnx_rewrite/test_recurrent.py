# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM without the operators compute what onnxruntime computes with them."""

from __future__ import annotations

import itertools
from typing import Any, Dict, Final, List, Tuple

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import simplified
from tests.compile.onnx_rewrite.running import by_onnxruntime, by_reference, difference, model_of

GATES: Final = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS: Final = {"RNN": 1, "GRU": 2, "LSTM": 3}
DIRECTIONS: Final = ("forward", "reverse", "bidirectional")
ACTIVATIONS: Final[Dict[str, Tuple[bool, bool]]] = {
    "Relu": (False, False),
    "Tanh": (False, False),
    "Sigmoid": (False, False),
    "Affine": (True, True),
    "LeakyRelu": (True, False),
    "ThresholdedRelu": (True, False),
    "ScaledTanh": (True, True),
    "HardSigmoid": (True, True),
    "Elu": (True, False),
    "Softsign": (False, False),
    "Softplus": (False, False),
}
BARE: Final = ("Affine", "ScaledTanh", "ThresholdedRelu")


def network(op: str, seed: int, direction: str, lengths: bool = True, **attributes: Any) -> Tuple[Any, Any]:
    """Return a random network and its inputs."""
    random = np.random.default_rng(seed)
    steps, batch, width, hidden = (int(random.integers(1, 6)) for _ in range(4))
    count = 2 if direction == "bidirectional" else 1
    gates = GATES[op] * hidden

    # The Softplus of onnxruntime's recurrent operators overflows for large inputs.
    scale = 0.2 if "Softplus" in attributes.get("activations", []) else 0.7

    def numbers(*shape: int) -> Any:
        return random.normal(0, scale, shape).astype(np.float32)

    constants = {"W": numbers(count, gates, width), "R": numbers(count, gates, hidden)}
    names = ["X", "W", "R"]
    optional = {
        "B": numbers(count, 2 * gates),
        "L": random.integers(1, steps + 1, batch).astype(np.int32),
        "H": numbers(count, batch, hidden),
    }
    if not lengths:
        optional["L"] = None
    if op == "LSTM":
        optional["C"] = numbers(count, batch, hidden)
        optional["P"] = numbers(count, 3 * hidden)
    for name, array in optional.items():
        chosen = array is not None and random.random() < 0.6
        names.append(name if chosen else "")
        if chosen:
            constants[name] = array
    outputs = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    wanted = [name if random.random() < 0.7 else "" for name in outputs]
    if not any(wanted):
        wanted = outputs
    node = helper.make_node(op, names, wanted, hidden_size=hidden, direction=direction, **attributes)
    inputs = {"X": numbers(steps, batch, width)}
    for name in ("H", "C"):
        if name in constants and random.random() < 0.5:
            inputs[name] = constants.pop(name)
    return model_of([node], inputs, [name for name in wanted if name], constants), inputs


def check(model: Any, inputs: Any) -> None:
    """Compare the model without recurrent operators with onnxruntime's answer for the model itself."""
    expected = by_onnxruntime(model, inputs)
    simple = simplified(model)
    assert not {"RNN", "GRU", "LSTM"} & {node.op_type for node in simple.graph.node}
    assert difference(by_onnxruntime(simple, inputs), expected) == ""
    assert difference(by_reference(simple, inputs), expected) == ""


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("op", GATES)
def test_a_random_network(op: str, direction: str, seed: int) -> None:
    check(*network(op, seed, direction))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("op", GATES)
def test_clip_limits_the_inputs_of_activations(op: str, seed: int) -> None:
    check(*network(op, seed + 100, DIRECTIONS[seed % 3], clip=0.3))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_gru_with_the_linear_part_before_the_reset(direction: str, seed: int) -> None:
    check(*network("GRU", seed + 200, direction, linear_before_reset=1))


@pytest.mark.parametrize("seed", range(4))
def test_an_lstm_whose_forget_gate_is_coupled(seed: int) -> None:
    check(*network("LSTM", seed + 300, DIRECTIONS[seed % 3], input_forget=1))


@pytest.mark.parametrize(
    ("op", "name", "is_given"),
    [
        (op, name, is_given)
        for op, name in itertools.product(GATES, ACTIVATIONS)
        for is_given in ([False] if not ACTIVATIONS[name][0] else [True] if name in BARE else [False, True])
    ],
)
def test_an_activation(op: str, name: str, is_given: bool) -> None:
    attributes: Dict[str, Any] = {"activations": [name] * FUNCTIONS[op]}
    has_alpha, has_beta = ACTIVATIONS[name]
    if is_given and has_alpha:
        attributes["activation_alpha"] = [0.3 + 0.2 * index for index in range(FUNCTIONS[op])]
    if is_given and has_beta:
        attributes["activation_beta"] = [0.4 + 0.1 * index for index in range(FUNCTIONS[op])]
    check(*network(op, 7, "forward", **attributes))


def test_parameters_belong_to_the_functions_that_have_them() -> None:
    names = ["HardSigmoid", "Tanh", "Elu", "Sigmoid", "Affine", "LeakyRelu"]
    check(
        *network(
            "LSTM",
            5,
            "bidirectional",
            activations=names,
            activation_alpha=[0.25, 0.7, 0.5, 0.05],
            activation_beta=[0.45, 0.1],
        )
    )


@pytest.mark.parametrize("op", GATES)
def test_layout_1_has_the_batch_first(op: str) -> None:
    random = np.random.default_rng(3)
    gates, hidden = GATES[op] * 3, 3
    constants = {
        "W": random.normal(0, 1, (1, gates, 4)).astype(np.float32),
        "R": random.normal(0, 1, (1, gates, hidden)).astype(np.float32),
        "H": random.normal(0, 1, (2, 1, hidden)).astype(np.float32),
    }
    inputs = {"X": random.normal(0, 1, (2, 5, 4)).astype(np.float32)}
    names = ["X", "W", "R", "", "", "H"]
    first = helper.make_node(op, names, ["Y", "Y_h"], hidden_size=hidden, layout=1)
    found = by_onnxruntime(simplified(model_of([first], inputs, ["Y", "Y_h"], constants)), inputs)
    # onnxruntime 1.32 has no layout 1: the network with layout 0 and transposed tensors is the reference.
    constants["H"] = np.ascontiguousarray(constants["H"].transpose(1, 0, 2))
    inputs = {"X": np.ascontiguousarray(inputs["X"].transpose(1, 0, 2))}
    second = helper.make_node(op, names, ["Y", "Y_h"], hidden_size=hidden)
    answer = by_onnxruntime(model_of([second], inputs, ["Y", "Y_h"], constants), inputs)
    assert difference(found, [answer[0].transpose(2, 0, 1, 3), answer[1].transpose(1, 0, 2)]) == ""


def refusal(model: Any) -> str:
    """Return the message for a model that is refused."""
    with pytest.raises(ModelError) as caught:
        simplified(model)
    return str(caught.value)


def simple_lstm(lengths: List[str], **attributes: Any) -> Any:
    """Return an LSTM of two steps."""
    inputs: Dict[str, Any] = {"X": np.zeros((2, 1, 3), np.float32)}
    if lengths:
        inputs["L"] = np.array([2], np.int32)
    constants = {"W": np.zeros((1, 8, 3), np.float32), "R": np.zeros((1, 8, 2), np.float32)}
    node = helper.make_node("LSTM", ["X", "W", "R", "", *lengths], ["Y"], "lstm", hidden_size=2, **attributes)
    return model_of([node], inputs, ["Y"], constants)


def test_lengths_of_run_time_are_refused() -> None:
    assert "'lstm'" in refusal(simple_lstm(["L"])) and "sequence_lens" in refusal(simple_lstm(["L"]))


def test_an_unknown_activation_is_refused() -> None:
    assert "Sine" in refusal(simple_lstm([], activations=["Sine", "Tanh", "Tanh"]))


@pytest.mark.parametrize("name", BARE)
def test_an_activation_without_its_parameters_is_refused(name: str) -> None:
    assert name in refusal(simple_lstm([], activations=[name, "Tanh", "Tanh"]))


def test_activations_of_another_number_are_refused() -> None:
    assert "2 activations" in refusal(simple_lstm([], activations=["Tanh", "Tanh"]))
