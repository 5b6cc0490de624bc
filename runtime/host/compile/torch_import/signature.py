# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of a program of torch.export, and the checks of its signature."""

from __future__ import annotations

from typing import Any, Dict, Final, Iterator, List, Tuple

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import Value

DTYPES: Final[Dict[torch.dtype, str]] = {
    torch.float32: "float32",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.int16: "int16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.bool: "bool",
}
"""Data types that a device exchanges, and the operators that are tested with them."""

OUTPUTS: Final = (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT)
CONSTANTS: Final = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def inputs_of_program(program: ExportedProgram) -> List[Value]:
    """Return name, type and shape of the inputs that a caller gives.

    Raises:
        ModelError: One is not a tensor, has a dynamic shape or a type that devices do not support.
    """
    nodes = _placeholders(program)
    found = []
    for spec in program.graph_signature.input_specs:
        if spec.kind in CONSTANTS:
            continue
        name = getattr(spec.arg, "name", "")
        if spec.kind is not InputKind.USER_INPUT or not isinstance(spec.arg, TensorArgument):
            raise ModelError(
                f"Input {name!r} of the program is not a tensor.",
                "Make it a constant of the module, and export the module with tensors as inputs.",
            )
        found.append(_described(name, nodes[name].meta.get("val"), f"Input {name!r}"))
    return found


def outputs_of_program(program: ExportedProgram) -> List[Value]:
    """Return name, type and shape of the outputs.

    The names are those of the signature. A tensor that is returned twice has a number after its second name.

    Raises:
        ModelError: The program has no outputs, changes a buffer or an input, or an output is not a tensor or
            has a type that devices do not support.
    """
    specs = program.graph_signature.output_specs
    (returned,) = program.graph_module.graph.find_nodes(op="output")[0].args
    found: List[Value] = []
    taken = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind not in CONSTANTS}
    check_state(program)
    for spec, node in zip(specs, returned):
        if not isinstance(spec.arg, TensorArgument) or not isinstance(node, torch.fx.Node):
            raise ModelError(
                f"Output {len(found)} of the program is not a tensor.", "Return tensors only from forward()."
            )
        name = _unused(spec.arg.name, taken)
        taken.add(name)
        found.append(_described(name, node.meta.get("val"), f"Output {name!r}"))
    if not found:
        raise ModelError("The program has no outputs.", "Return a tensor from forward().")
    return found


def check_state(program: ExportedProgram) -> None:
    """Check that a program changes neither its inputs nor its buffers.

    The signature has such changes only after the decomposition: torch.export leaves in-place operators in the
    graph.

    Raises:
        ModelError: The program changes one.
    """
    for spec in program.graph_signature.output_specs:
        # A token orders operators with side effects, which check_operators refuses by name.
        if spec.kind not in (*OUTPUTS, OutputKind.TOKEN):
            raise ModelError(
                f"The program changes {spec.target or 'its state'!r} ({_words(spec.kind)}).",
                "Call module.eval() before the export. A state must be an input and an output: a compiled "
                "model keeps none.",
            )


def tensors_of_program(program: ExportedProgram) -> Iterator[Tuple[torch.fx.Node, torch.Tensor]]:
    """Yield each tensor of the graph with the node that computes it."""
    for node in program.graph.nodes:
        value = node.meta.get("val")
        for tensor in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(tensor, torch.Tensor):
                yield node, tensor


def constants_of_program(program: ExportedProgram) -> Dict[str, torch.Tensor]:
    """Return the parameters, buffers and constants of a program by the names of their nodes.

    Raises:
        ModelError: The program lacks the values of one.
    """
    values, nodes = {**program.constants, **program.state_dict}, _placeholders(program)
    found = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind in CONSTANTS:
            value = values.get(str(spec.target))
            declared = nodes[spec.arg.name].meta.get("val")
            if not isinstance(value, torch.Tensor) or not isinstance(declared, torch.Tensor):
                raise ModelError(
                    f"The program lacks the values of {spec.target!r}.",
                    "Export the module with all its parameters.",
                )
            if (value.shape, value.dtype) != (declared.shape, declared.dtype):
                raise ModelError(
                    f"The values of {spec.target!r} have another shape or type than the program expects.",
                    "Export the module again.",
                )
            found[spec.arg.name] = value.detach()
    return found


def _placeholders(program: ExportedProgram) -> Dict[str, torch.fx.Node]:
    return {node.name: node for node in program.graph.find_nodes(op="placeholder")}


def _unused(name: str, taken: Any) -> str:
    if name not in taken:
        return name
    return next(
        f"{name}_{number}" for number in range(2, 2 + len(taken) + 1) if f"{name}_{number}" not in taken
    )


def _words(kind: Any) -> str:
    return str(kind.name).lower().replace("_", " ")


def _described(name: str, value: Any, label: str) -> Value:
    """Return name, type and shape of an input or output, which messages call `label`."""
    if not isinstance(value, torch.Tensor):
        raise ModelError(f"{label} of the program is not a tensor.", "Export the module with tensors only.")
    for number, extent in enumerate(value.shape):
        if not isinstance(extent, int):
            raise ModelError(
                f"{label} has a dynamic shape: dimension {number} is {extent}.",
                "Export the module without dynamic_shapes, for inputs of the size that the board gets.",
            )
    if value.dtype not in DTYPES:
        kind = str(value.dtype).split(".")[-1]
        raise ModelError(
            f"{label} has type {kind}, which devices do not support.",
            "Convert module and inputs to float32 before the export: module.float().",
        )
    return Value(name, DTYPES[value.dtype], tuple(value.shape))
