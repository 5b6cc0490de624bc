# SPDX-License-Identifier: Apache-2.0
"""Graphs, bodies and functions: their nodes are handed to the emitter in order."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import Empty, Item, Node, Value


def node_of(proto: Any, scope: Mapping[str, Item], opset: int) -> Node:
    """Return a NodeProto as a node with its inputs.

    Args:
        proto: The NodeProto.
        scope: Items by name.
        opset: Opset of the default domain.
    """
    inputs = [None if not name else scope[name] for name in proto.input]
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    label = proto.name or next((name for name in proto.output if name), "")
    return Node(
        proto.op_type,
        [None if isinstance(item, Empty) and proto.op_type not in _OF_OPTIONALS else item for item in inputs],
        {attribute.name: _attribute(attribute) for attribute in proto.attribute},
        list(proto.output),
        label,
        opset,
        domain,
        scope,
        opset,
    )


_OF_OPTIONALS = ("OptionalHasElement", "OptionalGetElement", "Identity")


def run_nodes(emit: Emitter, nodes: Sequence[Any], scope: Dict[str, Item], opset: int) -> None:
    """Hand nodes to the emitter, and add their outputs to the scope."""
    for proto in nodes:
        for name, item in zip(proto.output, emit.apply(node_of(proto, scope, opset))):
            if name:
                scope[name] = item


def add_constants(emit: Emitter, graph: Any, scope: Dict[str, Item]) -> None:
    """Add the initializers of a graph to the scope."""
    import numpy as np
    from onnx import numpy_helper

    for tensor in graph.initializer:
        scope[tensor.name] = emit.constant(numpy_helper.to_array(tensor))
    for sparse in graph.sparse_initializer:
        dense = np.zeros(tuple(sparse.dims), numpy_helper.to_array(sparse.values).dtype)
        indices = numpy_helper.to_array(sparse.indices)
        where = tuple(indices.T) if indices.ndim == 2 else np.unravel_index(indices, dense.shape)
        dense[where] = numpy_helper.to_array(sparse.values)
        scope[sparse.values.name] = emit.constant(dense)


def run_body(
    emit: Emitter, graph: Any, inputs: Sequence[Item], outer: Mapping[str, Item], opset: int
) -> List[Item]:
    """Emit the body of a control-flow node, and return its outputs.

    Args:
        emit: Writer of the graph.
        graph: The GraphProto.
        inputs: Items for the inputs of the body.
        outer: Items that the body can see.
        opset: Opset of the body.
    """
    scope = dict(outer)
    add_constants(emit, graph, scope)
    scope.update(zip((value.name for value in graph.input), inputs))
    run_nodes(emit, graph.node, scope, opset)
    return [scope[value.name] for value in graph.output]


def run_function(emit: Emitter, function: Any, node: Node) -> List[Item]:
    """Emit the body of a function in place of a node, and return the node's outputs.

    Args:
        emit: Writer of the graph.
        function: FunctionProto of the operator.
        node: The node.
    """
    scope: Dict[str, Item] = {}
    for index, name in enumerate(function.input):
        item = node.inputs[index] if index < len(node.inputs) else None
        scope[name] = Empty() if item is None else item
    opset = next((entry.version for entry in function.opset_import if entry.domain in ("", "ai.onnx")), 0)
    for proto in function.node:
        run_nodes(emit, [_with_attributes(proto, node)], scope, opset)
    found = [scope.get(name, Empty()) for name in function.output]
    return [item if node.wants(index) else Empty() for index, item in enumerate(found[: len(node.outputs)])]


def _with_attributes(proto: Any, node: Node) -> Any:
    """Return a copy of a function's node whose references are the attributes of the calling node."""
    import onnx
    from onnx import defs, helper

    if not any(attribute.ref_attr_name for attribute in proto.attribute):
        return proto
    copy = onnx.NodeProto()
    copy.CopyFrom(proto)
    del copy.attribute[:]
    defaults = defs.get_schema(node.op, node.opset, "").attributes
    for attribute in proto.attribute:
        source = attribute.ref_attr_name
        if not source:
            copy.attribute.append(attribute)
        elif source in node.attributes:
            copy.attribute.append(helper.make_attribute(attribute.name, node.attributes[source]))
        elif source in defaults and defaults[source].default_value.name:
            default = onnx.AttributeProto()
            default.CopyFrom(defaults[source].default_value)
            default.name = attribute.name
            copy.attribute.append(default)
    return copy


def _attribute(attribute: Any) -> Any:
    """Return the value of an attribute; strings are decoded."""
    from onnx import helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value]
    return value


def as_value(node: Node, item: Item) -> Value:
    """Return an item that must be a tensor."""
    if not isinstance(item, Value):
        raise node.refusal("a tensor is expected where the model has a sequence or an empty optional")
    return item
