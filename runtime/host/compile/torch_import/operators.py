# SPDX-License-Identifier: Apache-2.0
"""Operators of a program of torch.export: shapes, types, multiply-accumulate operations and parameters."""

from __future__ import annotations

from math import prod
from typing import Callable, Dict, Final, List, Sequence, Set

import torch
from torch.export import ExportedProgram

from runtime.host.archive.about import OperatorFacts
from runtime.host.compile.torch_import.signature import CONSTANTS
from runtime.host.compile.torch_import.supported import name_of

Shape = Sequence[int]
Count = Callable[
    [List[Shape], Shape], int
]  # shapes of the tensors that an operator reads, of its first result


def operators_of_program(program: ExportedProgram) -> List[OperatorFacts]:
    """Return the operators of a program with static shapes, in order.

    They are those of the exported module, such as `linear`, and not the ones that they are decomposed to.
    """
    constants = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind in CONSTANTS}
    return [
        _facts(node, constants)
        for node in program.graph.nodes
        if node.op == "call_function" and name_of(node) != "getitem"
    ]


def parameters_of_program(program: ExportedProgram) -> int:
    """Return the number of elements of all parameters, buffers and constants that the program uses."""
    specs = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind in CONSTANTS}
    return sum(
        tensor.numel()
        for node in program.graph.find_nodes(op="placeholder")
        if node.name in specs and node.users
        for tensor in _tensors(node)
    )


def _facts(node: torch.fx.Node, constants: Set[str]) -> OperatorFacts:
    inputs = [tensor for inner in _arguments(node) for tensor in _tensors(inner)]
    outputs = _tensors(node)
    sources = node.all_input_nodes
    moved = [tensor for inner in sources if inner.name not in constants for tensor in _tensors(inner)]
    return OperatorFacts(
        name_of(node),
        node.name,
        [_described(tensor) for tensor in inputs],
        [_described(tensor) for tensor in outputs],
        _macs(node, [tuple(tensor.shape) for tensor in inputs], [tuple(tensor.shape) for tensor in outputs]),
        sum(tensor.numel() for inner in sources if inner.name in constants for tensor in _tensors(inner)),
        sum(tensor.numel() * tensor.element_size() for tensor in [*moved, *outputs]),
    )


def _arguments(node: torch.fx.Node) -> List[torch.fx.Node]:
    """Return the nodes that an operator reads, in the order of its arguments."""
    found: List[torch.fx.Node] = []
    torch.fx.node.map_arg((node.args, node.kwargs), found.append)
    return found


def _tensors(node: torch.fx.Node) -> List[torch.Tensor]:
    value = node.meta.get("val")
    values = value if isinstance(value, (list, tuple)) else [value]
    return [tensor for tensor in values if isinstance(tensor, torch.Tensor)]


def _described(tensor: torch.Tensor) -> str:
    kind = str(tensor.dtype).split(".")[-1]
    return f"{kind} {'x'.join(map(str, tensor.shape)) or 'scalar'}"


def _convolution(shapes: List[Shape], made: Shape) -> int:
    return prod(made) * prod(shapes[1][1:])


def _transposed(shapes: List[Shape], _made: Shape) -> int:
    return prod(shapes[0]) * prod(shapes[1][1:])


def _product(shapes: List[Shape], made: Shape) -> int:
    return prod(made) * (shapes[0][-1] if shapes[0] else 1)


def _attention(shapes: List[Shape], made: Shape) -> int:
    """Return the operations of query times key, and of weights times value."""
    rows, keys = prod(shapes[0][:-1]), shapes[1][-2]
    return rows * keys * (shapes[0][-1] + made[-1])


def _recurrent(shapes: List[Shape], _made: Shape) -> int:
    """Return the operations of all matrices in each step.

    The sequence is first, and has two or three dimensions.
    """
    steps = prod(shapes[0][:-1])
    return steps * sum(prod(shape) for shape in shapes[1:] if len(shape) == 2)


MACS: Final[Dict[str, Count]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("linear", "matmul", "mm", "bmm", "mv", "dot"), _product),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), lambda shapes, made: _product(shapes[1:], made)),
    **dict.fromkeys(("gru", "lstm", "rnn_tanh", "rnn_relu"), _recurrent),
    "scaled_dot_product_attention": _attention,
}
"""Operator without its overload -> its multiply-accumulate operations."""


def _macs(node: torch.fx.Node, inputs: List[Shape], outputs: List[Shape]) -> int:
    name = name_of(node).split(".")[0]
    if name == "convolution":
        name = "conv_transpose2d" if node.args[6] else "conv2d"
    if name == "einsum" and isinstance(node.args[0], str):
        return _einsum(node.args[0], inputs)
    count = MACS.get(name)
    return count(inputs, outputs[0]) if count and outputs and len(inputs) > 1 else 0


def _einsum(equation: str, inputs: List[Shape]) -> int:
    """Return the product of the extents of all indices: each product of elements is computed once."""
    extents: Dict[str, int] = {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if len(terms) < 2 or "." in equation:
        return 0
    for term, shape in zip(terms, inputs):
        extents.update(zip(term, shape))
    return prod(extents.values())
