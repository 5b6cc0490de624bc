# SPDX-License-Identifier: Apache-2.0
"""Verification: what counts as the reference's answer, and what is not handed over."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.comparison import Allowance, Tolerance, compare
from runtime.host.compile.errors import ModelError
from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.trained.from_onnx import OnnxModel
from runtime.host.compile.verification import verify_archive


def model_of(nodes: Sequence[Any], **weights: Any) -> onnx.ModelProto:
    """Return a model from x, 4x20, to y, 4x4."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dense(weights: np.ndarray) -> onnx.ModelProto:
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], w=weights)


def sine_of_squares() -> onnx.ModelProto:
    """Return a model whose sine has arguments in the ten thousands: sin(x @ x.T)."""
    return model_of(
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "t"], ["g"]),
            helper.make_node("Sin", ["g"], ["y"]),
        ]
    )


def large_inputs() -> dict[str, np.ndarray]:
    return {"x": (30 * np.random.default_rng(1).standard_normal((4, 20))).astype(np.float32)}


def test_the_archive_of_another_model_is_refused() -> None:
    weights = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    archive = ModelArchive.unpacked(compile_model(dense(weights), verify=False).archive)
    weights[7, 2] *= 1.01
    with pytest.raises(ModelError, match=r"Output 'y' differs from onnxruntime: \d+ of 80 elements"):
        verify_archive(OnnxModel(dense(weights)), archive)


def test_rounding_moves_a_sine_of_large_arguments() -> None:
    compiled = compile_model(sine_of_squares())
    assert compiled.verified is not None
    moved = OnnxReference(sine_of_squares()).rounding(large_inputs())["y"]
    assert 1e-4 < moved.max() < 0.1


@pytest.mark.parametrize("part, wrong", [(0.5, 0), (3.0, 16)])
def test_an_error_within_the_rounding_is_right(part: float, wrong: int) -> None:
    reference = OnnxReference(sine_of_squares())
    expected = reference.run(large_inputs())["y"]
    moved = reference.rounding(large_inputs())["y"]
    answer = (expected + part * moved + (part > 1) * 1e-2).astype(np.float32)
    assert compare("y", [answer], [expected], allowance=Allowance([moved], None)).wrong == wrong
    assert compare("y", [answer], [expected], Tolerance(0.0, 0.0)).wrong == 16


def test_a_sum_has_hardly_any_rounding() -> None:
    weights = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    reference = OnnxReference(dense(weights))
    expected = reference.run(large_inputs())["y"]
    assert reference.rounding(large_inputs())["y"].max() < 1e-5 * np.abs(expected).max()
