# SPDX-License-Identifier: Apache-2.0
"""Errors of TVM that give a wrong answer without a message: each is repaired or refused."""

from __future__ import annotations

import re
import tarfile
from io import BytesIO
from typing import Any, Callable, Final, Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import CompiledModel, compile_model
from runtime.host.compile.native import run_natively


def model_of(
    nodes: Sequence[Any], shape: Sequence[int], outputs: Sequence[str] = ("y",), **weights: Any
) -> onnx.ModelProto:
    """Return a model with the input x, whose outputs have the types that follow."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


INDICES: Final[Mapping[str, Callable[[int], Any]]] = {
    "Gather": lambda index: np.array([index]),
    "GatherElements": lambda index: np.full((1, 3), index),
    "GatherND": lambda index: np.array([[index]]),
    "ScatterElements": lambda index: np.full((1, 3), index),
    "ScatterND": lambda index: np.array([[index]]),
}
"""Operator -> indices of the row `index` of a matrix with 3 columns."""


def lookup(op: str) -> onnx.ModelProto:
    """Return a model that reads or writes one row of x, 4x3, at the indices i; u is what it writes."""
    indices = INDICES[op](0)
    reads = op.startswith("Gather")
    values = [("x", TensorProto.FLOAT, [4, 3]), ("i", TensorProto.INT64, indices.shape)]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "i"] if reads else ["x", "i", "u"], ["y"])],
        "graph",
        [
            helper.make_tensor_value_info(*value)
            for value in (*values, *([] if reads else [("u", TensorProto.FLOAT, [1, 3])]))
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3] if reads else [4, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def code_of(compiled: CompiledModel) -> str:
    with tarfile.open(fileobj=BytesIO(compiled.archive.data)) as tar:
        file = tar.extractfile("codegen/host/src/default_lib1.c")
        assert file is not None
        return file.read().decode()


class TestRepaired:
    """compile_model compares each with onnxruntime; without the repair it refuses the model."""

    def test_an_unrolled_maximum_uses_all_its_operands(self) -> None:
        pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
        code = code_of(compile_model(model_of([pool], [1, 4, 8, 8])))
        assert re.search(r"^ *(v_\w*) = \w+\[0\];", code, re.MULTILINE), "a loaded value is loaded again"

    def test_a_pad_after_a_pool_is_written_whole(self) -> None:
        nodes = [
            helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Pad", ["p", "pads"], ["q"]),
            helper.make_node("Add", ["q", "c"], ["y"]),
        ]
        pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
        compile_model(model_of(nodes, [1, 2, 4, 4], pads=pads, c=np.full((1, 2, 4, 4), 0.5, "float32")))

    @pytest.mark.parametrize("index", [-1, -3, 2])
    def test_a_negative_index_counts_from_the_end(self, index: int) -> None:
        gather = helper.make_node("Gather", ["x", "index"], ["y"], axis=1)
        compile_model(model_of([gather], [2, 5, 3], index=np.array([index, 0])))

    def test_a_negative_index_that_is_computed_counts_from_the_end(self) -> None:
        nodes = [
            helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
            helper.make_node("Mul", ["m", "zero"], ["n"]),
            helper.make_node("Sub", ["n", "one"], ["i"]),
            helper.make_node("Cast", ["i"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["x", "index"], ["y"], axis=0),
        ]
        compile_model(model_of(nodes, [5, 3], zero=np.float32(0), one=np.float32(1)))

    @pytest.mark.parametrize("op", ["Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"])
    def test_an_index_outside_of_the_tensor_counts_as_the_nearest(self, op: str) -> None:
        compiled = compile_model(lookup(op))
        archive = ModelArchive.unpacked(compiled.archive)
        data = np.arange(12, dtype="float32").reshape(4, 3)
        far = run_natively(archive, [{"x": data, "i": INDICES[op](2**40), "u": data[:1] - 100}])[0]["y"]
        low = run_natively(archive, [{"x": data, "i": INDICES[op](-(2**40)), "u": data[:1] - 100}])[0]["y"]
        last, first = (
            run_natively(archive, [{"x": data, "i": INDICES[op](index), "u": data[:1] - 100}])[0]["y"]
            for index in (3, 0)
        )
        assert np.array_equal(far, last) and np.array_equal(low, first)
        assert not np.array_equal(far, low)

    def test_a_constant_keeps_all_its_digits(self) -> None:
        add = helper.make_node("Mul", ["x", "c"], ["y"])
        assert "1.23456788e+00f" in code_of(compile_model(model_of([add], [4], c=np.float32(1.23456789))))

    def test_space_to_depth_follows_its_mode(self) -> None:
        node = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")
        compile_model(model_of([node], [1, 8, 3, 3]))

    def test_a_maximum_over_minus_infinity_is_minus_infinity(self) -> None:
        nodes = [
            helper.make_node("Add", ["x", "low"], ["z"]),
            helper.make_node("ReduceMax", ["z"], ["y"], axes=[1], keepdims=0),
        ]
        compile_model(model_of(nodes, [2, 3], low=np.float32(-np.inf)))

    def test_names_of_the_model_are_not_names_of_c(self) -> None:
        nodes = [
            helper.make_node("Exp", ["x"], ["expf"]),
            helper.make_node("Add", ["expf", "x"], ["erf"]),
            helper.make_node("Erf", ["erf"], ['int main; "'], name="*/ x /*"),
        ]
        compile_model(model_of(nodes, [4], outputs=['int main; "']))

    def test_an_output_may_be_an_input_a_constant_or_given_twice(self) -> None:
        nodes = [
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Identity", ["y"], ["again"]),
            helper.make_node("Reshape", ["y", "target"], ["flat"]),
            helper.make_node("Identity", ["c"], ["constant"]),
        ]
        outputs = ["same", "y", "again", "flat", "constant"]
        compile_model(model_of(nodes, [2, 3], outputs, c=np.arange(3, dtype="float32"), target=np.array([6])))
