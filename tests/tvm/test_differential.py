# SPDX-License-Identifier: Apache-2.0
"""Random models in every kind of archive, compared with TVM's own answers.

tests/tvm/programs/differential.py describes longer runs.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.conftest import TEMPLATE, Baker
from tests.tvm.conftest import PROGRAMS, Tvm

pytestmark = pytest.mark.slow

MODELS = 4  # in each of two processes of the test runner
DEADLINE_SEC = 900.0
# Accepted refusals. Any other outcome than a right answer is a fault of the template.
RULES = (
    "whose name is not a C identifier",
    "which TVM turns into C that does not compile",
    "which is reserved in C",
    "several tensors that its C interface calls",
    "the type half (float16)",
    "which its C interface",  # has another member
    "but contains tvmgen_",  # has a C interface under another name
    "never writes output",
    "reads a tensor that no kernel wrote",
    "depend on the previous content of the memory",
    "exists in TVM's C++ runtime only",
    "requires its constants as arguments",
    "two outputs with the same name, but one field for them in its C interface",
    "declares the size of only one",
    "The graph of the model archive has two tensors named",
    "s in an unknown order: ",
    "does not state the shape of",
    "one may have the name of another",
    "for which TVM's C",  # kernels that TVM gets wrong
)


def compared(tvm: Tvm, platform: Path, scratch: Path, first: int, count: int, *more: str) -> Dict[str, Any]:
    environment = {**tvm.environment(), "PYTHONPATH": f"{platform}{os.pathsep}{TEMPLATE}"}
    command = [
        tvm.python,
        str(PROGRAMS / "differential.py"),
        str(platform),
        str(scratch),
        str(first),
        str(count),
    ]
    ran = subprocess.run(
        [*command, *more],
        env=environment,
        text=True,
        capture_output=True,
        timeout=DEADLINE_SEC,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report: Dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report


def is_refusal(pair: Dict[str, Any]) -> bool:
    return pair["end"] == "refused" and any(rule in pair["why"] for rule in RULES)


def assert_right(report: Dict[str, Any], least: int) -> None:
    faults = [pair for pair in report["odd"] if not is_refusal(pair)]
    assert faults == []
    assert report["ends"]["right"] >= least, report["ends"]


@pytest.mark.parametrize("first", [1000, 2000])
def test_random_models_answer_as_tvm_does(tvm: Tvm, tmp_path: Path, first: int) -> None:
    assert_right(compared(tvm, tvm.platform.path, tmp_path, first, MODELS), MODELS)


def test_random_models_answer_as_tvm_does_on_an_emulated_board(tvm: Tvm, bake: Baker, tmp_path: Path) -> None:
    platform = bake(board_family="cortex_m").path
    kinds = "aot,aot_usmp,graph_linked,c"
    report = compared(tvm, platform, tmp_path, 3000, 4, "--board", "mps2_an386", "--kinds", kinds)
    assert_right(report, 4)
