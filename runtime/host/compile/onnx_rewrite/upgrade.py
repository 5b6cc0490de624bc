# SPDX-License-Identifier: Apache-2.0
"""Nodes of older and newer opsets in the form of the target opset.

Most operators only gained element types from opset to opset. This module has the ones whose attributes
became inputs, whose defaults changed, or whose meaning changed, by the change log of ONNX.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import TARGET, Node

OLDEST: Final = 7
"""Oldest opset. Before it, binary operators broadcast by attributes."""

_Step = Callable[[Emitter, Node], None]


def upgraded(emit: Emitter, node: Node) -> Node:
    """Return a node in the form of the target opset.

    A node of an operator that is newer than the target opset keeps its own opset.

    Raises:
        ModelError: The operator is unknown, or an attribute has no counterpart in the target opset.
    """
    from onnx import defs

    if node.domain not in ("", "ai.onnx"):
        raise node.refusal(f"it belongs to the domain {node.domain}")
    if node.opset < OLDEST:
        raise node.refusal(
            f"opset {node.opset} is too old", f"Export the model with opset {OLDEST} or newer."
        )
    try:
        schema = defs.get_schema(node.op, node.opset, "")
    except defs.SchemaError:
        raise node.refusal(f"opset {node.opset} of ONNX has no such operator") from None
    changed = Node(
        node.op,
        list(node.inputs),
        dict(node.attributes),
        list(node.outputs),
        node.name,
        node.opset,
        "",
        node.scope,
        node.body_opset,
    )
    if node.opset != TARGET:
        for last, operators, step in _STEPS:
            if node.opset < last and node.op in operators:
                step(emit, changed)
        changed.opset = _opset_of_form(changed.op)
    allowed = defs.get_schema(changed.op, changed.opset, "").attributes
    for name, value in list(changed.attributes.items()):
        if name in allowed or (changed.op, name) in _READ_BY_RULES:
            continue
        newer = schema.attributes.get(name)
        if newer is not None and _is_default(newer, value):
            del changed.attributes[name]
        else:
            raise node.refusal(f"attribute {name} of opset {node.opset} has no counterpart")
    return changed


def _opset_of_form(op: str) -> int:
    """Return the target opset, or the first opset of a newer operator."""
    from onnx import defs

    if defs.has(op, TARGET, ""):
        return TARGET
    return max(defs.get_schema(op, defs.onnx_opset_version(), "").since_version, TARGET)


def _is_default(attribute: Any, value: Any) -> bool:
    """Return whether a value is the default of an attribute."""
    from onnx import helper

    if not attribute.default_value.name:
        return False
    default = helper.get_attribute_value(attribute.default_value)
    return bool((default.decode() if isinstance(default, bytes) else default) == value)


def _to_input(name: str, index: int, dtype: Any = np.int64) -> _Step:
    """Return the step that turns an attribute into an input."""

    def step(emit: Emitter, node: Node) -> None:
        if name not in node.attributes:
            return
        while len(node.inputs) <= index:
            node.inputs.append(None)
        node.inputs[index] = emit.constant(np.array(node.attributes.pop(name), dtype))

    return step


def _default(name: str, value: Any) -> _Step:
    """Return the step that writes the older default of an attribute into the node."""

    def step(emit: Emitter, node: Node) -> None:
        node.attributes.setdefault(name, value)

    return step


def _clip(emit: Emitter, node: Node) -> None:
    for index, name in enumerate(("min", "max"), 1):
        if name in node.attributes:
            while len(node.inputs) <= index:
                node.inputs.append(None)
            node.inputs[index] = emit.like(node.attributes.pop(name), node.value(0))


def _slice(emit: Emitter, node: Node) -> None:
    starts, ends = node.attributes.pop("starts"), node.attributes.pop("ends")
    axes = node.attributes.pop("axes", list(range(len(starts))))
    node.inputs = [
        node.inputs[0],
        *(emit.constant(np.array(part, np.int64)) for part in (starts, ends, axes)),
    ]


def _pad(emit: Emitter, node: Node) -> None:
    pads = emit.constant(np.array(node.attributes.pop("pads"), np.int64))
    number = emit.like(node.attributes.pop("value", 0.0), node.value(0))
    node.inputs = [node.inputs[0], pads, number]


def _split(emit: Emitter, node: Node) -> None:
    if not node.has(1):
        node.attributes["num_outputs"] = len(node.outputs)


def _scatter(emit: Emitter, node: Node) -> None:
    node.op = "ScatterElements"


def _upsample(emit: Emitter, node: Node) -> None:
    """Opset 9 of Upsample: out[i] = in[floor(i / scale)] for nearest, asymmetric coordinates for linear."""
    node.op = "Resize"
    scales = node.inputs[1] if node.has(1) else None
    if scales is None:
        scales = emit.constant(np.array(node.attributes.pop("scales"), np.float32))
    node.inputs = [node.inputs[0], None, scales]
    node.attributes.setdefault("coordinate_transformation_mode", "asymmetric")
    node.attributes.setdefault("nearest_mode", "floor")


def _resize_of_opset_10(emit: Emitter, node: Node) -> None:
    if len(node.inputs) == 2:
        _upsample(emit, node)


def _flattening(emit: Emitter, node: Node) -> None:
    """Softmax before opset 13 works on a matrix: all dimensions from the axis on are one."""
    data = node.value(0)
    axis = node.attributes.get("axis", 1)
    axis = axis + data.rank if axis < 0 else axis
    if axis == data.rank - 1:
        node.attributes["axis"] = -1
        return
    outer = int(np.prod(data.shape[:axis], dtype=np.int64))
    matrix = emit.op("Reshape", data, emit.constant(np.array([outer, data.size // max(outer, 1)], np.int64)))
    answer = emit.op(node.op, matrix, axis=-1)
    node.op, node.attributes = "Reshape", {}
    node.inputs = [answer, emit.constant(np.array(data.shape, np.int64))]


def _batch_normalization(emit: Emitter, node: Node) -> None:
    if node.attributes.pop("spatial", 1) != 1:
        raise node.refusal("spatial=0 normalizes each position separately")
    if len([name for name in node.outputs if name]) > 1:
        raise node.refusal("it is in training mode", "Export the model for inference.")
    del node.outputs[1:]


def _grid_sample(emit: Emitter, node: Node) -> None:
    names = {"bilinear": "linear", "bicubic": "cubic"}
    mode = node.attributes.get("mode", "bilinear")
    node.attributes["mode"] = names.get(mode, mode)


def _dropout(emit: Emitter, node: Node) -> None:
    node.attributes.pop("ratio", None)


def _group_normalization(emit: Emitter, node: Node) -> None:
    """Opset 18 had scale and bias of one element per group; opset 21 has one per channel."""
    data, groups = node.value(0), int(node.attributes["num_groups"])
    repeats = data.shape[1] // groups
    for index in (1, 2):
        column = emit.op("Reshape", node.value(index), emit.constant(np.array([groups, 1], np.int64)))
        wide = emit.op("Expand", column, emit.constant(np.array([groups, repeats], np.int64)))
        node.inputs[index] = emit.op("Reshape", wide, emit.constant(np.array([data.shape[1]], np.int64)))


_REDUCTIONS: Final = tuple(
    f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
)
_STEPS: Final[List[Tuple[int, Tuple[str, ...], _Step]]] = [
    (10, ("Upsample",), _upsample),
    (9, ("BatchNormalization",), _batch_normalization),
    (10, ("Slice",), _slice),
    (10, ("TopK",), _to_input("k", 1)),
    (11, ("Pad",), _pad),
    (11, ("Clip",), _clip),
    (11, ("Resize",), _resize_of_opset_10),
    (11, ("Scatter",), _scatter),
    (12, ("Dropout",), _dropout),
    (13, ("Softmax", "LogSoftmax", "Hardmax"), _flattening),
    (13, ("Split",), _to_input("split", 1)),
    (13, ("Squeeze", "Unsqueeze", "ReduceSum"), _to_input("axes", 1)),
    (14, ("BatchNormalization",), _batch_normalization),
    (16, ("RoiAlign",), _default("coordinate_transformation_mode", "output_half_pixel")),
    (18, _REDUCTIONS, _to_input("axes", 1)),
    (18, ("Split",), _split),
    (20, ("GridSample",), _grid_sample),
    (20, ("DFT",), _default("axis", 1)),
    (20, ("DFT",), _to_input("axis", 2)),
    (21, ("GroupNormalization",), _group_normalization),
]
"""First opset with the newer form, operators, and the step to that form. Steps run in this order."""

_READ_BY_RULES: Final = frozenset([("SpaceToDepth", "mode")])
"""Operators and newer attributes that their rules understand."""

DEPRECATED: Final[Dict[str, str]] = {"Upsample": "Resize", "Scatter": "ScatterElements"}
"""Operators of older opsets, and the operator that this module turns them into."""
