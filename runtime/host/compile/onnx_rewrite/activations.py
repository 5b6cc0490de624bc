# SPDX-License-Identifier: Apache-2.0
"""Activation functions of recurrent operators, as ONNX names them."""

from __future__ import annotations

from typing import Callable, Dict, Final, List, Optional, Tuple

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import Node, Value

Activation = Callable[[Emitter, Value], Value]

_DEFAULTS: Final[Dict[str, Tuple[Optional[float], Optional[float]]]] = {
    "relu": (None, None),
    "tanh": (None, None),
    "sigmoid": (None, None),
    "softsign": (None, None),
    "softplus": (None, None),
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, None),
}
"""Alpha and beta that hold without the attributes; None where the function has no such parameter.

The values are the defaults of ONNX's operators of these names.
"""

_WITHOUT_DEFAULT: Final = frozenset(["affine", "scaledtanh", "thresholdedrelu"])
"""Functions that need their parameters: onnxruntime 1.32 takes 0 as alpha, and ONNX has 1 or no default."""

_OPERATORS: Final = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "leakyrelu": "LeakyRelu",
    "thresholdedrelu": "ThresholdedRelu",
    "hardsigmoid": "HardSigmoid",
    "elu": "Elu",
}


def activations_of(node: Node, defaults: List[str], directions: int) -> List[List[Activation]]:
    """Return the functions of a recurrent node: one list for each direction.

    Args:
        node: RNN, GRU or LSTM.
        defaults: Names of the functions of one direction that hold without the attribute.
        directions: 1 or 2.

    Raises:
        ModelError: A function is unknown, or the number of functions or parameters does not fit.
    """
    names = node.attributes.get("activations") or defaults * directions
    if len(names) != len(defaults) * directions:
        raise node.refusal(
            f"it has {len(names)} activations instead of {len(defaults) * directions}", "Check the model."
        )
    alphas = list(node.attributes.get("activation_alpha") or [])
    betas = list(node.attributes.get("activation_beta") or [])
    functions = [_activation(node, name, alphas, betas) for name in names]
    return [functions[start : start + len(defaults)] for start in range(0, len(functions), len(defaults))]


def _activation(node: Node, name: str, alphas: List[float], betas: List[float]) -> Activation:
    """Return one function; take its parameters from the front of the lists."""
    key = name.lower()
    if key not in _DEFAULTS:
        raise node.refusal(f"activation {name} is not part of ONNX")
    alpha, beta = _DEFAULTS[key]
    if key in _WITHOUT_DEFAULT and (not alphas or (beta is not None and not betas)):
        raise node.refusal(
            f"activation {name} has no parameters",
            "Set activation_alpha and activation_beta of the node.",
        )
    if alpha is not None and alphas:
        alpha = alphas.pop(0)
    if beta is not None and betas:
        beta = betas.pop(0)

    def function(emit: Emitter, value: Value) -> Value:
        if key == "affine":
            return _affine(emit, value, alpha, beta)
        if key == "scaledtanh":
            return _affine(emit, emit.op("Tanh", _affine(emit, value, beta, 0.0)), alpha, 0.0)
        return emit.op(_OPERATORS[key], value, alpha=alpha, beta=beta)

    return function


def _affine(emit: Emitter, value: Value, alpha: Optional[float], beta: Optional[float]) -> Value:
    """Return alpha * value + beta."""
    if alpha not in (None, 1.0):
        value = emit.op("Mul", value, emit.like(alpha or 0.0, value))
    if beta not in (None, 0.0):
        value = emit.op("Add", value, emit.like(beta or 0.0, value))
    return value
