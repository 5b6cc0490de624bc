# SPDX-License-Identifier: Apache-2.0
"""Operators of an ONNX model: shapes, types, multiply-accumulate operations and parameters."""

from __future__ import annotations

from math import prod
from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import TensorProto

Type = Tuple[str, Tuple[int, ...]]
NO_TYPE: Final[Type] = ("", ())


class Operator(NamedTuple):
    """One operator.

    Attributes:
        operator: Name of the operator in ONNX.
        name: Name of the node in the model, or of its first output.
        inputs: "dtype AxBxC" of each input, constants included.
        outputs: The same of each output.
        macs: Multiply-accumulate operations; 0 for operators without them.
        parameters: Elements of its constants.
    """

    operator: str
    name: str
    inputs: List[str]
    outputs: List[str]
    macs: int
    parameters: int


def operators_of(model: onnx.ModelProto) -> List[Operator]:
    """Return the operators of a model with static shapes, in order."""
    types = _types(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        inputs = [types.get(name, NO_TYPE) for name in node.input if name]
        outputs = [types.get(name, NO_TYPE) for name in node.output if name]
        found.append(
            Operator(
                node.op_type,
                node.name or next(iter(node.output), ""),
                [_described(kind) for kind in inputs],
                [_described(kind) for kind in outputs],
                _macs(node, inputs, outputs),
                sum(prod(types.get(name, NO_TYPE)[1]) for name in set(node.input) & constants),
            )
        )
    return found


def parameters_of(model: onnx.ModelProto) -> int:
    """Return the number of elements of all constants."""
    return sum(prod(tensor.dims) for tensor in model.graph.initializer)


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
    return f"{kind[0]} {'x'.join(map(str, kind[1])) or 'scalar'}".strip()


def _macs(node: Any, inputs: List[Type], outputs: List[Type]) -> int:
    """Return the multiply-accumulate operations of a node."""
    if not outputs or len(inputs) < 2:
        return 0
    made, weights = prod(outputs[0][1]), inputs[1][1]
    if node.op_type == "Conv":
        return made * prod(weights[1:])
    if node.op_type == "ConvTranspose":
        return prod(inputs[0][1]) * prod(weights[1:])
    if node.op_type == "Gemm":
        is_transposed = _integer(node, "transA")
        return made * int(inputs[0][1][0 if is_transposed else 1])
    if node.op_type == "MatMul" and inputs[0][1]:
        return made * int(inputs[0][1][-1])
    return 0


def _integer(node: Any, name: str) -> Optional[int]:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), None)
