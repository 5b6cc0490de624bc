# SPDX-License-Identifier: Apache-2.0
"""Example for tuning."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import TEMPLATE
from tests.tvm.conftest import Tvm

EXAMPLE = TEMPLATE / "examples" / "tune" / "tune.py"
TRIALS = 6


@pytest.mark.slow
def test_it_tunes_draws_and_compares(tvm: Tvm, tmp_path: Path) -> None:
    ran = tvm.run(EXAMPLE, tvm.platform.path, "--trials", TRIALS, "--out", tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"trial {TRIALS} of {TRIALS}, best " in ran.stdout
    assert "microseconds" in ran.stdout and "the best so far" in ran.stdout
    assert re.search(r"microseconds of the model before: [\d.,]+, after: [\d.,]+, ratio: \d", ran.stdout)
    assert ran.stdout.endswith("The answers before and after equal those of numpy.\n")
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    results = [json.loads(line)["result"] for line in (tmp_path / "digits.log").read_text().splitlines()]
    assert len(results) == TRIALS and not any(error for _, error, *_ in results)
