# SPDX-License-Identifier: Apache-2.0
"""Import of an ONNX model into Relax."""

from __future__ import annotations

from typing import Any

from runtime.host.compile.errors import ModelError
from runtime.host.compile.lowering import last_line


def import_onnx(model: Any) -> Any:
    """Return an ONNX model with static shapes as a tvm.IRModule of Relax.

    Raises:
        ModelError: TVM cannot import an operator.
    """
    from tvm.relax.frontend.onnx import from_onnx

    try:
        return from_onnx(_with_safe_names(model), keep_params_in_input=False)
    except Exception as error:
        reason = last_line(error)
        raise ModelError(
            f"TVM cannot import the model: {reason}", "Replace the operator, or export with another opset."
        ) from error


def _with_safe_names(model: Any) -> Any:
    """Return a copy in which each value has a name of ours: names of a model must not reach C."""
    import onnx

    safe = onnx.ModelProto()
    safe.CopyFrom(model)
    names = {"": ""}

    def name(old: str) -> str:
        return names.setdefault(old, f"value{len(names)}")

    graph = safe.graph
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = name(value.name)
    for index, node in enumerate(graph.node):
        node.name = f"node{index}"
        node.input[:] = [name(old) for old in node.input]
        node.output[:] = [name(old) for old in node.output]
    return safe
