# SPDX-License-Identifier: Apache-2.0
"""Verification of a compiled model on this machine, before it is handed over."""

from __future__ import annotations

from typing import Dict, Final, List, NamedTuple, Protocol, Sequence

import numpy as np
import onnx

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile.comparison import DEFAULT, Difference, Tolerance, compare
from runtime.host.compile.errors import ModelError
from runtime.host.compile.native import run_natively
from runtime.host.compile.onnx_model import Value, inputs_of
from runtime.host.compile.reference import Reference
from runtime.host.compile.rounding import Arrays, InvalidInputs
from runtime.host.compile.samples import samples

FEWEST: Final = 1  # sets of inputs that the reference must accept


class AnyReference(Protocol):
    """Runtime whose answers are right.

    Attributes:
        name: Name of the runtime, for messages.
        outputs: Names of the outputs in order.
    """

    name: str
    outputs: List[str]

    def run(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return the outputs by name, or raise InvalidInputs."""
        ...

    def rounding(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return for each output how far rounding may move its elements, or raise InvalidInputs."""
        ...


class Verified(NamedTuple):
    """Result of a verification.

    Attributes:
        reference: Name of the reference runtime.
        sets: Number of sets of inputs.
        differences: Errors of each output.
    """

    reference: str
    sets: int
    differences: List[Difference]


def verify_archive(model: onnx.ModelProto, archive: ModelArchive, tolerance: Tolerance = DEFAULT) -> Verified:
    """Compare a compiled model on this machine with its reference.

    Args:
        model: Model with static shapes, as it was given.
        archive: Its compiled form.
        tolerance: Allowed error of floating-point outputs.

    Raises:
        ModelError: An output differs, or no set of inputs could be compared.
    """
    return verify_with(Reference(model), inputs_of(model), archive, tolerance)


def verify_with(
    reference: AnyReference, inputs: Sequence[Value], archive: ModelArchive, tolerance: Tolerance = DEFAULT
) -> Verified:
    """Compare a compiled model on this machine with any reference.

    Args:
        reference: Reference of the model as it was given.
        inputs: Inputs of the model.
        archive: Its compiled form.
        tolerance: Allowed error of floating-point outputs.

    Raises:
        ModelError: An output differs, or no set of inputs could be compared.
    """
    given: List[Dict[str, np.ndarray]] = []
    expected: List[Dict[str, np.ndarray]] = []
    rounding: List[Dict[str, np.ndarray]] = []
    for sample in samples(inputs):
        try:
            answers, moved = reference.run(sample), reference.rounding(sample)
        except InvalidInputs:
            continue
        given.append(sample)
        expected.append(answers)
        rounding.append(moved)
    if len(given) < FEWEST:
        raise ModelError(
            f"{reference.name} rejects all test inputs, so that the model cannot be verified.",
            "Verify it with your own inputs: compile with --no-verify, then use `verify` with --inputs.",
        )
    found = run_natively(archive, given)
    differences = [
        compare(
            name,
            [one[name] for one in found],
            [one[name] for one in expected],
            tolerance,
            [one[name] for one in rounding],
        )
        for name in reference.outputs
    ]
    check_differences(differences, reference.name)
    return Verified(reference.name, len(given), differences)


def check_differences(differences: Sequence[Difference], reference: str) -> None:
    """Raise ModelError for an output that differs from the reference."""
    for found in differences:
        if found.wrong:
            raise ModelError(
                f"Output {found.name!r} differs from {reference}: {found.wrong:,} of {found.elements:,} "
                f"elements by up to {found.largest_error:.3g}, where the largest value is "
                f"{found.largest_value:.3g}.",
                "Report the model as a bug of the template, or simplify the operators before this output.",
            )
