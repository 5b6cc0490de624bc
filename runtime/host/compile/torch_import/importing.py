# SPDX-License-Identifier: Apache-2.0
"""Import of a program of torch.export into Relax."""

from __future__ import annotations

from typing import Any, List, Tuple

import torch
from torch.export import ExportedProgram

from runtime.host.compile.errors import ModelError
from runtime.host.compile.lowering import last_line
from runtime.host.compile.onnx_model import Value
from runtime.host.compile.torch_import.converters import converters
from runtime.host.compile.torch_import.decomposition import decomposed
from runtime.host.compile.torch_import.folding import fold_constants
from runtime.host.compile.torch_import.signature import (
    CONSTANTS,
    check_state,
    constants_of_program,
    inputs_of_program,
    outputs_of_program,
)
from runtime.host.compile.torch_import.supported import check_operators, check_program, check_types, name_of

CHECKS = (
    "_assert_async",
    "_assert_async.msg",
    "_assert_tensor_metadata",
    "_assert_scalar",
    "sym_constrain_range",
)
"""Operators that check values, and that a compiled model does without."""


def import_program(program: ExportedProgram) -> Tuple[Any, List[Value], List[Value]]:
    """Return a program as a module of Relax, with its inputs and outputs.

    Args:
        program: Program of torch.export with static shapes, which is not changed.

    Returns:
        The tvm.IRModule with parameters as constants, the inputs and the outputs.

    Raises:
        ModelError: The program has an operator, a type or a shape that is not supported.
    """
    check_program(program)
    inputs, outputs = inputs_of_program(program), outputs_of_program(program)
    core = simplified(program)
    from tvm.relax.frontend.torch import from_exported_program

    try:
        with torch.no_grad():
            module = from_exported_program(core, run_ep_decomposition=False, custom_convert_map=converters())
    except Exception as error:  # TVM raises many, all derived from Exception
        raise ModelError(
            f"TVM cannot import the model: {last_line(error)}", "Replace the operator in the module."
        ) from error
    return module, inputs, outputs


def simplified(program: ExportedProgram) -> ExportedProgram:
    """Return an equivalent program with supported operators only, whose constant parts are folded.

    Raises:
        ModelError: An operator or a type is not supported.
    """
    try:
        core = decomposed(program)
    except ModelError:
        raise
    except Exception as error:  # a rule of PyTorch for an operator that it cannot trace
        raise ModelError(
            f"PyTorch cannot decompose the program: {_first_line(error)}",
            "Replace the operator in the module, or export it with another version of PyTorch.",
        ) from error
    check_state(core)
    _remove_checks(core)
    check_program(core)
    check_operators(core)
    fold_constants(core)
    check_types(core)
    _name_safely(core)
    return core


def _first_line(error: Exception) -> str:
    """Return the first line of a message of PyTorch, which has the reason; at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0][:200] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _remove_checks(core: ExportedProgram) -> None:
    for node in reversed(list(core.graph.nodes)):
        if node.op == "call_function" and name_of(node) in CHECKS and not node.users:
            core.graph.erase_node(node)
    core.graph.eliminate_dead_code()


def _name_safely(core: ExportedProgram) -> None:
    """Give each input a name of ours: names of a model must not reach C.

    TVM's importer binds the values by the names of the specifications. It takes a value without one for
    another, so that values without a use are removed here.
    """
    values = constants_of_program(core)
    nodes = {node.name: node for node in core.graph.find_nodes(op="placeholder")}
    targets = set()
    for number, spec in enumerate(core.graph_signature.input_specs):
        node = nodes[spec.arg.name]
        if spec.kind in CONSTANTS:
            targets.add(spec.target)
            # TVM takes a tensor with other strides for a contiguous one.
            store = core.state_dict if spec.target in core.state_dict else core.constants
            store[str(spec.target)] = values[spec.arg.name].contiguous()
        node._rename(f"value{number}_")
        node.target = node.name
        spec.arg.name = node.name
    for name in [name for name in core.constants if name not in targets]:
        del core.constants[name]
