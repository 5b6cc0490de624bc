# SPDX-License-Identifier: Apache-2.0
"""Folding of the constant parts of a decomposed program: PyTorch computes them."""

from __future__ import annotations

from typing import Any, Dict, Final

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

from runtime.host.compile.torch_import.signature import constants_of_program

SMALL_BYTES: Final = 1 << 14
"""Constants up to this size are folded. A larger one, such as a weight that is expanded, must not grow."""


def fold_constants(program: ExportedProgram) -> None:
    """Replace each operator whose inputs are constant by its result, in place.

    Args:
        program: Decomposed program with supported operators only: they have no side effects, and their
            results are not random.
    """
    values: Dict[torch.fx.Node, Any] = {}
    tensors = constants_of_program(program)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in tensors:
            values[node] = tensors[node.name]
        elif node.op == "call_function" and all(inner in values for inner in node.all_input_nodes):
            result = _result(node, values)
            if _may_replace(result, [values[inner] for inner in node.all_input_nodes]):
                values[node] = result
    number = 0
    for node in list(program.graph.nodes):
        is_needed = any(user not in values for user in node.users)
        if node.op == "call_function" and isinstance(values.get(node), torch.Tensor) and is_needed:
            _make_constant(program, node, values[node], f"folded_{number}")
            number += 1
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()


def _result(node: torch.fx.Node, values: Dict[torch.fx.Node, Any]) -> Any:
    given = torch.fx.node.map_arg((node.args, node.kwargs), lambda inner: values[inner])
    arguments, options = given
    with torch.no_grad():
        return node.target(*arguments, **options)


def _may_replace(result: Any, inputs: Any) -> bool:
    return _bytes(result) <= max(SMALL_BYTES, sum(map(_bytes, inputs)))


def _bytes(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes, value))
    return int(value.numel() * value.element_size()) if isinstance(value, torch.Tensor) else 0


def _make_constant(program: ExportedProgram, node: torch.fx.Node, value: torch.Tensor, name: str) -> None:
    """Replace a node by a constant of the program."""
    graph, specs = program.graph, program.graph_signature.input_specs
    with graph.inserting_before(next(iter(graph.nodes))):
        placeholder = graph.placeholder(name)
    placeholder.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(placeholder)
    specs.insert(
        0, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(placeholder.name), placeholder.name, None)
    )
    program.constants[placeholder.name] = value.detach().clone().contiguous()
