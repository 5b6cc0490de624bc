# SPDX-License-Identifier: Apache-2.0
"""Each quantized operator as integers: at most one step from onnxruntime, over the whole range of its inputs.

Several operators share a model, as each compilation takes a second.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Final, Tuple

import numpy as np
import pytest

from tests.compile.quantized import Form, Graph, errors_in_steps, float_operators

FORMS: Final = {
    "int8": Form(),
    "uint8": Form("uint8", "uint8"),
    "int8_to_uint8": Form("int8", "uint8", per_channel=False),
    "uint8_weights": Form("uint8", "uint8", "uint8", per_channel=False),
    "ends": Form("uint8", "int8", zeros="ends"),
    "powers": Form(zeros="middle", powers=True),
    "fine": Form("int8", "uint8", ratio=1e-3),
    "coarse": Form("uint8", "int8", ratio=1e3),
}

OFTEN: Final = 0.03
"""Part of the elements that may be another integer where no scale is a power of two: near ties."""

UNARY: Final = (
    "Relu", "Sigmoid", "Tanh", "HardSwish", "Gelu", "Erf", "Exp", "Abs", "Neg", "Elu", "Softplus",
)  # fmt: skip

Add = Callable[[Graph], None]
Shape = Tuple[int, ...]


def convolutions(graph: Graph) -> None:
    def conv(label: str, x: Shape, w: Shape, bias: str = "int32", **attributes: Any) -> str:
        graph.case(label)
        data, weight = graph.input(*x), graph.weight(*w)
        inputs = [data, weight]
        if bias == "int32":
            inputs.append(graph.bias(data, weight, w[0]))
        elif bias:
            inputs.append(graph.constant(graph.random.standard_normal(w[0])))
        return graph.op("Conv", *inputs, **attributes)

    graph.output(conv("conv1d", (2, 3, 9), (4, 3, 3), pads=[2, 1], strides=[2]))
    graph.output(conv("conv2d", (1, 3, 6, 5), (4, 3, 3, 2), pads=[1, 0, 2, 1], dilations=[1, 2]))
    graph.output(conv("conv3d", (1, 2, 4, 3, 4), (3, 2, 2, 3, 2), "float32", pads=[0, 1, 1, 1, 1, 0]))
    graph.output(conv("depthwise", (1, 4, 5, 5), (4, 1, 3, 3), pads=[1, 1, 1, 1], group=4))
    graph.output(conv("multiplied", (1, 2, 5, 4), (6, 1, 3, 3), "", pads=[1, 1, 1, 1], group=2))
    graph.output(conv("grouped", (1, 4, 5, 4), (6, 2, 2, 2), "float32", group=2, strides=[1, 2]))
    graph.output(conv("pointwise", (2, 5, 3, 4), (3, 5, 1, 1), ""))
    graph.output(graph.op("Relu", conv("relu", (1, 3, 4, 4), (4, 3, 3, 3), pads=[1, 1, 1, 1])))
    bounds = [graph.constant(-0.31), graph.constant(0.77)]
    graph.output(graph.op("Clip", conv("clip", (1, 3, 4, 4), (4, 3, 3, 3)), *bounds))
    graph.output(graph.op("Clip", graph.op("Relu", conv("both", (1, 3, 4, 4), (2, 3, 3, 3))), "", bounds[1]))
    graph.case("float")
    graph.end(conv("sums", (1, 2, 4, 4), (3, 2, 3, 3)))


def transposed_convolutions(graph: Graph) -> None:
    def transposed(label: str, x: Shape, w: Shape, group: int = 1, **attributes: Any) -> None:
        graph.case(label)
        made = w[1] * group
        data = graph.input(*x)
        weight = graph.weight(*w, axis=1, per_channel=None if group == 1 else False)
        bias = graph.bias(data, weight, made) if attributes.pop("bias", True) else ""
        inputs = [data, weight, *([bias] if bias else [])]
        graph.output(graph.op("ConvTranspose", *inputs, group=group, **attributes))

    transposed("plain", (1, 3, 4, 4), (3, 2, 2, 2))
    transposed("strides", (1, 3, 4, 3), (3, 2, 2, 3), strides=[2, 2])
    transposed("pads", (1, 2, 4, 4), (2, 3, 3, 3), strides=[2, 1], pads=[1, 0, 1, 2], bias=False)
    transposed("output_padding", (1, 2, 3, 3), (2, 2, 3, 3), strides=[2, 2], output_padding=[1, 1])
    transposed("dilations", (1, 2, 4, 4), (2, 2, 3, 2), dilations=[2, 3])
    transposed("groups", (1, 4, 3, 3), (4, 3, 2, 2), group=2, strides=[2, 2])
    transposed("1d", (2, 3, 5), (3, 2, 4), strides=[3], pads=[1, 1])
    transposed("3d", (1, 2, 2, 3, 2), (2, 2, 2, 2, 2), strides=[2, 1, 2])


def products(graph: Graph) -> None:
    graph.case("gemm")
    x, w = graph.input(3, 7), graph.weight(7, 5, axis=1)
    graph.output(graph.op("Gemm", x, w, graph.bias(x, w, 5)))
    w = graph.weight(5, 7)
    graph.output(graph.op("Gemm", x, w, graph.bias(x, w, 5), transB=1))
    graph.output(graph.op("Gemm", x, w, transB=1))
    graph.output(graph.op("Relu", graph.op("Gemm", x, w, graph.constant([0.3]), transB=1)))
    graph.case("matmul")
    w = graph.weight(7, 4, axis=1)
    graph.output(graph.op("MatMul", x, w))
    graph.output(graph.op("Add", graph.op("MatMul", x, w), graph.constant(np.linspace(-1, 1, 4))))
    graph.output(graph.op("Add", graph.constant(np.linspace(-1, 1, 4)), graph.op("MatMul", x, w)))
    batched = graph.input(2, 3, 7)
    graph.output(graph.op("MatMul", batched, w))
    graph.output(graph.op("Add", graph.op("MatMul", batched, w), graph.constant([0.5])))
    graph.case("activations")
    graph.output(graph.op("MatMul", x, graph.input(7, 4)))
    graph.output(graph.op("MatMul", batched, graph.input(2, 7, 4)))
    graph.output(graph.op("MatMul", graph.input(2, 1, 3, 4), graph.input(5, 4, 2)))
    graph.output(graph.op("MatMul", graph.input(3, 4), graph.input(2, 4, 2)))
    graph.output(graph.op("MatMul", x, graph.op("Transpose", x, perm=[1, 0])))
    graph.output(graph.op("MatMul", batched, graph.weight(2, 7, 3, per_channel=False)))
    graph.case("float")
    graph.end(graph.op("MatMul", x, w))
    graph.end(graph.op("MatMul", graph.input(2, 3), graph.input(3, 2)))


def sums(graph: Graph) -> None:
    for kind in ("Add", "Sub", "Mul"):
        graph.case(kind)
        x = graph.input(2, 3, 4)
        graph.output(graph.op(kind, x, graph.input(2, 3, 4)))
        graph.output(graph.op(kind, x, graph.input(3, 1)))
        graph.output(graph.op(kind, graph.input(2, 1, 1), graph.input(1, 3, 5)))
        graph.output(graph.op(kind, x, x))
        graph.output(graph.op(kind, x, graph.weight(3, 4, per_channel=False)))
        graph.output(graph.op(kind, graph.weight(4, per_channel=False), x))
        graph.output(graph.op("Relu", graph.op(kind, x, graph.input(4))))
        graph.output(graph.op(kind, x, graph.constant(0.37)))
    graph.case("scales")
    for one, other in ((1e-4, 10.0), (3e3, 1e-3), (1e-6, 1e-6), (0.02, 0.02)):
        pair = [graph.input(3, 4, scale=scale) for scale in (one, other)]
        graph.output(graph.op("Add", *pair))
        graph.output(graph.op("Mul", *pair))


def moves(graph: Graph) -> None:
    graph.case("concat")
    x, y = graph.input(1, 4, 4, 6), graph.input(1, 2, 4, 6)
    graph.output(graph.op("Concat", x, y, axis=1))
    graph.output(graph.op("Concat", x, x, graph.op("Relu", x), axis=-1))
    graph.output(graph.op("Concat", graph.op("Sigmoid", y), graph.op("Neg", y), axis=3))
    graph.case("pad")
    pads = graph.constant([0, 1, 0, 2, 0, 0, 1, 0], "int64")
    graph.output(graph.op("Pad", x, pads))
    graph.output(graph.op("Pad", x, pads, mode="edge"))
    graph.output(graph.op("Pad", x, graph.constant([0, 0, 1, 2, 0, 0, 1, 1], "int64"), mode="reflect"))
    graph.case("split")
    for part in graph.ops(2, "Split", x, graph.constant([1, 3], "int64"), axis=1):
        graph.output(part)
    for kind, inputs, attributes in (
        ("Slice", _slices(graph), {}),
        ("Reshape", [graph.constant([2, -1, 6], "int64")], {}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Squeeze", [graph.constant([0], "int64")], {}),
        ("Unsqueeze", [graph.constant([1, 3], "int64")], {}),
        ("Gather", [graph.constant([3, 0, -1], "int64")], {"axis": 2}),
        ("DepthToSpace", [], {"blocksize": 2}),
        ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
        ("SpaceToDepth", [], {"blocksize": 2}),
        ("Tile", [graph.constant([2, 1, 1, 2], "int64")], {}),
        ("Expand", [graph.constant([3, 4, 4, 6], "int64")], {}),
        ("Flatten", [], {"axis": 2}),
        ("Identity", [], {}),
    ):
        graph.case(kind)
        graph.output(graph.op(kind, x, *inputs, **attributes))
    graph.case("requantized")
    graph.output(x, "int8")
    graph.output(x, "uint8")


def _slices(graph: Graph) -> list[str]:
    return [graph.constant(values, "int64") for values in ([1, 5], [4, 0], [2, 3], [1, -2])]


def pools(graph: Graph) -> None:
    x = graph.input(2, 3, 6, 5)
    for kind in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"):
        graph.case(kind)
        graph.output(graph.op(kind, x, graph.constant([2, 3], "int64"), keepdims=0))
        graph.output(graph.op(kind, x, graph.constant([-3], "int64")))
        graph.output(graph.op(kind, x, keepdims=0))
        graph.output(graph.op(kind, x, graph.constant([0, 2], "int64"), keepdims=1))
    for kind in ("GlobalAveragePool", "GlobalMaxPool"):
        graph.case(kind)
        graph.output(graph.op(kind, x))
    graph.case("AveragePool")
    settings: list[dict[str, Any]] = [
        {},
        {"strides": [2, 2]},
        {"pads": [1, 0, 1, 1]},
        {"pads": [1, 1, 0, 1], "count_include_pad": 1},
        {"dilations": [2, 2], "pads": [1, 1, 1, 1]},
    ]
    for each in settings:
        graph.output(graph.op("AveragePool", x, kernel_shape=[3, 2], **each))
        graph.output(graph.op("MaxPool", x, kernel_shape=[3, 2], **_of_max_pool(each)))
    graph.output(graph.op("AveragePool", graph.input(1, 2, 9), kernel_shape=[4], strides=[3], pads=[2, 1]))
    graph.output(graph.op("AveragePool", graph.input(1, 2, 3, 4, 3), kernel_shape=[2, 2, 2], pads=[1] * 6))
    graph.output(graph.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1))
    for label, scale in (("near_ties", 0.0313), ("ties", 0.25)):
        graph.case(label)
        like = graph.input(2, 3, 4, 4, scale=scale, zero=3)
        graph.end(_like(graph, graph.op("GlobalAveragePool", like), scale), graph.form.x)
        graph.end(_like(graph, graph.op("AveragePool", like, kernel_shape=[2, 2]), scale), graph.form.x)


def _of_max_pool(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "count_include_pad"}


def _like(graph: Graph, value: str, scale: float) -> str:
    """Quantize a value with a scale that is given and the zero point 3."""
    step, zero = graph.constant(scale), graph.constant(3, graph.form.x)
    return graph.op("QuantizeLinear", value, step, zero)


def resizes(graph: Graph) -> None:
    x = graph.input(1, 2, 4, 3)
    scales = graph.constant([1, 1, 2, 2])
    sizes = graph.constant([1, 2, 7, 5], "int64")
    for mode in ("nearest", "linear", "cubic"):
        graph.case(mode)
        nearest = {"nearest_mode": "floor"} if mode == "nearest" else {}
        asymmetric = {"coordinate_transformation_mode": "asymmetric"}
        graph.output(graph.op("Resize", x, "", scales, mode=mode, **nearest, **asymmetric))
        graph.output(graph.op("Resize", x, "", "", sizes, mode=mode, **nearest))
        align = {"coordinate_transformation_mode": "align_corners"}
        graph.output(graph.op("Resize", x, "", "", sizes, mode=mode, **align))
    graph.case("one_axis")
    graph.output(graph.op("Resize", x, "", graph.constant([1, 1, 1, 1.7]), mode="linear"))
    graph.output(graph.op("Resize", graph.input(1, 2, 5), "", graph.constant([1, 1, 0.6]), mode="linear"))


def functions(graph: Graph) -> None:
    x = graph.input(3, 70)
    for kind in UNARY:
        graph.case(kind)
        graph.output(graph.op(kind, x))
    graph.case("attributes")
    graph.output(graph.op("LeakyRelu", x, alpha=0.13))
    graph.output(graph.op("HardSigmoid", x, alpha=0.17, beta=0.4))
    graph.output(graph.op("Clip", x, graph.constant(-1.0), graph.constant(0.5)))
    graph.output(graph.op("Clip", x, "", graph.constant(0.5)))
    graph.output(graph.op("Max", x, graph.constant(0.25)))
    graph.output(graph.op("PRelu", x, graph.constant(-0.3)))
    graph.case("chains")
    graph.output(graph.chain(x, "Tanh", "Neg", "Exp", "Relu"))
    graph.output(graph.op("Mul", x, graph.op("Sigmoid", x)))
    graph.output(graph.op("Div", x, graph.op("Add", graph.op("Abs", x), graph.constant(1.0))))
    graph.output(graph.op("Pow", graph.op("Sub", x, graph.constant(0.2)), graph.constant(2.0)))
    graph.output(graph.op("Relu", graph.output(graph.op("Tanh", graph.output(graph.op("Neg", x))))))


def orders(graph: Graph) -> None:
    x = graph.input(2, 5, 4)
    graph.case("softmax")
    for axis in (0, 1, 2, -1):
        graph.output(graph.op("Softmax", x, axis=axis))
    graph.output(graph.op("Softmax", graph.input(1, 300), axis=1))
    graph.output(graph.op("Softmax", graph.input(2, 1), axis=1))
    for scale in (1e-4, 0.5, 20.0):
        graph.output(graph.op("Softmax", graph.input(3, 10, scale=scale), axis=-1))
    graph.case("argmax")
    for attributes in ({"axis": 1}, {"axis": -1, "keepdims": 0}, {"axis": 0, "select_last_index": 1}):
        graph.end(graph.op("ArgMax", x, **attributes), "int64")
        graph.end(graph.op("ArgMin", x, **attributes), "int64")
    graph.case("normalized")
    channels = [graph.constant(graph.random.standard_normal(3)) for _ in range(3)]
    variance = graph.constant(graph.random.uniform(0.2, 2, 3))
    graph.output(graph.op("BatchNormalization", graph.input(2, 3, 4, 4), *channels, variance))
    graph.output(graph.op("BatchNormalization", graph.input(2, 3, 4), *channels, variance))


GROUPS: Final[Dict[str, Add]] = {
    add.__name__: add
    for add in (
        convolutions,
        transposed_convolutions,
        products,
        sums,
        moves,
        pools,
        resizes,
        functions,
        orders,
    )
}

FORM_OF_FINE: Final = {"Add", "Relu", "Resize", "Softmax", "QuantizeLinear", "DequantizeLinear"}
"""Operators that stay in floating point where a step of the output is 1/1000 of the usual one."""

EVERY: Final = bool(os.environ.get("MICROTVM_EVERY_NET"))
"""Run each group in each form. By hand: it takes two minutes."""

PAIRS: Final = [
    pytest.param(group, form, marks=() if form == "int8" and at % 2 else pytest.mark.slow)
    for at, group in enumerate(GROUPS)
    for place, form in enumerate(FORMS)
    if EVERY or form == "int8" or at % (len(FORMS) - 1) == place - 1
]


def model_of(group: str, form: str) -> Any:
    graph = Graph(FORMS[form], seed=len(group))
    GROUPS[group](graph)
    return graph.model()


@pytest.mark.parametrize(("group", "form"), PAIRS)
def test_no_floating_point_operator_remains(group: str, form: str) -> None:
    found = set(float_operators(model_of(group, form)).values())
    assert found <= (FORM_OF_FINE if form == "fine" else set())


@pytest.mark.parametrize(("group", "form"), PAIRS)
def test_it_is_at_most_one_step_from_onnxruntime(group: str, form: str) -> None:
    errors = errors_in_steps(model_of(group, form))
    assert {name: each for name, each in errors.items() if each.largest > 1} == {}
    assert {name: each for name, each in errors.items() if name.startswith("ties") and each.part} == {}
    if not FORMS[form].powers and FORMS[form].ratio == 1:
        often = {name: each for name, each in errors.items() if each.part > OFTEN}
        assert {name: each for name, each in often.items() if not name.startswith("near_ties")} == {}
