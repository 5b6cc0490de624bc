# SPDX-License-Identifier: Apache-2.0
"""Quantized models that no quantizer writes: each is right to a step, or refused by a ModelError."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.errors import ModelError
from runtime.host.compile.native import run_natively
from tests.compile.quantized import errors_in_steps, onnx_answers

RANDOM: Final = np.random.default_rng(3)
STEP: Final = np.float32(0.02)


def floats(numbers: Any) -> Any:
    return np.asarray(numbers, np.float32)


def model_of(nodes: Any, shape: Any, output: int = TensorProto.INT8, **constants: Any) -> onnx.ModelProto:
    """Return a model from x, the numbers `real` of int8, to y."""
    constants = {"xs": STEP, "xz": np.int8(3), "ys": np.float32(0.05), "yz": np.int8(-4), **constants}
    first = helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["real"])
    graph = helper.make_graph(
        [first, *(helper.make_node(kind, ins, outs, **more) for kind, ins, outs, more in nodes)],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.INT8, shape)],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


QUANTIZED: Final[Any] = ("QuantizeLinear", ["m", "ys", "yz"], ["y"], {})


def product(kind: str = "Gemm", **constants: Any) -> onnx.ModelProto:
    inputs = ["real", "weights", *(["b"] if "b" in constants else [])]
    nodes = [("DequantizeLinear", ["w", "ws"], ["weights"], {}), (kind, inputs, ["m"], {}), QUANTIZED]
    weights = RANDOM.integers(-99, 99, (8, 3)).astype(np.int8)
    return model_of(nodes, (3, 8), **{"w": weights, "ws": np.float32(0.01), **constants})


def conv(output: str = "m", **constants: Any) -> onnx.ModelProto:
    nodes = [
        ("DequantizeLinear", ["w", "ws"], ["weights"], {"axis": 0}),
        ("Conv", ["real", "weights", *(["b"] if "b" in constants else [])], [output], {}),
    ]
    kind = TensorProto.INT8 if output == "m" else TensorProto.FLOAT
    weights = RANDOM.integers(0, 2, (3, 2, 3, 3)).astype(np.int8)
    defaults = {"w": weights, "ws": np.full(3, 0.01, np.float32)}
    nodes += [QUANTIZED] if output == "m" else []
    return model_of(nodes, (1, 2, 5, 5), kind, **{**defaults, **constants})


def gram(depth: int) -> onnx.ModelProto:
    """Return the product of a matrix and its transpose, whose sums exceed int32 for a large depth."""
    nodes = [
        ("Transpose", ["real"], ["turned"], {"perm": [1, 0]}),
        ("MatMul", ["real", "turned"], ["m"], {}),
        QUANTIZED,
    ]
    return model_of(nodes, (2, depth), xz=np.int8(-128), ys=np.float32(0.1 * depth))


def pool(*shape: int, scale: float = 0.02) -> onnx.ModelProto:
    nodes = [("GlobalAveragePool", ["real"], ["m"], {}), QUANTIZED]
    return model_of(nodes, shape, ys=np.float32(scale), yz=np.int8(3))


COARSE: Final = {"xs": np.float32(1), "ws": np.ones(3, np.float32), "b": floats([0.31, 0.4567, -0.3])}

RIGHT: Final[Dict[str, Callable[[], onnx.ModelProto]]] = {
    "a bias for each row": lambda: product(b=floats([[1], [2], [3]])),
    "a bias of one row": lambda: product(b=floats([[1, 2, 3]])),
    "a bias between two integers": lambda: conv(**COARSE, ys=np.float32(0.2)),
    "a bias between two integers of a float": lambda: conv("y", **COARSE),
    "a bias that no int32 holds": lambda: conv(b=floats([1e9, -1e9, 0])),
    "a channel without weights": lambda: conv(
        w=np.zeros((3, 2, 3, 3), np.int8), ws=floats([0.01, 1e-30, 1e-38]), b=floats([0.1, 0.2, 0.3])
    ),
    "sums that no int32 holds": lambda: gram(40_000),
    "a mean of many elements": lambda: pool(1, 2, 1_500, 1_000),
    "a mean of many elements of another scale": lambda: pool(1, 2, 1_500, 1_000, scale=0.021),
    "weights whose scales belong to rows": lambda: model_of(
        [
            ("DequantizeLinear", ["w", "ws"], ["weights"], {"axis": 0}),
            ("MatMul", ["real", "weights"], ["m"], {}),
            QUANTIZED,
        ],
        (3, 8),
        w=RANDOM.integers(-99, 99, (8, 3)).astype(np.int8),
        ws=np.linspace(0.01, 0.1, 8, dtype=np.float32),
    ),
    "scales of each column": lambda: model_of(
        [("Relu", ["real"], ["m"], {}), QUANTIZED],
        (3, 8),
        xs=np.linspace(0.01, 0.1, 8, dtype=np.float32),
        xz=np.arange(8, dtype=np.int8),
    ),
    "a padding between two integers": lambda: model_of(
        [("Pad", ["real", "pads", "value"], ["m"], {}), QUANTIZED],
        (3, 8),
        pads=np.array([0, 1, 1, 0]),
        value=np.float32(0.0612),
    ),
    "limits between two integers": lambda: model_of(
        [("Add", ["real", "real"], ["s"], {}), ("Clip", ["s", "low", "high"], ["m"], {}), QUANTIZED],
        (3, 8),
        low=np.float32(-0.024),
        high=np.float32(0.026),
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_it_is_right(case: str) -> None:
    assert errors_in_steps(RIGHT[case]())["y"].largest <= 1


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float32"])
def test_the_index_of_equal_elements_is_in_the_tensor(op: str, last: int, dtype: str) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], axis=1, select_last_index=last)],
        "order",
        [helper.make_tensor_value_info("x", kind, [4, 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [4, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    limits = np.iinfo(dtype) if dtype != "float32" else None
    low, high = (-np.inf, np.inf) if limits is None else (limits.min, limits.max)
    x = np.array([[low] * 3, [high] * 3, [low, high, low], [high, low, high]], dtype)
    archive = ModelArchive.unpacked(compile_model(model, verify=False).archive)
    ((expected,),) = onnx_answers(model, [{"x": x}])
    assert np.array_equal(run_natively(archive, [{"x": x}])[0]["y"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xs", "ys", "ws"])
@pytest.mark.parametrize("scale", [0.0, -0.02, np.nan, np.inf, 1e-40, 1e-30, 1e30])
def test_a_strange_scale_is_right_or_refused(name: str, scale: float) -> None:
    value = floats([0.01, scale, 0.02]) if name == "ws" else np.float32(scale)
    model = conv(**{name: value})
    try:
        compile_model(model)
    except ModelError:
        return
    assert errors_in_steps(model)["y"].largest <= 1


@pytest.mark.parametrize(
    "constants",
    [
        {"ws": np.full(2, 0.01, np.float32)},
        {"ws": np.full((3, 1), 0.01, np.float32)},
        {"xs": np.full(3, 0.02, np.float32), "xz": np.zeros(3, np.int8)},
        {"xz": np.zeros(5, np.int8)},
    ],
)
def test_scales_of_another_length_are_refused(constants: Dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        compile_model(conv(**constants))
