# SPDX-License-Identifier: Apache-2.0
"""Comparison of the answers of a device with those of a reference."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Optional, Sequence

import numpy as np


class Tolerance(NamedTuple):
    """Largest error of a floating-point output. Integers must be equal.

    Attributes:
        relative: Part of the value.
        largest: Part of the largest absolute value of the output for the same inputs, or of a hundredth of
            the largest one for any inputs: zeros may cancel to a value that is only rounding.
    """

    relative: float = 1e-3
    largest: float = 1e-4


DEFAULT: Final = Tolerance()


class Allowance(NamedTuple):
    """Error that one output may have.

    Attributes:
        rounding: For each set of inputs, the error of each element.
        quantization: Largest root of the mean square of the errors of one set, for an output that depends on
            quantized tensors; None for another one.
        largest: Largest error of one element of such an output.
    """

    rounding: Sequence[Any]
    quantization: Optional[float]
    largest: float = 0.0


class Difference(NamedTuple):
    """Errors of one output over all sets of inputs.

    Attributes:
        name: Name of the output.
        largest_error: Largest absolute error.
        mean_error: Mean absolute error.
        largest_value: Largest absolute value of the reference.
        wrong: Elements outside of the tolerance.
        elements: All elements.
        same_first: Sets of inputs with the same index of the largest element; None for an output that is
            not a list of scores.
    """

    name: str
    largest_error: float
    mean_error: float
    largest_value: float
    wrong: int
    elements: int
    same_first: Optional[int]


def compare(
    name: str,
    answers: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    tolerance: Tolerance = DEFAULT,
    allowance: Optional[Allowance] = None,
) -> Difference:
    """Return the errors of one output.

    NaN equals NaN, and an infinity equals only itself.

    Args:
        name: Name of the output.
        answers: Answer for each set of inputs.
        expected: Answer of the reference, of the same shape and type.
        tolerance: Allowed error.
        allowance: Error that is allowed besides.
    """
    largest_error = total = 0.0
    largest_value = max(map(_peak, expected), default=0.0)
    wrong = elements = same_first = 0
    is_scores = bool(expected) and _is_scores(expected[0])
    for index, (answer, reference) in enumerate(zip(answers, expected)):
        if answer.shape != reference.shape or answer.dtype != reference.dtype:
            wrong += max(1, reference.size)
            elements += max(1, reference.size)
            largest_error = float("inf")
            continue
        one, other = answer.astype(np.float64), reference.astype(np.float64)
        finite = np.isfinite(other)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0.0, np.abs(one - other))
        error = np.where(np.isnan(error) | (~finite & ~same), np.inf, error)
        peak = max(_peak(reference), largest_value / 100)
        allowed = np.zeros(other.shape)
        if reference.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                allowed = tolerance.relative * np.abs(other) + tolerance.largest * peak
            if allowance is not None:
                allowed = allowed + allowance.rounding[index].reshape(allowed.shape)
        outside = error > np.where(finite, allowed, 0.0)
        if allowance is not None and allowance.quantization is not None:
            outside &= _is_beyond(error, allowance.quantization, allowance.largest)
            if is_scores and _leads(other) > allowance.quantization and answer.argmax() != reference.argmax():
                outside.flat[reference.argmax()] = True
        wrong += int(outside.sum())
        elements += reference.size
        largest_error = max(largest_error, float(error.max()) if error.size else 0.0)
        total += float(error.sum())
        if is_scores and reference.size:
            same_first += int(answer.argmax() == reference.argmax())
    return Difference(
        name,
        largest_error,
        total / max(1, elements),
        largest_value,
        wrong,
        elements,
        same_first if is_scores else None,
    )


def _is_beyond(error: np.ndarray, quantization: float, largest: float) -> np.ndarray:
    """Return which elements are wrong by more than steps of quantization explain."""
    if float(np.sqrt(np.mean(error**2))) <= quantization:
        return error > largest
    return error > quantization


def _leads(scores: np.ndarray) -> float:
    """Return by how much the largest number leads."""
    first, second = np.sort(scores, axis=None)[-2:][::-1]
    return float(first - second)


def _peak(array: np.ndarray) -> float:
    """Return the largest finite absolute value."""
    values = np.abs(array.astype(np.float64))
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 0.0


def _is_scores(array: np.ndarray) -> bool:
    """Return whether an output may be the scores of a classifier: one row of several numbers."""
    return array.ndim >= 1 and array.shape[-1] == array.size and array.size > 1 and array.dtype.kind != "b"
