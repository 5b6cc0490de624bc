# SPDX-License-Identifier: Apache-2.0
"""Verification of a compiled model on this machine, before it is handed over."""

from __future__ import annotations

from typing import Dict, Final, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile.allowance import allowances
from runtime.host.compile.comparison import DEFAULT, Allowance, Difference, Tolerance, compare
from runtime.host.compile.errors import ModelError
from runtime.host.compile.native import run_natively
from runtime.host.compile.rounding import InvalidInputs
from runtime.host.compile.samples import samples
from runtime.host.compile.trained.model import TrainedModel

FEWEST: Final = 1  # sets of inputs that the reference must accept


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


def verify_archive(
    source: TrainedModel, archive: ModelArchive, tolerance: Tolerance = DEFAULT
) -> Optional[Verified]:
    """Compare a compiled model on this machine with its reference; return None for a model without one.

    Args:
        source: Model as it was given, after its import.
        archive: Its compiled form.
        tolerance: Allowed error of floating-point outputs.

    Raises:
        ModelError: An output differs, or no set of inputs could be compared.
    """
    reference = source.reference()
    if reference is None:
        return None
    given: List[Dict[str, np.ndarray]] = []
    expected: List[Dict[str, np.ndarray]] = []
    for sample in samples(source.inputs):
        try:
            answers = reference.run(sample)
        except InvalidInputs:
            continue
        given.append(sample)
        expected.append(answers)
    if len(given) < FEWEST:
        raise ModelError(
            f"{reference.name} rejects all test inputs, so that the model cannot be verified.",
            "Verify it with your own inputs: compile with --no-verify, then use `verify` with --inputs.",
        )
    found = run_natively(archive, given)

    def compared(allowed: Mapping[str, Allowance]) -> List[Difference]:
        return [
            compare(
                name,
                [one[name] for one in found],
                [one[name] for one in expected],
                tolerance,
                allowed.get(name),
            )
            for name in reference.outputs
        ]

    differences = compared({})
    if any(difference.wrong for difference in differences):
        differences = compared(allowances(reference, source.onnx_form(), given, expected))
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
