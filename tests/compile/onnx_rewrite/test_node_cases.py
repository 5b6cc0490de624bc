# SPDX-License-Identifier: Apache-2.0
"""ONNX's own operator tests: a rewritten model has the expected answer, or the model is refused by name."""

from __future__ import annotations

import collections
import os
from typing import Any, Dict, Final, List

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import simplified
from tests.compile.onnx_cases import Case, node_cases
from tests.compile.onnx_rewrite.running import by_onnxruntime, by_reference, difference

REFUSED: Final[Dict[str, int]] = {
    "BatchNormalization": 2,  # training
    "Bernoulli": 1,
    "BitCast": 9,
    "BitShift": 20,  # signed integers, which opset 21 does not have
    "CausalConvWithState": 1,  # an output without elements
    "Col2Im": 5,
    "ConstantOfShape": 1,  # an output without elements
    "DeformConv": 4,
    "Det": 2,
    "Dropout": 6,  # training
    "Equal": 2,  # strings
    "ImageDecoder": 9,
    "IsInf": 1,  # float16
    "IsNaN": 1,  # float16
    "MaxPool": 2,  # the output Indices
    "MaxUnpool": 1,  # a shape of run time
    "Mod": 2,  # fmod=0 of floating-point numbers
    "NonMaxSuppression": 10,
    "NonZero": 1,
    "Not": 3,  # opset 1
    "Pow": 2,  # int64
    "QLinearMatMul": 4,  # float16
    "ReduceSum": 1,  # an output without elements
    "RegexFullMatch": 3,
    "Reshape": 1,  # an output without elements
    "RoiAlign": 1,  # mode max
    "Scan": 1,  # opset 8
    "Shape": 1,  # an output without elements
    "Slice": 1,  # an output without elements
    "Split": 2,  # an output without elements
    "TensorScatter": 3,
    "TfIdfVectorizer": 7,
    "TopK": 6,
    "Trilu": 2,  # an output without elements
    "Unique": 6,
}
"""Operator -> number of cases that are refused."""

EMPTY: Final = frozenset(
    ["ConstantOfShape", "Reshape", "Shape", "Size", "Slice", "Split", "Trilu", "Expand", "Range"]
    + [
        f"Reduce{kind}"
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Min", "Prod", "Sum", "SumSquare")
    ]
)
"""Operators with a case that has a tensor without elements."""

EVERY: Final = bool(os.environ.get("MICROTVM_EVERY_ONNX_CASE"))
"""Test all cases. By hand: it takes a minute."""

PART: Final = 6  # a usual run tests each sixth case

WRONG_REFERENCE: Final = frozenset(["test_maxpool_2d_same_upper", "test_maxpool_2d_same_lower"])
"""Cases in which ONNX's reference evaluator returns another shape for pads of one side only."""

WITHOUT_KERNEL: Final = frozenset(["test_max_int16", "test_max_uint16", "test_min_int16", "test_min_uint16"])
"""Cases for which onnxruntime has no kernel: neither for the operator nor for the rewritten model."""


def failures_of(cases: List[Case], refused: Dict[str, int]) -> List[str]:
    """Return the cases whose answer is wrong, and count those that are refused."""
    failures = []
    for case in cases:
        before = case.model.SerializeToString()
        try:
            simple = simplified(case.model)
        except ModelError as error:
            refused[case.operator] += 1
            assert error.what.endswith(".") and error.next_step.endswith(".")
            continue
        assert case.model.SerializeToString() == before
        assert names(simple.graph.input) == list(case.inputs)
        assert names(simple.graph.output) == names(case.model.graph.output)
        for run, exceptions in ((by_reference, WRONG_REFERENCE), (by_onnxruntime, WITHOUT_KERNEL)):
            if case.name not in exceptions:
                answer = run(simple, case.inputs)
                problem = difference(answer, case.expected, max(case.rtol, 1e-3), max(case.atol, 1e-5))
                if problem:
                    failures.append(f"{case.name}, {run.__name__}: {problem}")
    return failures


def names(values: Any) -> List[str]:
    """Return the names of inputs or outputs."""
    return [value.name for value in values]


def _without_empty(counts: Dict[str, int]) -> Dict[str, int]:
    return {operator: count for operator, count in counts.items() if operator not in EMPTY}


@pytest.mark.slow
def test_operators() -> None:
    refused: Dict[str, int] = collections.Counter()
    cases = node_cases()
    assert len(cases) > 1100
    assert failures_of(cases if EVERY else cases[::PART], refused) == []
    if EVERY:
        assert _without_empty(refused) == _without_empty(REFUSED)
    else:
        assert set(refused) <= {*REFUSED, *EMPTY}


@pytest.mark.slow
def test_operators_that_onnx_expanded() -> None:
    refused: Dict[str, int] = collections.Counter()
    cases = [case for case in node_cases(expanded=True) if case.operator != "Bernoulli"]
    assert len(cases) > 380
    assert failures_of(cases if EVERY else cases[::PART], refused) == []
    # The definition gives Range inputs of one dimension, which ONNX does not allow; one state is empty.
    assert set(refused) <= {"AffineGrid", "CausalConvWithState"}
