# SPDX-License-Identifier: Apache-2.0
"""Archives of tests/data/cases, each with inputs by name and the expected outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np

CASES = Path(__file__).resolve().parents[1] / "data" / "cases"


class Case(NamedTuple):
    """Model archive, its inputs by name, and the outputs that TVM computes for them."""

    archive: Path
    inputs: Dict[str, Any]
    outputs: List[Any]


def case(name: str) -> Case:
    """Return the case of the archive "folder/file", given without ".tar"."""
    archive = CASES / f"{name}.tar"
    stem = archive.stem.split("__")[0]
    inputs, expected = archive.with_name(f"{stem}.ins.npz"), archive.with_name(f"{stem}.exp.npz")
    if not inputs.exists():
        inputs, expected = archive.with_name("inputs.npz"), archive.with_name("expected.npz")
    answers = np.load(expected)
    arrays = {key.replace("\x01", "/"): value for key, value in np.load(inputs).items()}
    if archive.stem == "utf8":  # model of the archive in the same folder, with accented names
        arrays = {"\u00e9": arrays["x_1"], "\u00e0": arrays["x.1"]}
    return Case(archive, arrays, [answers[f"output_{index}"] for index in range(len(answers.files))])


def assert_same(got: List[Any], wanted: List[Any]) -> None:
    """Assert TVM's shapes and types, equal integers, and floats within 1e-5."""
    assert [(array.shape, array.dtype) for array in got] == [(array.shape, array.dtype) for array in wanted]
    for mine, theirs in zip(got, wanted):
        if theirs.dtype.kind == "f":
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(mine, theirs)
