# SPDX-License-Identifier: Apache-2.0
"""Removal of transposes: each one moves towards the outputs until it meets its inverse.

TensorFlow Lite has the channels last, ONNX's convolutions have them second, and the conversion writes a
transpose on both sides of each. Most other operators work in any order of axes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Final, List, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.graphs import node_of
from runtime.host.compile.onnx_rewrite.model import with_outputs
from runtime.host.compile.onnx_rewrite.parts import ints
from runtime.host.compile.onnx_rewrite.values import IR_VERSION, TARGET, Item, Node, Value
from runtime.host.compile.tflite.views import Layout, View, plain, plain_emitter

Views = Sequence[View]
Rule = Callable[[Layout, Node, Views], Optional[List[View]]]
"""Function that writes a node in the order of its bases; None if it needs the old order."""

ELEMENTWISE: Final = frozenset(
    """
    Abs Add And BitwiseXor Cast Ceil Clip Cos DequantizeLinear Div Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual HardSigmoid HardSwish LeakyRelu Less LessOrEqual Log Max Min Mod Mul Neg Not Or PRelu Pow
    QuantizeLinear Reciprocal Relu Round Sigmoid Sign Sin Sqrt Sub Tanh Where
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
SCALED: Final = ("QuantizeLinear", "DequantizeLinear")
REDUCTIONS: Final = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
POSITIONS: Final = ("ArgMax", "ArgMin")
ALONG: Final = ("Softmax", "LogSoftmax", "Split")


def without_transposes(model: Any) -> Any:
    """Return an equivalent ONNX model with as few transposes between its operators as possible.

    Args:
        model: onnx.ModelProto of opset 21 with static shapes and without subgraphs. It is not changed.

    Raises:
        ModelError: An operator contradicts the ONNX specification.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    emit = plain_emitter()
    layout = Layout(emit)
    views: Dict[str, View] = {}
    for value in (*graph.input, *graph.output):
        emit.reserve(value.name)
    for tensor in graph.initializer:
        views[tensor.name] = plain(emit.constant(numpy_helper.to_array(tensor)))
    for value in graph.input:
        tensor = value.type.tensor_type
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        views[value.name] = plain(Value(value.name, dtype, shape))
    for proto in graph.node:
        emit.name_nodes(proto.name)
        views.update(zip(proto.output, _placed(layout, proto, views)))
    results = [layout.value(views[value.name]) for value in graph.output]
    nodes = with_outputs(emit, [value.name for value in graph.input], graph.output, results)
    used = {name for node in nodes for name in node.input}
    constants = [
        numpy_helper.from_array(array, name) for name, array in emit.constants.items() if name in used
    ]
    return helper.make_model(
        helper.make_graph(nodes, graph.name, list(graph.input), list(graph.output), constants),
        opset_imports=[helper.make_opsetid("", TARGET)],
        ir_version=IR_VERSION,
        producer_name=model.producer_name,
    )


def _placed(layout: Layout, proto: Any, views: Dict[str, View]) -> List[View]:
    """Write a node, and return the views of its outputs."""
    bases: Dict[str, Item] = {name: views[name].base for name in proto.input if name}
    node = node_of(proto, bases, TARGET)
    inputs = [views[name] for name in proto.input if name]
    rule = RULES.get(node.op)
    if rule is not None and (node.op in ALWAYS or not all(view.is_plain for view in inputs)):
        found = rule(layout, node, inputs)
        if found is not None:
            return found
    old = iter(inputs)
    values: List[Optional[Item]] = [layout.value(next(old)) if name else None for name in proto.input]
    return _written(layout, node, values)


def _written(layout: Layout, node: Node, inputs: Sequence[Optional[Item]], **changes: Any) -> List[View]:
    """Write a node with other inputs and attributes, and return plain views of its outputs."""
    attributes = {**node.attributes, **changes}
    results = layout.emit.apply(dataclasses.replace(node, inputs=list(inputs), attributes=attributes))
    return [plain(item) for item in results if isinstance(item, Value)]


def _seen(results: Sequence[View], perm: Sequence[int]) -> List[View]:
    """Return views with an order of axes of tensors that have been written in the order of their bases."""
    return [View(view.base, tuple(perm), tuple(view.base.shape[axis] for axis in perm)) for view in results]


def _transpose(layout: Layout, node: Node, views: Views) -> List[View]:
    rank = len(views[0].shape)
    perm = node.attributes.get("perm", list(range(rank))[::-1])
    return [layout.transposed(views[0], perm)]


def _reshape(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    target = views[1].base.data
    if target is None or not all(extent > 0 for extent in target):
        return None
    return [layout.reshaped(views[0], tuple(int(extent) for extent in target))]


def _identity(_layout: Layout, _node: Node, views: Views) -> List[View]:
    return [views[0]]


def _leading(layout: Layout, views: Views) -> Optional[View]:
    """Return the view whose order of axes a node with several inputs gets: the largest one."""
    candidates = [view for view in views if not view.is_plain and not _is_free(layout, view)]
    return max(candidates, key=lambda view: view.base.size, default=None)


def _is_free(layout: Layout, view: View) -> bool:
    """Return whether a tensor is constant, so that a transpose of it costs nothing."""
    node = layout.emit.producer(view.base)
    if node is not None and node.op == "DequantizeLinear":
        return node.value(0).data is not None
    return view.base.data is not None


def _elementwise(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    lead = _leading(layout, views)
    if lead is None or (node.op in SCALED and views[1].base.size > 1):
        return None
    rank = len(lead.shape)
    if (
        any(len(view.shape) > rank for view in views)
        or max(view.base.size for view in views) > lead.base.size
    ):
        return None
    if not lead.is_transposed:
        others = [view for view in views if view is not lead]
        if any(view.base.size > 1 or len(view.shape) > lead.base.rank for view in others):
            return None
        (result,) = _written(layout, node, _in_place(node, [view.base for view in views]))
        return [dataclasses.replace(lead, base=result.base)]
    values = [_aligned(layout, view, lead) for view in views]
    return _seen(_written(layout, node, _in_place(node, values)), lead.perm)


def _in_place(node: Node, values: Sequence[Value]) -> List[Optional[Item]]:
    """Return inputs with None for each one that the node leaves out."""
    rest = iter(values)
    return [None if item is None else next(rest) for item in node.inputs]


def _aligned(layout: Layout, view: View, lead: View) -> Value:
    """Return an input that broadcasts to the base of the leading view."""
    if view.base.size == 1 and len(view.shape) <= 1:
        return layout.value(view)
    rank = len(lead.shape)
    if len(view.shape) < rank:
        view = layout.reshaped(view, (*[1] * (rank - len(view.shape)), *view.shape))
    return layout.value(layout.transposed(view, lead.inverse))


def _concat(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    lead = _leading(layout, [view for view in views if view.is_transposed])
    if lead is None:
        return None
    values = [layout.value(layout.transposed(view, lead.inverse)) for view in views]
    axis = lead.perm[node.attributes["axis"] % len(lead.perm)]
    return _seen(_written(layout, node, values, axis=axis), lead.perm)


def _along(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    view = views[0]
    if not view.is_transposed:
        return None
    axis = view.perm[node.attributes.get("axis", 0 if node.op == "Split" else -1) % len(view.perm)]
    values = [view.base, *(other.base for other in views[1:])]
    return _seen(_written(layout, node, values, axis=axis), view.perm)


def _slice(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    view = views[0]
    if not view.is_transposed or len(views) < 4 or views[3].base.data is None:
        return None
    axes = [view.perm[int(axis) % len(view.perm)] for axis in views[3].base.data]
    values: List[Value] = [view.base, *(other.base for other in views[1:])]
    values[3] = ints(layout.emit, axes)
    return _seen(_written(layout, node, values), view.perm)


def _by_axis(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    """Place Pad and Tile, whose second input has numbers for each axis."""
    view, numbers = views[0], views[1].base.data
    rank = len(view.shape)
    if not view.is_transposed or numbers is None or numbers.size % rank or len(views) > 3:
        return None
    ordered = numbers.reshape(-1, rank)[:, list(view.inverse)].reshape(-1)
    values = [view.base, ints(layout.emit, ordered.tolist()), *(other.base for other in views[2:])]
    return _seen(_written(layout, node, values), view.perm)


def _without(perm: Sequence[int], axes: Sequence[int]) -> List[int]:
    """Return the order of the axes that are left when axes of the base are removed."""
    left = [axis for axis in perm if axis not in axes]
    return [sorted(left).index(axis) for axis in left]


def _reduce(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    view = views[0]
    if not view.is_transposed or len(views) != 2 or views[1].base.data is None:
        return None
    axes = sorted(view.perm[int(axis) % len(view.perm)] for axis in views[1].base.data)
    results = _written(layout, node, [view.base, ints(layout.emit, axes)])
    keeps = node.attributes.get("keepdims", 1)
    return _seen(results, view.perm if keeps else _without(view.perm, axes))


def _position(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    view = views[0]
    if not view.is_transposed:
        return None
    axis = view.perm[node.attributes.get("axis", 0) % len(view.perm)]
    results = _written(layout, node, [view.base], axis=axis)
    keeps = node.attributes.get("keepdims", 1)
    return _seen(results, view.perm if keeps else _without(view.perm, [axis]))


def _gather(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    view, indices = views
    if not view.is_transposed or not indices.is_plain or len(indices.shape) > 1 or _is_free(layout, view):
        return None
    axis = view.perm[node.attributes.get("axis", 0) % len(view.perm)]
    results = _written(layout, node, [view.base, indices.base], axis=axis)
    return _seen(results, view.perm if indices.shape else _without(view.perm, [axis]))


def _matmul(layout: Layout, node: Node, views: Views) -> Optional[List[View]]:
    """Give the rows of constant weights the order of a flattened tensor, instead of a transpose before it."""
    data, weights = views
    moved = data.moved
    if data.is_transposed or len(data.shape) != 2 or len(weights.shape) != 2 or not weights.is_plain:
        return None
    if data.perm[0] != 0 or moved[0] != data.shape[0] or not _is_free(layout, weights):
        return None
    order = np.arange(data.shape[1]).reshape(moved[1:]).transpose([axis - 1 for axis in data.inverse[1:]])
    rows = ints(layout.emit, order.reshape(-1).tolist())
    scaled = layout.emit.producer(weights.base)
    if scaled is None:
        ordered = layout.emit.op("Gather", weights.base, rows, axis=0)
    elif scaled.value(1).size == 1 or scaled.attributes.get("axis", 1) == 1:
        integers = layout.emit.op("Gather", scaled.value(0), rows, axis=0)
        ordered = layout.emit.op("DequantizeLinear", integers, *scaled.values()[1:], **scaled.attributes)
    else:
        return None
    flat = layout.value(View(data.base, tuple(range(data.base.rank)), data.shape))
    return _written(layout, node, [flat, ordered])


ALWAYS: Final = ("Transpose", "Reshape", "Identity")
"""Operators with a rule for inputs in their old order."""

RULES: Final[Dict[str, Rule]] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Identity": _identity,
    "Concat": _concat,
    "Slice": _slice,
    "Pad": _by_axis,
    "Tile": _by_axis,
    "Gather": _gather,
    "MatMul": _matmul,
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(POSITIONS, _position),
    **dict.fromkeys(ALONG, _along),
}
"""Operator -> rule. Others get their inputs in the old order."""
