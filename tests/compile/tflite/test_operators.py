# SPDX-License-Identifier: Apache-2.0
"""Each operator of TensorFlow Lite: the converted file has the answers of LiteRT."""

from __future__ import annotations

import pytest

from tests.compile.tflite.cases import CASES, Case, file_of
from tests.compile.tflite.compare import converted_like_litert


@pytest.mark.parametrize(
    ("case", "dtype"),
    [pytest.param(case, dtype, id=f"{case.name}-{dtype}") for case in CASES for dtype in case.types],
)
def test_the_answers_are_those_of_litert(case: Case, dtype: str) -> None:
    converted_like_litert(file_of(case, dtype), case.low, case.high)
