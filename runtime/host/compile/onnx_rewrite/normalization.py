# SPDX-License-Identifier: Apache-2.0
"""Normalizations whose form or outputs TVM 0.27 reads only in part."""

from __future__ import annotations

from typing import Dict, Final, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import expanded, reduced, reshaped
from runtime.host.compile.onnx_rewrite.values import Empty, Item, Node, Value, axis_of


def _batch_normalization(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    if node.attributes.get("training_mode", 0):
        raise node.refusal("it is in training mode", "Export the model for inference.")
    if len(node.outputs) == 1:
        return None
    return [emit.keep("BatchNormalization", *node.inputs, **node.attributes), *[Empty()] * 4]


def _layer_normalization(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Give scale and bias the normalized shape, from whose rank the importer derives the axes.

    The importer returns a placeholder for the mean and the inverse deviation: these are computed here.
    """
    data = node.value(0)
    axis = axis_of(node, int(node.attributes.get("axis", -1)), data.rank)
    shape = data.shape[axis:]
    scale, bias = node.value(1), node.optional(2)
    is_inner = all(
        part is None or all(extent == 1 for extent in part.shape[: max(part.rank - len(shape), 0)])
        for part in (scale, bias)
    )
    if not node.wants(1) and not node.wants(2) and is_inner:
        fits = scale.shape == shape and (bias is None or bias.shape == shape)
        if fits and len(node.outputs) == 1:
            return None
        wide = [None if part is None else _widened(emit, part, shape) for part in (scale, bias)]
        answer = emit.keep("LayerNormalization", data, *wide, **node.attributes)
        results: List[Item] = [answer, Empty(), Empty()]
        return results[: len(node.outputs)]
    axes = list(range(axis, data.rank))
    mean = reduced(emit, "ReduceMean", data, axes)
    centered = emit.op("Sub", data, mean)
    variance = reduced(emit, "ReduceMean", emit.op("Mul", centered, centered), axes)
    epsilon = emit.like(node.attributes.get("epsilon", 1e-5), data)
    inverse = emit.op("Reciprocal", emit.op("Sqrt", emit.op("Add", variance, epsilon)))
    answer = emit.op("Mul", emit.op("Mul", centered, inverse), node.value(1))
    if node.has(2):
        answer = emit.op("Add", answer, node.value(2))
    return [answer, mean, inverse][: len(node.outputs)]


def _widened(emit: Emitter, part: Value, shape: Tuple[int, ...]) -> Value:
    """Return a scale or bias in the normalized shape; extents of 1 before it are left out."""
    return expanded(emit, reshaped(emit, part, part.shape[max(part.rank - len(shape), 0) :]), shape)


def _group_normalization(emit: Emitter, node: Node) -> Sequence[Item]:
    """Normalize groups as the channels of InstanceNormalization."""
    data, groups = node.value(0), int(node.attributes["num_groups"])
    batch, channels = data.shape[:2]
    rest = data.size // (batch * groups)
    ones, zeros = (emit.constant(np.full(groups, number, data.dtype)) for number in (1, 0))
    grouped = reshaped(emit, data, (batch, groups, rest))
    normal = emit.op("InstanceNormalization", grouped, ones, zeros, epsilon=node.attributes.get("epsilon"))
    answer = reshaped(emit, normal, data.shape)
    shape = (channels, *[1] * (data.rank - 2))
    scale, bias = (reshaped(emit, node.value(index), shape) for index in (1, 2))
    return [emit.op("Add", emit.op("Mul", answer, scale), bias)]


def _mean_variance(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    axes = [int(axis) for axis in node.attributes.get("axes", [0, 2, 3])]
    centered = emit.op("Sub", data, reduced(emit, "ReduceMean", data, axes))
    variance = reduced(emit, "ReduceMean", emit.op("Mul", centered, centered), axes)
    deviation = emit.op("Add", emit.op("Sqrt", variance), emit.like(1e-9, data))
    return [emit.op("Div", centered, deviation)]


def _rms_normalization(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    axis = axis_of(node, int(node.attributes.get("axis", -1)), data.rank)
    square = reduced(emit, "ReduceMean", emit.op("Mul", data, data), range(axis, data.rank))
    total = emit.op("Add", square, emit.like(node.attributes.get("epsilon", 1e-5), data))
    normal = emit.op("Mul", data, emit.op("Reciprocal", emit.op("Sqrt", total)))
    return [emit.op("Mul", normal, node.value(1))]


RULES: Final[Dict[str, Rule]] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _rms_normalization,
}
