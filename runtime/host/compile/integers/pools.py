# SPDX-License-Identifier: Apache-2.0
"""Means and average pools of quantized tensors."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, Final, List, Optional, Sequence

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import fixed_point
from runtime.host.compile.integers.tensors import Quantized, Target, Tensors
from runtime.host.compile.onnx_rewrite.parts import reshaped
from runtime.host.compile.onnx_rewrite.values import Node, Value, axis_of


def integer_mean(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the mean or the sum over axes."""
    x = tensors.of(node.value(0))
    if x is None or not x.is_bytes:
        return None
    rank = x.value.rank
    if node.op == "GlobalAveragePool":
        axes, keeps = list(range(2, rank)), True
    else:
        given = node.optional(1)
        numbers = np.zeros(0) if given is None else given.data
        if numbers is None:
            return None
        axes = [axis_of(node, int(axis), rank) for axis in np.ravel(numbers)]
        keeps = bool(node.attributes.get("keepdims", 1))
        if not axes:
            if node.attributes.get("noop_with_empty_axes", 0):
                return None
            axes = list(range(rank))
    count = prod(x.value.shape[axis] for axis in axes)
    part = 1 if node.op == "ReduceSum" else count
    kept = [1 if axis in axes else extent for axis, extent in enumerate(x.value.shape)]
    bias = -count * int(x.zero_point)
    found = fixed_point(
        float(x.scale) / target.scale / part,
        count * max(map(abs, x.limits)) + abs(bias),
        target.zero_point,
        target.limits,
    )
    if found is None:
        return None
    emit = tensors.emit
    answer = emit.own(
        operators.REDUCE,
        x.value,
        emit.constant(found.multipliers),
        dtype=target.dtype,
        shape=kept,
        axes=sorted(axes),
        bias=bias << found.before,
        **found.attributes(),
    )
    shape = [extent for axis, extent in enumerate(kept) if axis not in axes]
    return answer if keeps else reshaped(emit, answer, shape)


def integer_average_pool(tensors: Tensors, node: Node, target: Target) -> Optional[Value]:
    """Return the mean of windows. Padding counts as the zero point."""
    x = tensors.of(node.value(0))
    attributes = node.attributes
    if x is None or not x.is_bytes or attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    if attributes.get("ceil_mode", 0):
        return None
    window: List[int] = list(attributes["kernel_shape"])
    rank = len(window)
    strides, steps = (list(attributes.get(name, [1] * rank)) for name in ("strides", "dilations"))
    pads: List[int] = list(attributes.get("pads", [0] * 2 * rank))
    extents = [
        (x.value.shape[2 + at] + pads[at] + pads[rank + at] - steps[at] * (window[at] - 1) - 1) // strides[at]
        + 1
        for at in range(rank)
    ]
    counts = _counts(x, window, strides, steps, pads, extents)
    if attributes.get("count_include_pad", 0) or (counts == prod(window)).all():
        counts = np.array([prod(window)])
    if counts.min() == 0:
        return None
    found = fixed_point(
        float(x.scale) / target.scale / counts.reshape(-1),
        2 * prod(window) * max(map(abs, x.limits)),
        target.zero_point,
        target.limits,
    )
    if found is None:
        return None
    emit = tensors.emit
    return emit.own(
        operators.POOL,
        x.value,
        emit.constant(found.multipliers.reshape(counts.shape)),
        dtype=target.dtype,
        shape=[*x.value.shape[:2], *extents],
        kernel_shape=window,
        strides=strides,
        dilations=steps,
        pads=pads,
        zero_point=int(x.zero_point),
        bias=-prod(window) * int(x.zero_point) << found.before,
        **found.attributes(),
    )


def _counts(
    x: Quantized,
    window: Sequence[int],
    strides: Sequence[int],
    steps: Sequence[int],
    pads: Sequence[int],
    extents: Sequence[int],
) -> Any:
    """Return the number of elements that are not padding in each window."""
    each = [
        [
            sum(
                0 <= at * strides[axis] - pads[axis] + tap * steps[axis] < x.value.shape[2 + axis]
                for tap in range(window[axis])
            )
            for at in range(extents[axis])
        ]
        for axis in range(len(window))
    ]
    return np.array([prod(counts) for counts in product(*each)]).reshape(extents)


POOLS: Final = {
    "AveragePool": integer_average_pool,
    "GlobalAveragePool": integer_mean,
    "ReduceMean": integer_mean,
    "ReduceSum": integer_mean,
}
"""Operator -> function that returns its output as integers, or None."""
