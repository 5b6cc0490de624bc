# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, and a Python without the packages that compile them."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any, Dict, Sequence, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OF_COMPILE = ("tvm", "apache_tvm", "onnx", "ml_dtypes", "flatbuffers", "google", "protobuf")


def save(path: Path, graph: Any) -> Path:
    """Write a model with this graph."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def value(name: str, shape: Sequence[Union[int, str]], kind: int = TensorProto.FLOAT) -> Any:
    """Return an input or output."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def weights(name: str, *shape: int) -> Any:
    """Return a constant."""
    random = np.random.default_rng(len(name) + sum(shape))
    return numpy_helper.from_array(random.standard_normal(shape).astype("float32"), name)


def classifier(path: Path, batch: Union[int, str] = 1) -> Path:
    """Write a net with one input x [batch, 1, 6, 6] and one output y [batch, 5]."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv"),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], "last"),
    ]
    constants = [weights("w", 3, 1, 3, 3), weights("b", 3), weights("m", 48, 5)]
    return save(
        path,
        helper.make_graph(nodes, "net", [value("x", [batch, 1, 6, 6])], [value("y", [batch, 5])], constants),
    )


def two_of_each(path: Path) -> Path:
    """Write a net with the inputs a and b, both float32 [2, 3], and the outputs sum and large (bool)."""
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Greater", ["a", "b"], ["large"]),
    ]
    outputs = [value("sum", [2, 3]), value("large", [2, 3], TensorProto.BOOL)]
    return save(path, helper.make_graph(nodes, "net", [value("a", [2, 3]), value("b", [2, 3])], outputs))


def reshaped(path: Path) -> Path:
    """Write a net with the shape of a Reshape, and weights of 6,400 bytes, from x [2, 40] to y [2, 40]."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["row"]),
        helper.make_node("Reshape", ["row", "back"], ["rows"]),
        helper.make_node("MatMul", ["rows", "m"], ["y"]),
    ]
    shapes = [
        numpy_helper.from_array(np.array(shape, "int64"), name)
        for name, shape in (("shape", [1, 80]), ("back", [2, 40]))
    ]
    return save(
        path,
        helper.make_graph(
            nodes, "net", [value("x", [2, 40])], [value("y", [2, 40])], [weights("m", 40, 40), *shapes]
        ),
    )


def compared(path: Path) -> Path:
    """Write a net with the inputs a and b, both float32 [2, 3], whose only operator is a comparison."""
    output = value("large", [2, 3], TensorProto.BOOL)
    nodes = [helper.make_node("Greater", ["a", "b"], ["large"])]
    return save(path, helper.make_graph(nodes, "net", [value("a", [2, 3]), value("b", [2, 3])], [output]))


def not_supported(path: Path) -> Path:
    """Write a net with an input of a type that devices do not support."""
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    kind = TensorProto.FLOAT16
    return save(path, helper.make_graph(nodes, "net", [value("x", [4], kind)], [value("y", [4], kind)]))


def answers(path: Path, inputs: Dict[str, Any]) -> Dict[str, Any]:
    """Return the outputs of a model by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip((output.name for output in session.get_outputs()), session.run(None, inputs)))


def site_without_compile(place: Path) -> Path:
    """Return a folder with all packages of this Python but those of compile, for python -S."""
    place.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(OF_COMPILE):
            (place / path.name).symlink_to(path)
    return place


def two_refused(path: Path) -> Path:
    """Write a net with two operators that are always refused: TopK and RandomNormalLike."""
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["sum"]),
        helper.make_node("TopK", ["sum", "k"], ["y", "index"]),
    ]
    count = numpy_helper.from_array(np.array([2], "int64"), "k")
    outputs = [value("y", [2]), value("index", [2], TensorProto.INT64)]
    return save(path, helper.make_graph(nodes, "net", [value("x", [4])], outputs, [count]))
