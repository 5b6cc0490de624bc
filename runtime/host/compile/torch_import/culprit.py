# SPDX-License-Identifier: Apache-2.0
"""Search for the operator of a program that cannot be compiled.

Messages of TVM name parts of TVM. So each operator is compiled alone until one fails.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import torch
from torch.export import ExportedProgram, export

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.importing import simplified
from runtime.host.compile.torch_import.supported import name_of


def named(
    program: ExportedProgram, error: ModelError, compile_one: Callable[[ExportedProgram], Any]
) -> ModelError:
    """Return an error that names the operator, if one fails alone; else the error itself.

    Args:
        program: Program that cannot be compiled.
        error: Its failure.
        compile_one: Function that compiles a program, and raises ModelError.
    """
    if "Operator aten." in error.what:
        return error
    try:
        core = simplified(program)
    except ModelError:  # the error itself, which has the name of an operator or an input
        return error
    for node in core.graph.nodes:
        if node.op != "call_function" or name_of(node) == "getitem":
            continue
        try:
            compile_one(_alone(node))
        except ModelError as found:
            return ModelError(
                f"Operator aten.{name_of(node)} of node {node.name!r} cannot be compiled: {found.what}",
                "Replace the operator in the module, or compute its result on the host.",
                found.log,
            )
    return error


def _alone(node: torch.fx.Node) -> ExportedProgram:
    """Return a program of one operator."""
    sources = list(node.all_input_nodes)
    inputs = tuple(_example(source.meta["val"]) for source in sources)
    return export(_Single(node, sources), inputs)


def _example(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_example(inner) for inner in value]
    return torch.zeros(tuple(value.shape), dtype=value.dtype)


class _Single(torch.nn.Module):  # type: ignore[misc,unused-ignore]  # torch has no types where it is missing
    """Module of one node of a graph."""

    def __init__(self, node: torch.fx.Node, sources: List[torch.fx.Node]) -> None:
        super().__init__()
        self.call: Any = node.target
        self.arguments, self.options = node.args, node.kwargs
        self.sources = sources

    def forward(self, *tensors: Any) -> Any:
        """Return the tensors of the node's result."""
        values: Dict[torch.fx.Node, Any] = dict(zip(self.sources, tensors))
        given = torch.fx.node.map_arg((self.arguments, self.options), lambda source: values[source])
        result = self.call(*given[0], **given[1])
        return result[0] if isinstance(result, (list, tuple)) else result
