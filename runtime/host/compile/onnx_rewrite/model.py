# SPDX-License-Identifier: Apache-2.0
"""The rewritten model: inputs, outputs and the nodes between them."""

from __future__ import annotations

from typing import Any, Dict, List, Set

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import graphs, table
from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.inference import own_output_of
from runtime.host.compile.onnx_rewrite.upgrade import upgraded
from runtime.host.compile.onnx_rewrite.values import (
    IR_VERSION,
    OWN_DOMAIN,
    SUPPORTED_DTYPES,
    TARGET,
    Item,
    Value,
)


def simplified(model: Any) -> Any:
    """Return an equivalent model of opset 21 that has only operators and forms which TVM imports correctly.

    Args:
        model: onnx.ModelProto that passes onnx.checker, with static shapes of inputs. It is not changed.

    Returns:
        An onnx.ModelProto with the same inputs (without those that are initializers) and outputs.

    Raises:
        ModelError: An operator, an attribute or an element type is not supported.
    """
    return rewritten(model, Emitter(table.RULES, table.REFUSALS, table.TAKEN, upgraded))


def rewritten(model: Any, emit: Emitter) -> Any:
    """Return an equivalent model of opset 21, as an emitter writes it.

    Args:
        model: As for `simplified`.
        emit: Emitter without nodes.
    """
    import onnx
    from onnx import inliner

    if model.functions:
        model = inliner.inline_local_functions(model)
    graph = model.graph
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    scope: Dict[str, Item] = {}
    for value in (*graph.input, *graph.output):
        emit.reserve(value.name)
    graphs.add_constants(emit, graph, scope)
    inputs = [value for value in graph.input if value.name not in scope]
    for value in inputs:
        tensor = _input(value)
        scope[value.name] = tensor if tensor.size else emit.constant(np.zeros(tensor.shape, tensor.dtype))
    graphs.run_nodes(emit, graph.node, scope, opset)
    results = [_output(value, scope) for value in graph.output]
    nodes = with_outputs(emit, [value.name for value in inputs], graph.output, results)
    used = {name for node in nodes for name in node.input}
    simple = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            graph.name or "main",
            [_described(_input(value), value.name) for value in inputs],
            [_described(item, value.name) for item, value in zip(results, graph.output)],
            [
                onnx.numpy_helper.from_array(array, name)
                for name, array in emit.constants.items()
                if name in used
            ],
            value_info=[_own_type(node) for node in nodes if node.domain == OWN_DOMAIN],
        ),
        opset_imports=[
            onnx.helper.make_opsetid(domain, version)
            for domain, version in (("", TARGET), (OWN_DOMAIN, 1))
            if not domain or any(node.domain == domain for node in nodes)
        ],
        ir_version=IR_VERSION,
        producer_name=model.producer_name,
    )
    onnx.checker.check_model(simple)
    return simple


def _input(value: Any) -> Value:
    """Return an input of the model as a value."""
    from onnx import helper

    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ModelError(
            f"Input {value.name!r} is not a tensor.", "Export the model with inputs that are tensors."
        )
    if not tensor.HasField("shape") or any(not dim.HasField("dim_value") for dim in tensor.shape.dim):
        raise ModelError(
            f"Input {value.name!r} has a dynamic shape.", "Export the model with static shapes of inputs."
        )
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype not in SUPPORTED_DTYPES:
        raise ModelError(
            f"Input {value.name!r} has element type {dtype}, which has no counterpart in C.",
            "Convert the model to float32, or quantize it to int8.",
        )
    return Value(value.name, dtype, tuple(dim.dim_value for dim in tensor.shape.dim))


def _output(value: Any, scope: Dict[str, Item]) -> Value:
    """Return the item of an output of the model."""
    item = scope[value.name]
    if not isinstance(item, Value):
        raise ModelError(
            f"Output {value.name!r} is not a tensor.", "Export the model with outputs that are tensors."
        )
    if not item.size:
        raise ModelError(f"Output {value.name!r} has no elements.", "Remove the output from the model.")
    if item.dtype not in SUPPORTED_DTYPES:
        raise ModelError(
            f"Output {value.name!r} has element type {item.dtype}, which has no counterpart in C.",
            "Convert the model to float32, or quantize it to int8.",
        )
    return item


def _described(item: Item, name: str) -> Any:
    """Return the ValueInfoProto of an input or output."""
    from onnx import helper

    assert isinstance(item, Value)
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(item.dtype), item.shape)


def _own_type(node: Any) -> Any:
    """Return the ValueInfoProto of the output of an operator of our domain, which ONNX cannot infer."""
    from onnx import helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    dtype, shape = own_output_of(attributes)
    return helper.make_tensor_value_info(node.output[0], helper.np_dtype_to_tensor_dtype(dtype), shape)


def with_outputs(emit: Emitter, inputs: List[str], outputs: Any, results: List[Value]) -> List[Any]:
    """Return the nodes that outputs depend on, with the model's names of outputs.

    Args:
        emit: Writer of the graph.
        inputs: Names of the inputs.
        outputs: Outputs of the model, each with its name.
        results: Values of the outputs.
    """
    from onnx import helper

    names: Dict[str, str] = {}
    fixed: Set[str] = {*inputs, *emit.constants}
    added = []
    for value, item in zip(outputs, results):
        if item.name in fixed or item.name in names:
            source = names.get(item.name, item.name)
            added.append(helper.make_node("Identity", [source], [value.name], name=f"{value.name}/copy"))
        else:
            names[item.name] = value.name
    needed = {item.name for item in results}
    kept: List[Any] = []
    for node in reversed(emit.nodes):
        if needed.intersection(name for name in node.output if name):
            needed.update(node.input)
            kept.append(node)
    for node in kept:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return [*reversed(kept), *added]
