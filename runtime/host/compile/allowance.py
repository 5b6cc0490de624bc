# SPDX-License-Identifier: Apache-2.0
"""Errors that a right answer may have, besides a tolerance: of rounding, and of the steps of quantization."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.float_form import FloatForm
from runtime.host.compile.reference import InvalidInputs, Reference

PART: Final = 0.3
"""Part of the effect of quantization that another order of roundings may have.

onnxruntime's optimized and plain runs of a quantized MobileNetV2 differ by several times its whole effect.
"""

Arrays = Mapping[str, "np.ndarray"]


class Allowance(NamedTuple):
    """Error that one output may have.

    Attributes:
        rounding: For each set of inputs, the error of each element.
        quantization: Largest root of the mean square of the errors of one set, for an output that depends on
            quantized tensors; None for another one.
    """

    rounding: Sequence[Any]
    quantization: Optional[float]


def allowances(
    reference: Any, form: Optional[FloatForm], inputs: Sequence[Arrays], expected: Sequence[Arrays]
) -> Dict[str, Allowance]:
    """Return the allowance of each output by name.

    Args:
        reference: Reference of the model.
        form: Model without the rounding of quantization; None for a model that is not quantized.
        inputs: Sets of inputs.
        expected: Outputs of the reference for each set.
    """
    moved = [reference.rounding(one) for one in inputs]
    plain = None if form is None else _outputs_of(form, inputs)
    found = {}
    for name in reference.outputs:
        quantization = None
        if form is not None and _is_number(expected[0][name], name, form):
            steps = form.steps.get(name, 0.0)
            effect = (
                0.0 if plain is None else _rms([one[name] for one in plain], [one[name] for one in expected])
            )
            quantization = max(steps, PART * effect)
        found[name] = Allowance([one[name] for one in moved], quantization)
    return found


def _is_number(array: np.ndarray, name: str, form: FloatForm) -> bool:
    """Return whether an output is a number, or integers that stand for numbers."""
    return array.dtype.kind == "f" or name in form.steps


def _outputs_of(form: FloatForm, inputs: Sequence[Arrays]) -> Optional[List[Dict[str, np.ndarray]]]:
    try:
        reference = Reference(form.model)
        return [reference.run(one) for one in inputs]
    except (InvalidInputs, ModelError):
        return None


def _rms(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    errors = np.concatenate(
        [np.ravel(a.astype(np.float64) - b.astype(np.float64)) for a, b in zip(one, other)]
    )
    errors = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0
