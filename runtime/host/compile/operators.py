# SPDX-License-Identifier: Apache-2.0
"""Operators of an ONNX model: shapes, types, multiply-accumulate operations and parameters."""

from __future__ import annotations

from math import prod
from typing import Any, Dict, Final, List, Sequence, Set, Tuple

import numpy as np
import onnx
from onnx import TensorProto

from runtime.host.archive.about import OperatorFacts
from runtime.host.dtype import DType

Type = Tuple[str, Tuple[int, ...]]
NO_TYPE: Final[Type] = ("", ())
CONSTANT: Final = "Constant"  # operator whose attribute is its output
WEIGHTS: Final = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}  # convolution -> position of its weights
PRODUCTS: Final = ("MatMul", "MatMulInteger", "QLinearMatMul")
RECURRENT: Final = ("RNN", "GRU", "LSTM")  # inputs: sequence, weights of the input, weights of the state


def operators_of(model: onnx.ModelProto) -> List[OperatorFacts]:
    """Return the operators of a model with static shapes, in order. Constants are not operators.

    Operators in a branch or a loop body belong to the operator with that graph, and are not counted.
    """
    types = _types(model)
    constants = _constants(model)
    found = []
    for node in model.graph.node:
        if _is_constant(node):
            continue
        inputs = [types.get(name, NO_TYPE) if name else NO_TYPE for name in node.input]
        outputs = [types.get(name, NO_TYPE) for name in node.output if name]
        moved = {*node.input, *node.output} - constants - {""}
        found.append(
            OperatorFacts(
                node.op_type,
                node.name or next(iter(node.output), ""),
                [_described(kind) for name, kind in zip(node.input, inputs) if name],
                [_described(kind) for kind in outputs],
                _macs(node, inputs, outputs),
                sum(prod(types.get(name, NO_TYPE)[1]) for name in set(node.input) & constants),
                sum(_bytes(types.get(name, NO_TYPE)) for name in moved),
            )
        )
    return found


def parameters_of(model: onnx.ModelProto) -> int:
    """Return the number of elements of all constants."""
    types = _types(model)
    return sum(prod(types.get(name, ("", (0,)))[1]) for name in _constants(model))


def _is_constant(node: Any) -> bool:
    return node.op_type == CONSTANT and node.domain in ("", "ai.onnx")


def _constants(model: onnx.ModelProto) -> Set[str]:
    """Return the names of the tensors whose values are in the file."""
    made = {name for node in model.graph.node if _is_constant(node) for name in node.output}
    return {tensor.name for tensor in model.graph.initializer} | made


def _types(model: onnx.ModelProto) -> Dict[str, Type]:
    types: Dict[str, Type] = {}
    graph = model.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        shape = tuple(dimension.dim_value for dimension in tensor.shape.dim)
        types[value.name] = (_dtype(tensor.elem_type), shape)
    for initializer in graph.initializer:
        types[initializer.name] = (_dtype(initializer.data_type), tuple(initializer.dims))
    return types


def _dtype(code: int) -> str:
    if code == TensorProto.UNDEFINED:
        return ""
    return str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code)))


def _described(kind: Type) -> str:
    return f"{kind[0]} {'x'.join(map(str, kind[1])) or 'scalar'}".strip() if kind[0] else "unknown"


def _bytes(kind: Type) -> int:
    try:
        return DType.parse(kind[0]).nbytes(kind[1])
    except ValueError:  # a string or a type that devices do not have
        return 0


def _macs(node: Any, inputs: Sequence[Type], outputs: Sequence[Type]) -> int:
    """Return the multiply-accumulate operations of a node."""
    shapes = [shape for _, shape in inputs]
    if not outputs or len(shapes) < 2:
        return 0
    made = prod(outputs[0][1])
    if node.op_type in WEIGHTS:
        at = WEIGHTS[node.op_type]
        return made * prod(shapes[at][1:]) if len(shapes) > at else 0
    if node.op_type == "ConvTranspose":
        return prod(shapes[0]) * prod(shapes[1][1:])
    if node.op_type == "Gemm" and len(shapes[0]) == 2:
        return made * shapes[0][0 if _integer(node, "transA", 0) else 1]
    if node.op_type in PRODUCTS and shapes[0]:
        return made * shapes[0][-1]
    if node.op_type in RECURRENT and len(shapes) > 2 and len(shapes[0]) == 3 and len(shapes[1]) == 3:
        steps = shapes[0][0] * shapes[0][1]  # time and batch; axes 0 and 1 in both layouts
        return int(steps * (prod(shapes[1]) + prod(shapes[2])))
    return 0


def _integer(node: Any, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)
