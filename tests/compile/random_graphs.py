# SPDX-License-Identifier: Apache-2.0
"""Random small ONNX graphs, each from a seed: common operators in odd combinations.

Shapes have one to four dimensions of few elements, with extents of one among them; values are used several
times, and any of them may be an output.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
UNARY: Final = (
    "Abs", "Neg", "Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Floor", "Ceil", "Softplus", "Softsign",
    "HardSwish", "HardSigmoid", "Elu", "Selu", "LeakyRelu", "Sqrt", "Log", "Reciprocal", "Sin", "Cos",
    "Identity", "Sign",
)  # fmt: skip
BINARY: Final = ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")
COMPARISONS: Final = ("Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual")
REDUCTIONS: Final = (
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceSum",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceL1",
)
POSITIVE: Final = ("Sqrt", "Log", "Reciprocal")  # operators that are given positive values


class Value(NamedTuple):
    """One value of a graph."""

    name: str
    shape: Tuple[int, ...]


class Graph:
    """A random graph under construction."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: List[Any] = []
        self.weights: List[Any] = []
        self.inputs: List[Value] = []
        self.values: List[Value] = []
        self._count = 0

    def pick(self, choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def shape(self, rank: Optional[int] = None) -> Tuple[int, ...]:
        rank = self.number(1, 4) if rank is None else rank
        return tuple(self.pick((1, 2, 3, 4, 5, 6, 8)) for _ in range(rank))

    def input(self, shape: Tuple[int, ...]) -> Value:
        value = Value(self.name("in"), shape)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def constant(self, array: Any, dtype: str = "float32") -> str:
        name = self.name("w")
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def weight(self, shape: Tuple[int, ...]) -> str:
        return self.constant(self.random.standard_normal(shape))

    def op(self, kind: str, inputs: List[str], shape: Tuple[int, ...], **attributes: Any) -> Value:
        value = Value(self.name("v"), shape)
        self.nodes.append(helper.make_node(kind, inputs, [value.name], **attributes))
        self.values.append(value)
        return value

    def any(self, rank: Optional[int] = None) -> Value:
        """Return a value of a rank, or of one dimension or more; often one of the latest."""
        fitting = [value for value in self.values if len(value.shape) == (rank or len(value.shape) or -1)]
        if not fitting or (len(self.inputs) < 3 and self.random.random() < 0.1):
            return self.input(self.shape(rank))
        return fitting[-1] if self.random.random() < 0.6 else self.pick(fitting)

    def model(self) -> onnx.ModelProto:
        used = {name for node in self.nodes for name in node.input}
        inputs = [value for value in self.inputs if value.name in used] or self.inputs[:1]
        made = [value for value in self.values if value not in self.inputs]
        ends = [value for value in made if value.name not in used]
        extra = [value for value in made if value.name in used and self.random.random() < 0.1]
        outputs = [*ends, *extra][:4]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, value.shape) for value in inputs],
            [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, value.shape) for value in outputs],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def _unary(graph: Graph) -> None:
    scalars = [value for value in graph.values if not value.shape]
    x, kind = graph.pick(scalars) if scalars else graph.any(), graph.pick(UNARY)
    if kind in POSITIVE:
        one = graph.constant(graph.pick((0.5, 1.2345678)))
        x = graph.op("Add", [graph.op("Abs", [x.name], x.shape).name, one], x.shape)
    if kind == "Exp":
        x = graph.op("Clip", [x.name, graph.constant(-4.0), graph.constant(4.0)], x.shape)
    graph.op(kind, [x.name], x.shape)


def _binary(graph: Graph) -> None:
    x, kind = graph.any(), graph.pick(BINARY)
    choice = graph.number(0, 3)
    same = [value for value in graph.values if value.shape == x.shape and value != x]
    shape = x.shape
    if choice == 0 and same:
        other = graph.pick(same).name
    elif choice == 1:
        other = graph.constant(1.5 + graph.random.random())
    else:
        kept = tuple(extent if graph.random.random() < 0.6 else 1 for extent in x.shape)
        other = graph.weight(kept[graph.number(0, len(kept) - 1) :])
    if kind == "Div":
        shifted = graph.op("Abs", [other], np.broadcast_shapes(_shape_of(graph, other)))
        other = graph.op("Add", [shifted.name, graph.constant(0.75)], shifted.shape).name
    graph.op(kind, [x.name, other], shape)


def _shape_of(graph: Graph, name: str) -> Tuple[int, ...]:
    for value in graph.values:
        if value.name == name:
            return value.shape
    return next(tuple(weight.dims) for weight in graph.weights if weight.name == name)


def _comparison(graph: Graph) -> None:
    x = graph.any()
    limit = graph.constant(graph.random.standard_normal())
    is_so = graph.name("b")
    graph.nodes.append(helper.make_node(graph.pick(COMPARISONS), [x.name, limit], [is_so]))
    if graph.random.random() < 0.5:
        graph.op("Cast", [is_so], x.shape, to=TensorProto.FLOAT)
    else:
        graph.op("Where", [is_so, x.name, graph.constant(0.1 + graph.random.random())], x.shape)


def _reduction(graph: Graph) -> None:
    x, kind = graph.any(), graph.pick(REDUCTIONS)
    axes = sorted({graph.number(0, len(x.shape) - 1) for _ in range(graph.number(1, len(x.shape)))})
    keep = graph.number(0, 1)
    shape = tuple(
        1 if axis in axes else extent for axis, extent in enumerate(x.shape) if keep or axis not in axes
    )
    given = [axis - len(x.shape) if graph.random.random() < 0.3 else axis for axis in axes]
    if kind == "ReduceSum":
        graph.op(kind, [x.name, graph.constant(given, "int64")], shape, keepdims=keep)
    else:
        graph.op(kind, [x.name], shape, axes=given, keepdims=keep)


def _softmax(graph: Graph) -> None:
    x = graph.any()
    graph.op(graph.pick(("Softmax", "LogSoftmax")), [x.name], x.shape, axis=graph.number(-len(x.shape), -1))


def _convolution(graph: Graph) -> None:
    x = graph.any(graph.pick((3, 4, 4, 4)))
    space = x.shape[2:]
    channels = x.shape[1]
    group = graph.pick([size for size in (1, 1, channels) if channels % size == 0])
    made = group * graph.number(1, 4)
    sizes = [min(graph.number(1, 3), extent + 2) for extent in space]
    pads = [graph.number(0, 1) for _ in range(2 * len(space))]
    strides, dilations = [graph.number(1, 2) for _ in space], [graph.number(1, 2) for _ in space]
    shape = [x.shape[0], made]
    for axis, extent in enumerate(space):
        padded = extent + pads[axis] + pads[axis + len(space)]
        span = (sizes[axis] - 1) * dilations[axis] + 1
        if padded < span:
            return
        shape.append((padded - span) // strides[axis] + 1)
    weights = graph.weight((made, channels // group, *sizes))
    inputs = [x.name, weights, *([graph.weight((made,))] if graph.random.random() < 0.7 else [])]
    graph.op(
        "Conv",
        inputs,
        tuple(shape),
        kernel_shape=sizes,
        pads=pads,
        strides=strides,
        dilations=dilations,
        group=group,
    )


def _pool(graph: Graph) -> None:
    x, kind = graph.any(4), graph.pick(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"))
    if kind.startswith("Global"):
        graph.op(kind, [x.name], (*x.shape[:2], 1, 1))
        return
    sizes = [min(graph.number(1, 3), extent) for extent in x.shape[2:]]
    strides = [graph.number(1, 2) for _ in sizes]
    pads = [graph.number(0, size - 1) if size > 1 else 0 for size in (*sizes, *sizes)]
    shape = [
        (extent + pads[axis] + pads[axis + 2] - sizes[axis]) // strides[axis] + 1
        for axis, extent in enumerate(x.shape[2:])
    ]
    extra = {"count_include_pad": graph.number(0, 1)} if kind == "AveragePool" else {}
    graph.op(kind, [x.name], (*x.shape[:2], *shape), kernel_shape=sizes, strides=strides, pads=pads, **extra)


def _product(graph: Graph) -> None:
    x = graph.any()
    made = graph.number(1, 6)
    if len(x.shape) == 2 and graph.random.random() < 0.5:
        is_transposed = graph.number(0, 1)
        shape = (made, x.shape[1]) if is_transposed else (x.shape[1], made)
        inputs = [x.name, graph.weight(shape), *([graph.weight((made,))] if graph.number(0, 1) else [])]
        graph.op("Gemm", inputs, (x.shape[0], made), transB=is_transposed, alpha=graph.pick((1.0, 0.3)))
    elif len(x.shape) >= 2:
        graph.op("MatMul", [x.name, graph.weight((x.shape[-1], made))], (*x.shape[:-1], made))


def _square(graph: Graph) -> None:
    """Multiply a value with its own transpose."""
    x = graph.any(graph.pick((2, 3)))
    order = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    turned = graph.op("Transpose", [x.name], tuple(x.shape[axis] for axis in order), perm=order)
    graph.op("MatMul", [x.name, turned.name], (*x.shape[:-1], x.shape[-2]))


def _transpose(graph: Graph) -> None:
    x = graph.any()
    order = graph.random.permutation(len(x.shape)).tolist()
    graph.op("Transpose", [x.name], tuple(x.shape[axis] for axis in order), perm=order)


def _reshape(graph: Graph) -> None:
    x = graph.any()
    size = int(np.prod(x.shape))
    factors = [part for part in range(1, size + 1) if size % part == 0]
    first = graph.pick(factors)
    shape = graph.pick(
        ((size,), (first, size // first), (1, first, size // first), (first, 1, 1, size // first))
    )
    graph.op("Reshape", [x.name, graph.constant(shape, "int64")], shape)


def _concat(graph: Graph) -> None:
    x = graph.any()
    axis = graph.number(0, len(x.shape) - 1)
    others = [
        value
        for value in graph.values
        if len(value.shape) == len(x.shape)
        and all(a == b for at, (a, b) in enumerate(zip(value.shape, x.shape)) if at != axis)
    ]
    parts = [x, *(graph.pick(others) for _ in range(graph.number(1, 2)))]
    extent = sum(part.shape[axis] for part in parts)
    shape = (*x.shape[:axis], extent, *x.shape[axis + 1 :])
    graph.op(
        "Concat", [part.name for part in parts], shape, axis=axis - (len(shape) if graph.number(0, 1) else 0)
    )


def _slice(graph: Graph) -> None:
    x = graph.any()
    axis = graph.number(0, len(x.shape) - 1)
    extent = x.shape[axis]
    start, step = graph.number(0, extent - 1), graph.pick((1, 1, 2))
    end = graph.number(start + 1, extent)
    made = len(range(start, end, step))
    if graph.random.random() < 0.3:
        start -= extent
    arguments = [graph.constant([value], "int64") for value in (start, end, axis, step)]
    graph.op("Slice", [x.name, *arguments], (*x.shape[:axis], made, *x.shape[axis + 1 :]))


def _gather(graph: Graph) -> None:
    x = graph.any()
    axis = graph.number(0, len(x.shape) - 1)
    extent = x.shape[axis]
    indices = graph.random.integers(-extent, extent, graph.number(1, 3)).tolist()
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    graph.op("Gather", [x.name, graph.constant(indices, "int64")], shape, axis=axis)


def _pad(graph: Graph) -> None:
    x = graph.any()
    rank = len(x.shape)
    pads = [graph.number(0, 1) for _ in range(2 * rank)]
    shape = tuple(extent + pads[axis] + pads[axis + rank] for axis, extent in enumerate(x.shape))
    mode = graph.pick(("constant", "constant", "edge", "reflect"))
    if mode == "reflect" and min(x.shape) < 2:
        mode = "edge"
    fill = [graph.constant(0.25)] if mode == "constant" else []
    graph.op("Pad", [x.name, graph.constant(pads, "int64"), *fill], shape, mode=mode)


def _normalization(graph: Graph) -> None:
    x = graph.any()
    if len(x.shape) == 4 and graph.random.random() < 0.5:
        channels = x.shape[1]
        variance = graph.constant(0.3 + graph.random.random(channels))
        inputs = [x.name, *(graph.weight((channels,)) for _ in range(3)), variance]
        graph.op("BatchNormalization", inputs, x.shape)
    elif x.shape[-1] > 2:
        size = x.shape[-1:]
        graph.op("LayerNormalization", [x.name, graph.weight(size), graph.weight(size)], x.shape, axis=-1)


def _resize(graph: Graph) -> None:
    x = graph.any(4)
    scales = (1, 1, graph.number(1, 2), graph.number(1, 2))
    shape = tuple(extent * scale for extent, scale in zip(x.shape, scales))
    if np.prod(shape) > 2000:
        return
    mode = graph.pick(
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        )
    )
    graph.op("Resize", [x.name, "", graph.constant(scales)], shape, **mode)


STEPS: Final[Tuple[Callable[[Graph], None], ...]] = (
    _unary, _unary, _unary, _binary, _binary, _binary, _binary, _comparison, _reduction, _softmax,
    _convolution, _convolution, _pool, _product, _square, _transpose, _reshape, _concat, _slice, _gather,
    _pad, _normalization, _resize,
)  # fmt: skip


def random_model(seed: int) -> onnx.ModelProto:
    """Return the random model of a seed."""
    graph = Graph(seed)
    graph.input(graph.shape(graph.pick((2, 3, 4, 4))))
    wanted = graph.number(2, 12)
    while len(graph.nodes) < wanted:
        graph.pick(STEPS)(graph)
        if max(int(np.prod(value.shape)) for value in graph.values) > 4000:
            break
    return graph.model()


def sample(model: onnx.ModelProto, seed: int) -> Dict[str, np.ndarray]:
    """Return random inputs of a model."""
    random = np.random.default_rng(seed)
    return {
        value.name: random.standard_normal(
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        ).astype("float32")
        for value in model.graph.input
    }
