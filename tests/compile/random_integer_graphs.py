# SPDX-License-Identifier: Apache-2.0
"""Random quantized operators with random scales, several in each graph.

Each operator reads inputs of the graph, so that an error of one step stays one step.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Tuple

import numpy as np
import onnx

from tests.compile.quantized import Form, Graph

TYPES: Final = ("int8", "uint8")
RATIOS: Final = (1.0, 1.0, 1.0, 0.1, 10.0)
ACTIVATIONS: Final = ("", "", "Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSwish")


class _Random:
    """Choices of one graph."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        form = Form(
            self.pick(TYPES),
            self.pick(TYPES),
            self.pick(("int8", "int8", "uint8")),
            self.pick((True, False)),
            self.pick(("random", "random", "ends", "middle")),
            self.pick((False, False, False, True)),
            self.pick(RATIOS),
        )
        self.graph = Graph(form, seed)

    def pick(self, choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def shape(self, rank: int) -> Tuple[int, ...]:
        return tuple(self.pick((1, 2, 3, 4, 5, 7)) for _ in range(rank))

    def finish(self, value: str) -> None:
        """Apply an activation function to a value, and quantize it."""
        kind = self.pick(ACTIVATIONS)
        if kind == "Clip":
            low = float(self.random.normal())
            bounds = [self.graph.constant(low), self.graph.constant(low + abs(self.random.normal()))]
            value = self.graph.op(kind, value, *bounds)
        elif kind:
            value = self.graph.op(kind, value)
        self.graph.output(value)


def _window(random: _Random, space: Tuple[int, ...]) -> Dict[str, List[int]]:
    """Return a kernel, strides, dilations and pads of which at least one window fits."""
    sizes = [random.number(1, min(3, extent)) for extent in space]
    dilations = [random.number(1, 2) if (size - 1) * 2 < extent else 1 for size, extent in zip(sizes, space)]
    pads = [random.number(0, size - 1) for size in (*sizes, *sizes)]
    return {
        "kernel_shape": sizes,
        "dilations": dilations,
        "strides": [random.number(1, 3) for _ in space],
        "pads": pads,
    }


def _conv(random: _Random) -> None:
    graph = random.graph
    space = random.shape(random.pick((1, 2, 2, 2, 3)))
    kind = random.pick(("full", "full", "depthwise", "grouped"))
    group = 1 if kind == "full" else random.number(1, 4)
    taken = 1 if kind == "depthwise" else random.number(1, 4)
    made = group * (1 if kind == "depthwise" and random.number(0, 1) else random.number(1, 3))
    window = _window(random, space)
    x = graph.input(random.number(1, 2), group * taken, *space)
    w = graph.weight(made, taken, *window["kernel_shape"])
    bias = random.pick(("", "int32", "float"))
    inputs = [x, w]
    if bias == "int32":
        inputs.append(graph.bias(x, w, made))
    elif bias:
        inputs.append(graph.constant(random.random.normal(size=made)))
    random.finish(graph.op("Conv", *inputs, group=group, **window))


def _conv_transpose(random: _Random) -> None:
    graph = random.graph
    space = random.shape(random.pick((1, 2, 2)))
    group, taken, made = random.pick((1, 1, 2)), random.number(1, 3), random.number(1, 3)
    sizes = [random.number(1, 3) for _ in space]
    strides = [random.number(1, 3) for _ in space]
    dilations = [random.number(1, 2) for _ in space]
    reach = [(size - 1) * step for size, step in zip(sizes, dilations)]
    pads = [random.number(0, min(1, each // 2)) for each in (*reach, *reach)]
    extra = [random.number(0, stride - 1) for stride in strides]
    x = graph.input(1, group * taken, *space)
    w = graph.weight(group * taken, made, *sizes, axis=1, per_channel=None if group == 1 else False)
    attributes = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": extra}
    random.finish(graph.op("ConvTranspose", x, w, group=group, **attributes))


def _product(random: _Random) -> None:
    graph = random.graph
    rows, depth, columns = random.number(1, 5), random.number(1, 40), random.number(1, 6)
    kind = random.pick(("Gemm", "MatMul", "MatMul", "tensors"))
    if kind == "Gemm":
        x, transposed = graph.input(rows, depth), random.number(0, 1)
        w = graph.weight(columns, depth) if transposed else graph.weight(depth, columns, axis=1)
        inputs = [x, w, *([graph.bias(x, w, columns)] if random.number(0, 1) else [])]
        random.finish(graph.op("Gemm", *inputs, transB=transposed))
    elif kind == "MatMul":
        x = graph.input(*random.shape(random.number(0, 2)), rows, depth)
        y = graph.op("MatMul", x, graph.weight(depth, columns, axis=1))
        if random.number(0, 1):
            y = graph.op("Add", y, graph.constant(random.random.normal(size=columns)))
        random.finish(y)
    else:
        batch = random.shape(random.number(0, 2))
        x = graph.input(*batch, rows, depth)
        random.finish(graph.op("MatMul", x, graph.input(*batch[-1:], depth, columns)))


def _binary(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(random.number(1, 4))
    kept = tuple(extent if random.number(0, 2) else 1 for extent in shape)
    other = kept[random.number(0, len(shape) - 1) :]
    kind = random.pick(("Add", "Sub", "Mul"))
    x, y = graph.input(*shape), graph.input(*other)
    random.finish(graph.op(kind, *((x, y) if random.number(0, 1) else (y, x))))


def _pool(random: _Random) -> None:
    graph = random.graph
    space = random.shape(random.pick((1, 2, 2, 3)))
    x = graph.input(random.number(1, 2), random.number(1, 3), *space)
    kind = random.pick(("AveragePool", "MaxPool"))
    extra = {"count_include_pad": random.number(0, 1)} if kind == "AveragePool" else {}
    random.finish(graph.op(kind, x, **_window(random, space), **extra))


def _mean(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(random.number(2, 4))
    axes = sorted({random.number(-len(shape), -1) for _ in range(random.number(1, 3))})
    kind = random.pick(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"))
    inputs = [graph.input(*shape), graph.constant(axes, "int64")]
    random.finish(graph.op(kind, *inputs, keepdims=random.number(0, 1)))


def _softmax(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(random.number(1, 3))
    x = graph.input(*shape, scale=float(np.exp(random.random.uniform(-6, 2))))
    graph.output(graph.op("Softmax", x, axis=random.number(-len(shape), -1)))


def _resize(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(4)
    sizes = [*shape[:2], *(max(1, round(extent * random.random.uniform(0.5, 2.5))) for extent in shape[2:])]
    x = graph.input(*shape)
    random.finish(
        graph.op(
            "Resize",
            x,
            "",
            "",
            graph.constant(sizes, "int64"),
            mode=random.pick(("nearest", "linear", "cubic")),
            coordinate_transformation_mode=random.pick(("half_pixel", "asymmetric", "align_corners")),
        )
    )


def _join(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(3)
    axis = random.number(0, 2)
    parts = [
        graph.input(*(random.number(1, 4) if at == axis else extent for at, extent in enumerate(shape)))
        for _ in range(random.number(1, 3))
    ]
    graph.output(graph.op("Concat", *parts, axis=axis))


def _move(random: _Random) -> None:
    graph = random.graph
    shape = random.shape(3)
    x = graph.input(*shape)
    for _ in range(random.number(1, 3)):
        kind = random.pick(("Transpose", "Relu", "Pad", "Slice", "Gather"))
        if kind == "Transpose":
            x = graph.op(kind, x, perm=random.random.permutation(3).tolist())
        elif kind == "Relu":
            x = graph.op(kind, x)
        elif kind == "Pad":
            pads = [random.number(0, 2) for _ in range(6)]
            mode = random.pick(("constant", "edge"))
            x = graph.op(kind, x, graph.constant(pads, "int64"), mode=mode)
        elif kind == "Slice":
            values = ([-1], [-100], [random.number(0, 2)], [-1])
            x = graph.op(kind, x, *(graph.constant(each, "int64") for each in values))
        else:
            x = graph.op(kind, x, graph.constant([0, -1], "int64"), axis=random.number(0, 2))
    random.finish(x)


STEPS: Final[Tuple[Callable[[_Random], None], ...]] = (
    _conv, _conv, _conv, _conv_transpose, _product, _product, _binary, _binary, _pool, _mean, _softmax,
    _resize, _join, _move,
)  # fmt: skip


def random_integer_model(seed: int) -> onnx.ModelProto:
    """Return the random quantized operators of a seed."""
    random = _Random(seed)
    for index in range(random.number(2, 5)):
        step = random.pick(STEPS)
        random.graph.case(f"{index}{step.__name__}")
        step(random)
    return random.graph.model()
