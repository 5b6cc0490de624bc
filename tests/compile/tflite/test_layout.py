# SPDX-License-Identifier: Apache-2.0
"""Order of the axes: networks keep no transposes between their operators."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.tflite.layout import without_transposes
from tests.compile.tflite.compare import converted_like_litert
from tests.compile.tflite.networks import Network

DTYPES = ["float32", "int8", "uint8"]


def moves(model: onnx.ModelProto) -> List[str]:
    """Return the operators that change the order or the shape of a tensor."""
    return [node.op_type for node in model.graph.node if node.op_type in ("Transpose", "Reshape", "Gather")]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_convolutional_network_has_one_transpose_before_it(dtype: str) -> None:
    net = Network(dtype)
    x = net.tensor((1, 12, 10, 3))
    one = net.convolution(x, 4, stride=2)
    two = net.depthwise(one)
    three = net.add(net.convolution(two, 4, kernel=1, activation=0), one)
    four = net.concatenation(net.pad(three), net.pad(three))
    y = net.softmax(net.dense(net.mean(net.pool(four, "AVERAGE_POOL_2D")), 5))
    model = converted_like_litert(net.builder.finish([x], [y]), steps=2)
    assert moves(model) == ["Transpose"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_fully_connected_layer_takes_the_order_of_a_flattened_image(dtype: str) -> None:
    net = Network(dtype)
    x = net.tensor((2, 8, 6, 1))
    y = net.dense(net.flatten(net.pool(net.convolution(x, 5))), 4)
    model = converted_like_litert(net.builder.finish([x], [y]))
    assert moves(model) == ["Reshape", "Reshape"]  # one channel: its transpose is a reshape


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_transpose_comes_before_the_dequantization(dtype: str) -> None:
    net = Network(dtype)
    x = net.tensor((1, 4, 4, 3))
    model = converted_like_litert(net.builder.finish([x], [net.convolution(x, 2)]))
    first = next(node for node in model.graph.node if model.graph.input[0].name in node.input)
    assert first.op_type == "Transpose"


def test_a_convolution_of_a_sequence_has_no_transposes_inside() -> None:
    net = Network()
    start = net.tensor((1, 16, 3))
    y = start
    for channels in (4, 6):
        batch, length, depth = net.shape(y)
        axis = net.builder.constant([1])
        grown = net.layer("EXPAND_DIMS", [y, axis], (batch, 1, length, depth))
        convolved = net.convolution(grown, channels)
        squeezed: Dict[str, Any] = {"squeezeDims": np.array([1], "int32")}
        y = net.layer("SQUEEZE", [convolved], (batch, length, channels), "SqueezeOptions", **squeezed)
    model = converted_like_litert(net.builder.finish([start], [y]))
    assert moves(model).count("Transpose") == 2  # at the input and at the output


ORDERS = [
    ("Concat", {"axis": 1}, [], 2),
    ("Softmax", {"axis": 1}, [], 1),
    ("Split", {"axis": 3, "num_outputs": 2}, [], 1),
    ("Slice", {}, [[1], [4], [2]], 1),
    ("Pad", {}, [[0, 1, 0, 2, 0, 0, 3, 0]], 1),
    ("Tile", {}, [[1, 2, 1, 3]], 1),
    ("ReduceMax", {"keepdims": 0}, [[1, 3]], 1),
    ("ReduceMean", {"keepdims": 1}, [[-2]], 1),
    ("ArgMax", {"axis": 2, "keepdims": 0}, [], 1),
    ("Gather", {"axis": 3}, [[1, 0, 1]], 1),
    ("Gather", {"axis": 1}, [2], 1),
    ("Reshape", {}, [[2, 1, 4, 5, 6, 1]], 1),
    ("Reshape", {}, [[2, 120]], 1),
    ("Reshape", {}, [[8, 30]], 1),
    ("Where", {}, [], 3),
    ("GatherND", {}, [[[0, 1]]], 1),
]


@pytest.mark.parametrize(("op", "attributes", "constants", "count"), ORDERS)
@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (3, 1, 0, 2), (1, 0, 2, 3)])
def test_an_operator_behind_a_transpose_keeps_its_answers(
    op: str, attributes: Any, constants: Any, count: int, perm: Any
) -> None:
    moved = (2, 4, 5, 6)
    shape = [0] * 4
    for position, axis in enumerate(perm):
        shape[axis] = moved[position]
    inputs = [f"t{index}" for index in range(count)]
    nodes = [helper.make_node("Transpose", [f"x{index}"], [f"t{index}"], perm=perm) for index in range(count)]
    if op == "Where":
        nodes.append(helper.make_node("Less", ["t1", "t2"], ["less"]))
        inputs[0] = "less"
    names = [f"c{index}" for index in range(len(constants))]
    outputs = ["a", "b"] if op == "Split" else ["a"]
    nodes.append(helper.make_node(op, [*inputs, *names], outputs, **attributes))
    nodes.append(helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, shape) for index in range(count)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.array(data), name) for name, data in zip(names, constants)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    random = np.random.default_rng(0)
    feed = {f"x{index}": random.normal(size=shape).astype("float32") for index in range(count)}
    before, after = (
        OnnxReference(model).run(feed)["y"],
        OnnxReference(without_transposes(model)).run(feed)["y"],
    )
    assert np.allclose(before, after, atol=1e-6, rtol=1e-6) and before.shape == after.shape


@pytest.mark.parametrize("factor", [(), (1,), (1, 1, 1, 1, 1)])
def test_a_number_of_any_rank_multiplies_a_reshaped_tensor(factor: Any) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Mul", ["r", "two"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 2, 2, 2])],
        [
            numpy_helper.from_array(np.array([2, 3, 2, 2, 2]), "shape"),
            numpy_helper.from_array(np.full(factor, 2, "float32"), "two"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    feed = {"x": np.arange(48, dtype="float32").reshape(2, 4, 6)}
    before, after = (
        OnnxReference(model).run(feed)["y"],
        OnnxReference(without_transposes(model)).run(feed)["y"],
    )
    assert np.array_equal(before, after)
