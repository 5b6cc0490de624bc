# SPDX-License-Identifier: Apache-2.0
"""A sample of ONNX's operator tests: each is right or refused. benchmarks/onnx_operators.py runs all."""

from __future__ import annotations

import random
from typing import Final

import pytest

from benchmarks.onnx_operators import REFUSED, RIGHT, run_case
from tests.compile.onnx_cases import node_cases
from tests.conftest import Platform

SEED: Final = 13
SIZE: Final = 24

pytestmark = pytest.mark.slow


def test_a_sample_is_right_or_refused_by_name(default_platform: Platform) -> None:
    cases = random.Random(SEED).sample([case for case in node_cases() if case.is_of_devices], SIZE)
    outcomes = [run_case(case, default_platform.path) for case in cases]
    assert [outcome for outcome in outcomes if outcome.kind not in (RIGHT, REFUSED)] == []
    assert sum(outcome.kind == RIGHT for outcome in outcomes) >= 0.75 * SIZE
    for case, outcome in zip(cases, outcomes):
        if outcome.kind == REFUSED:
            assert "perator" in outcome.why or case.operator in outcome.why, outcome
