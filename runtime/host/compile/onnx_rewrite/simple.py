# SPDX-License-Identifier: Apache-2.0
"""Operators that vanish: constants, shapes, identities and casts."""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import cast
from runtime.host.compile.onnx_rewrite.values import Empty, Item, Node


def _constant(emit: Emitter, node: Node) -> Sequence[Item]:
    from onnx import numpy_helper

    name, value = next(iter(node.attributes.items()))
    if name == "value":
        return [emit.constant(numpy_helper.to_array(value))]
    kinds: Dict[str, Any] = {
        "value_int": np.int64,
        "value_ints": np.int64,
        "value_float": np.float32,
        "value_floats": np.float32,
    }
    if name not in kinds:
        raise node.refusal(f"{name} has no tensor of numbers")
    return [emit.constant(np.array(value, dtype=kinds[name]))]


def _constant_of_shape(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Refuse the operator: it is computed if its shape is constant."""
    node.constant(0, "shape")
    raise node.refusal("its result is too large")


def _shape(emit: Emitter, node: Node) -> Sequence[Item]:
    shape = np.array(node.value(0).shape, dtype=np.int64)
    return [emit.constant(shape[node.attributes.get("start", 0) : node.attributes.get("end")])]


def _size(emit: Emitter, node: Node) -> Sequence[Item]:
    return [emit.constant(np.int64(node.value(0).size))]


def _identity(emit: Emitter, node: Node) -> Sequence[Item]:
    item = node.inputs[0]
    return [Empty() if item is None else item]


def _dropout(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    if node.has(2) and bool(node.constant(2, "training_mode").item()):
        raise node.refusal("it is in training mode", "Export the model for inference.")
    return [data, emit.constant(np.ones(data.shape, bool))][: len(node.outputs)]


def _cast(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    from onnx import helper

    if node.value(0).dtype == np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["to"])):
        return [node.value(0)]
    return None


def _cast_like(emit: Emitter, node: Node) -> Sequence[Item]:
    return [cast(emit, node.value(0), node.value(1).dtype)]


def _compress(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    chosen = np.flatnonzero(node.constant(1, "condition"))
    axis = node.attributes.get("axis")
    if axis is None:
        data, axis = emit.op("Reshape", data, emit.constant(np.array([-1], np.int64))), 0
    return [emit.op("Gather", data, emit.constant(chosen.astype(np.int64)), axis=axis)]


def _eye_like(emit: Emitter, node: Node) -> Sequence[Item]:
    from onnx import helper

    data = node.value(0)
    dtype = data.dtype
    if "dtype" in node.attributes:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["dtype"]))
    return [emit.constant(np.eye(data.shape[0], data.shape[1], k=node.attributes.get("k", 0), dtype=dtype))]


RULES: Final[Dict[str, Rule]] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Compress": _compress,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Dropout": _dropout,
    "EyeLike": _eye_like,
    "Identity": _identity,
    "Shape": _shape,
    "Size": _size,
}
