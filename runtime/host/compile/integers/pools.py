# SPDX-License-Identifier: Apache-2.0
"""Means and average pools of quantized tensors."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, Dict, Final, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import fixed_point
from runtime.host.compile.integers.tensors import Quantized, Target, Tensors
from runtime.host.compile.integers.windows import window_counts
from runtime.host.compile.onnx_rewrite.parts import reshaped
from runtime.host.compile.onnx_rewrite.values import Node, Value, axis_of

MOST_ELEMENTS: Final = 1 << 20  # of a mean by division: 1025 divisors and two sums have 32 bits


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
    divisor = np.ones(1) if node.op == "ReduceSum" else np.full(1, count)
    kept = [1 if axis in axes else extent for axis, extent in enumerate(x.value.shape)]
    rescaling = _rescaling(tensors, x, target, count, divisor)
    if rescaling is None:
        return None
    multipliers, attributes = rescaling
    emit = tensors.emit
    answer = emit.own(
        operators.REDUCE,
        x.value,
        emit.constant(multipliers),
        dtype=target.dtype,
        shape=kept,
        axes=sorted(axes),
        **attributes,
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
    extents = window_counts(x.value.shape[2:], window, strides, steps, pads)
    counts = _counts(x, window, strides, steps, pads, extents)
    if attributes.get("count_include_pad", 0) or (counts == prod(window)).all():
        counts = np.array([prod(window)])
    if counts.min() == 0:
        return None
    rescaling = _rescaling(tensors, x, target, prod(window), counts)
    if rescaling is None:
        return None
    multipliers, fixed = rescaling
    emit = tensors.emit
    return emit.own(
        operators.POOL,
        x.value,
        emit.constant(multipliers.reshape(counts.shape)),
        dtype=target.dtype,
        shape=[*x.value.shape[:2], *extents],
        kernel_shape=window,
        strides=strides,
        dilations=steps,
        pads=pads,
        padding=int(x.zero_point),
        **fixed,
    )


def _rescaling(
    tensors: Tensors, x: Quantized, target: Target, count: int, divisors: Any
) -> Optional[Tuple[Any, Dict[str, Any]]]:
    """Return multipliers and attributes for sums of elements; None if there is no form.

    A mean of the same scale is divided: multiplied, it would be rounded the wrong way at each tie.

    Args:
        tensors: Finder of integers.
        x: Tensor that is summed.
        target: Output.
        count: Elements of a sum, with the padding.
        divisors: Number that each sum is divided by.
    """
    limits = {"lowest": target.limits[0], "highest": target.limits[1]}
    is_same = float(x.scale) == target.scale and int(x.zero_point) == target.zero_point
    bias = -count * int(x.zero_point)
    if is_same and (divisors == count).all() and count <= MOST_ELEMENTS:
        form = operators.AWAY if tensors.ties_away else operators.EVEN
        fixed = {"form": form, "bias": 0 if tensors.ties_away else bias, "zero_point": target.zero_point}
        return divisors.astype(np.int32), {**fixed, **limits}
    scales = float(x.scale) / target.scale / divisors.reshape(-1)
    bound = 2 * count * max(map(abs, x.limits))
    found = fixed_point(scales, bound, target.zero_point, target.limits)
    if found is None:
        return None
    return found.multipliers, {**found.attributes(), "bias": bias << found.before}


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
