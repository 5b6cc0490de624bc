# SPDX-License-Identifier: Apache-2.0
"""Facts in archives of `compile`: an archive is untrusted, so that each value is checked."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from runtime.host.archive.about import ModelFacts, read_facts
from runtime.host.archive.metadata import Metadata
from runtime.host.errors import ArchiveError

ABOUT: Dict[str, Any] = {
    "made_by": "microtvm-template",
    "operators": [
        {
            "operator": "Relu",
            "name": "r",
            "inputs": ["float32 4"],
            "outputs": ["float32 4"],
            "macs": 0,
            "parameters": 0,
            "memory_bytes": 32,
        }
    ],
    "parameters": 0,
    "kernels": [
        {
            "name": "k0_relu",
            "outputs": [{"dtype": "float32", "shape": [4], "size_bytes": 16}],
            "arena_bytes": 0,
            "scratch_bytes": 0,
        }
    ],
    "arena_bytes": 0,
    "arena_bound_bytes": 0,
    "constant_bytes": 0,
    "verified": {
        "reference": "onnxruntime",
        "sets_of_inputs": 5,
        "outputs": [{"name": "y", "largest_error": 0.0, "mean_error": 0.0, "largest_value": 1.5}],
    },
}
REMOVED = object()


def read(about: Any) -> Any:
    module = {"executors": ["aot"], "about": about}
    content = json.dumps({"version": 7, "modules": {"default": module}}).encode()
    return read_facts(Metadata(Path("a.tar"), content))


def test_facts_are_read() -> None:
    facts = read(ABOUT)
    assert isinstance(facts, ModelFacts)
    assert facts.peak_memory_bytes == 32 and facts.kernels[0].outputs[0].shape == (4,)
    assert facts.verified is not None and facts.verified.outputs[0].largest_value == 1.5


@pytest.mark.parametrize("about", [{}, {"made_by": "another compiler", "kernels": 3}])
def test_other_archives_have_none(about: Any) -> None:
    assert read(about) is None


def test_a_model_that_was_no_onnx_file_has_no_operators() -> None:
    about = {key: value for key, value in ABOUT.items() if key not in ("operators", "parameters", "verified")}
    facts = read(about)
    assert (facts.operators, facts.parameters, facts.verified, facts.macs) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("operators", {}),
        ("operators.0", 3),
        ("operators.0.macs", -1),
        ("operators.0.macs", True),
        ("operators.0.macs", 1.5),
        ("operators.0.inputs", [1]),
        ("operators.0.name", None),
        ("operators.0.memory_bytes", REMOVED),
        ("parameters", "many"),
        ("kernels", REMOVED),
        ("kernels.0.name", 3),
        ("kernels.0.outputs.0.shape", [-1]),
        ("kernels.0.outputs.0.shape", 4),
        ("kernels.0.outputs.0.dtype", REMOVED),
        ("kernels.0.scratch_bytes", "0"),
        ("arena_bytes", None),
        ("constant_bytes", 1 << 63),
        ("verified", []),
        ("verified.reference", 1),
        ("verified.outputs.0.largest_error", "0"),
        ("verified.outputs.0.mean_error", float("nan")),
    ],
)
def test_a_value_of_another_type_is_refused(path: str, value: Any) -> None:
    about = copy.deepcopy(ABOUT)
    inside: Any = about
    *parents, last = path.split(".")
    for key in parents:
        inside = inside[int(key) if isinstance(inside, list) else key]
    if value is REMOVED:
        del inside[last]
    else:
        inside[int(last) if isinstance(inside, list) else last] = value
    with pytest.raises(ArchiveError, match=r"invalid metadata\.json: 'about' has"):
        read(about)
