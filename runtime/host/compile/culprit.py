# SPDX-License-Identifier: Apache-2.0
"""Search for the operator of an ONNX model that cannot be compiled.

Messages of TVM name parts of TVM. So each operator is compiled alone until one fails the same way.
"""

from __future__ import annotations

from typing import Any, Callable, List

import onnx

from runtime.host.compile.errors import ModelError


def named(
    model: onnx.ModelProto, error: ModelError, compile_one: Callable[[onnx.ModelProto], Any]
) -> ModelError:
    """Return an error that names the operator, if one fails alone; else the error itself.

    Args:
        model: Model with the types of all values, as the importer receives it.
        error: Failure of the whole model.
        compile_one: Compiles a model, and raises ModelError for one that cannot be compiled.
    """
    for node in model.graph.node:
        alone = _alone(model, node)
        if alone is None:
            continue
        try:
            compile_one(alone)
        except ModelError as found:
            name = f" {node.name!r}" if node.name else ""
            return ModelError(
                f"Operator {node.op_type}{name} cannot be compiled: {found.what}",
                f"Replace {node.op_type} in the model, or run it outside of the model.",
            )
    return error


def _alone(model: onnx.ModelProto, node: onnx.NodeProto) -> Any:
    """Return a model of one operator; None if the type of one of its values is unknown."""
    graph = model.graph
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    names = dict.fromkeys([*node.input, *_names_in_subgraphs(node)])
    inputs = [values[name] for name in names if name and name in values and name not in constants]
    outputs = [values[name] for name in node.output if name in values]
    if len(outputs) != sum(bool(name) for name in node.output):
        return None
    alone = onnx.helper.make_graph(
        [node], "operator", inputs, outputs, [constants[name] for name in names if name in constants]
    )
    return onnx.helper.make_model(alone, opset_imports=model.opset_import, ir_version=model.ir_version)


def _names_in_subgraphs(node: onnx.NodeProto) -> List[str]:
    names: List[str] = []
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.HasField("g") else ():
            names += [*inner.input, *_names_in_subgraphs(inner)]
    return names
