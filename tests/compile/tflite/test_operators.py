# SPDX-License-Identifier: Apache-2.0
"""Each operator of TensorFlow Lite: the converted file has the answers of LiteRT."""

from __future__ import annotations

import pytest

from runtime.host.compile.tflite.table import OPERATORS
from tests.compile.tflite.cases import Case, file_of
from tests.compile.tflite.compare import converted_like_litert
from tests.compile.tflite.operator_cases import CASES


@pytest.mark.parametrize(
    ("case", "dtype"),
    [pytest.param(case, dtype, id=f"{case.name}-{dtype}") for case in CASES for dtype in case.types],
)
def test_the_answers_are_those_of_litert(case: Case, dtype: str) -> None:
    converted_like_litert(file_of(case, dtype), case.low, case.high)


def test_each_operator_has_a_case_in_each_of_its_forms() -> None:
    tested = {(case.op, dtype) for case in CASES for dtype in case.types}
    assert {case.op for case in CASES} == set(OPERATORS)
    quantized = {op for op, entry in OPERATORS.items() if entry.quantized}
    assert {op for op, dtype in tested if dtype in ("int8", "uint8")} == quantized
