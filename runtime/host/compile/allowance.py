# SPDX-License-Identifier: Apache-2.0
"""Errors that a right answer may have, besides a tolerance: of rounding, and of the steps of quantization."""

from __future__ import annotations

from typing import Dict, Final, List, Mapping, Optional, Sequence

import numpy as np
import onnx

from runtime.host.compile.comparison import Allowance
from runtime.host.compile.errors import ModelError
from runtime.host.compile.float_form import float_form, with_moved_ties
from runtime.host.compile.reference import InvalidInputs, OnnxReference
from runtime.host.compile.trained.model import Reference

PART: Final = 0.3
"""Part of the effect of quantization that another order of roundings may have.

onnxruntime's optimized and plain runs of a quantized MobileNetV2 differ by several times its whole effect.
"""

MOST: Final = 8
"""Multiples of the usual error of a quantized output that its largest error may have.

A model with fewer roundings has fewer: an operator alone is wrong by one step at most.
"""

SLACK: Final = 1.001  # a step is the difference of two rounded float32

SEED: Final = 20_240_229
REPEATS: Final = 4

Arrays = Mapping[str, "np.ndarray"]


def allowances(
    reference: Reference,
    model: Optional[onnx.ModelProto],
    inputs: Sequence[Arrays],
    expected: Sequence[Arrays],
) -> Dict[str, Allowance]:
    """Return the allowance of each output by name.

    Args:
        reference: Reference of the model.
        model: The model in ONNX; None if it is not quantized.
        inputs: Sets of inputs.
        expected: Outputs of the reference for each set.
    """
    moved = [reference.rounding(one) for one in inputs]
    form = None if model is None else float_form(model)
    if form is None or model is None:
        return {name: Allowance([one[name] for one in moved], None) for name in reference.outputs}
    plain = _outputs_of(form.model, inputs)
    exact = _outputs_of(model, inputs)
    random = np.random.default_rng(SEED)
    others = [_outputs_of(with_moved_ties(model, random), inputs) for _ in range(REPEATS)]
    given = {value.name for value in model.graph.input}
    roundings = sum(
        node.op_type == "QuantizeLinear" and node.input[0] not in given for node in model.graph.node
    )
    found = {}
    for name in reference.outputs:
        quantization, largest = None, 0.0
        if expected[0][name].dtype.kind == "f" or name in form.steps:
            effect = _largest_rms(name, plain, expected)
            ties = max(_largest_rms(name, other, exact) for other in others)
            quantization = max(form.steps.get(name, 0.0), PART * effect, ties)
            changes = [_largest_change(name, other, exact or ()) for other in others]
            largest = SLACK * max(
                min(MOST, roundings) * quantization, 2 * _largest_change(name, plain, expected), *changes
            )
        found[name] = Allowance([one[name] for one in moved], quantization, largest)
    return found


def _outputs_of(model: onnx.ModelProto, inputs: Sequence[Arrays]) -> Optional[List[Dict[str, np.ndarray]]]:
    """Return the outputs of a model for each set of inputs; None if no reference runs it."""
    try:
        reference = OnnxReference(model)
        return [reference.run(one) for one in inputs]
    except (InvalidInputs, ModelError):
        return None


def _largest_rms(name: str, one: Optional[Sequence[Arrays]], other: Optional[Sequence[Arrays]]) -> float:
    """Return the largest root of the mean square of the differences of one set of inputs."""
    if one is None or other is None:
        return 0.0
    return max(_rms(first[name], second[name]) for first, second in zip(one, other))


def _largest_change(name: str, one: Optional[Sequence[Arrays]], other: Sequence[Arrays]) -> float:
    """Return the largest difference of an element."""
    errors = [_finite_errors(first[name], second[name]) for first, second in zip(one or (), other)]
    return max((float(np.abs(array).max()) for array in errors if array.size), default=0.0)


def _rms(one: np.ndarray, other: np.ndarray) -> float:
    errors = _finite_errors(one, other)
    return float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0


def _finite_errors(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        errors = np.ravel(one.astype(np.float64) - other.astype(np.float64))
    return errors[np.isfinite(errors)]
