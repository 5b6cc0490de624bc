# SPDX-License-Identifier: Apache-2.0
"""Convolutions and pools with explicit pads, and pools in terms of simpler ones.

TVM 0.27 derives pads from auto_pad with other formulas than ONNX for some sizes, ignores output_shape of
ConvTranspose, and divides partial windows of LpPool by their size.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, NamedTuple, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import ints, reshaped
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value

_POOLS: Final = ("AveragePool", "MaxPool", "LpPool")


class _Window(NamedTuple):
    """Geometry of the windows of a convolution or pool; one entry for each spatial axis.

    Attributes:
        kernel: Extents of the kernel.
        strides: Distances of windows.
        dilations: Distances of the elements of a window.
        before: Pads before the first element.
        after: Pads after the last element, as the model has them.
        extended: Pads after the last element that cover the last window of ceil_mode.
        counts: Numbers of windows.
    """

    kernel: List[int]
    strides: List[int]
    dilations: List[int]
    before: List[int]
    after: List[int]
    extended: List[int]
    counts: List[int]


def _window(node: Node, kernel: Sequence[int]) -> _Window:
    """Return the geometry of a node: the formulas of ONNX's operators Conv and AveragePool."""
    extents = node.value(0).shape[2:]
    count = len(extents)
    strides = [int(stride) for stride in node.attributes.get("strides") or [1] * count]
    dilations = [int(dilation) for dilation in node.attributes.get("dilations") or [1] * count]
    pads = [int(pad) for pad in node.attributes.get("pads") or [0] * (2 * count)]
    auto = node.attributes.get("auto_pad", "NOTSET")
    ceil = node.attributes.get("ceil_mode", 0)
    window = _Window(list(kernel), strides, dilations, pads[:count], pads[count:], [], [])
    for axis, extent in enumerate(extents):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = (-(-extent // strides[axis]) - 1) * strides[axis] + reach - extent
            if node.op in _POOLS and (total < 0 or dilations[axis] != 1):
                # onnxruntime 1.32 and ONNX's reference evaluator return different shapes or values.
                raise node.refusal(
                    f"auto_pad={auto} has no agreed meaning with dilations or with strides beyond the kernel",
                    "Set pads in place of auto_pad.",
                )
            total = max(total, 0)
            smaller, larger = total // 2, total - total // 2
            window.before[axis] = smaller if auto == "SAME_UPPER" else larger
            window.after[axis] = total - window.before[axis]
        elif auto == "VALID":
            window.before[axis] = window.after[axis] = 0
        space = extent + window.before[axis] + window.after[axis] - reach
        windows = space // strides[axis] + 1
        is_partial = ceil and auto == "NOTSET" and space % strides[axis] != 0
        # A window that begins in the pads after the last element does not count.
        if is_partial and windows * strides[axis] < extent + window.before[axis]:
            windows += 1
        window.counts.append(windows)
        needed = (windows - 1) * strides[axis] + reach - extent - window.before[axis]
        window.extended.append(max(needed, window.after[axis]) if ceil else window.after[axis])
    return window


def _attributes(node: Node, window: _Window, **changes: Any) -> Dict[str, Any]:
    """Return the attributes of a node with explicit pads."""
    attributes = {
        name: value for name, value in node.attributes.items() if name not in ("auto_pad", "ceil_mode")
    }
    return {**attributes, "pads": [*window.before, *window.extended], **changes}


def _conv(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    if node.attributes.get("auto_pad", "NOTSET") == "NOTSET":
        return None
    window = _window(node, node.value(1).shape[2:])
    return [emit.keep(node.op, *node.inputs, **_attributes(node, window))]


def _conv_transpose(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    auto, shape = node.attributes.get("auto_pad", "NOTSET"), node.attributes.get("output_shape")
    if auto == "NOTSET" and not shape:
        return None
    data, kernel = node.value(0), node.value(1).shape[2:]
    count = len(kernel)
    strides = node.attributes.get("strides") or [1] * count
    dilations = node.attributes.get("dilations") or [1] * count
    extra = [int(extent) for extent in node.attributes.get("output_padding") or [0] * count]
    before, after = [0] * count, [0] * count
    for axis in range(count):
        extent = data.shape[2 + axis]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        whole = strides[axis] * (extent - 1) + extra[axis] + reach
        if auto == "VALID" and not shape:
            continue
        total = whole - (shape[axis - count] if shape else extent * strides[axis])
        if total < 0:
            extra[axis] -= total
            total = 0
        before[axis] = total // 2 if auto == "SAME_UPPER" else total - total // 2
        after[axis] = total - before[axis]
    attributes = {
        name: value for name, value in node.attributes.items() if name not in ("auto_pad", "output_shape")
    }
    attributes.update(pads=[*before, *after], output_padding=extra)
    return [emit.keep("ConvTranspose", *node.inputs, **attributes)]


def _max_pool(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    if node.wants(1):
        raise node.refusal("the output Indices has no counterpart", "Use the first output only.")
    is_plain = node.attributes.get("auto_pad", "NOTSET") == "NOTSET" and not node.attributes.get(
        "ceil_mode", 0
    )
    if is_plain and len(node.outputs) == 1:
        return None
    window = _window(node, node.attributes["kernel_shape"])
    return [emit.keep("MaxPool", node.value(0), **_attributes(node, window, storage_order=None))]


def _average_pool(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Divide by the number of elements that ONNX counts, where windows differ in it."""
    data = node.value(0)
    window = _window(node, node.attributes["kernel_shape"])
    is_dilated = any(dilation != 1 for dilation in window.dilations)
    if window.extended == window.after and not is_dilated:
        if node.attributes.get("auto_pad", "NOTSET") == "NOTSET" and not node.attributes.get("ceil_mode", 0):
            return None
        return [emit.keep("AveragePool", data, **_attributes(node, window))]
    mean = _padded_mean(emit, data, window)
    factor = np.ones((1, 1, *window.counts), np.float64)
    for axis in range(len(window.counts)):
        counts = _counts(node, window, axis, data.shape[2 + axis])
        column = window.kernel[axis] / counts
        factor = factor * column.reshape([-1 if index == axis else 1 for index in range(len(window.counts))])
    return [emit.op("Mul", mean, emit.constant(factor.astype(data.dtype)))]


def _counts(node: Node, window: _Window, axis: int, extent: int) -> Any:
    """Return how many elements of each window along an axis count: those of the data, or also the pads."""
    starts = np.arange(window.counts[axis]) * window.strides[axis] - window.before[axis]
    places = starts[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
    if node.attributes.get("count_include_pad", 0):
        counted = (places >= -window.before[axis]) & (places < extent + window.after[axis])
    else:
        counted = (places >= 0) & (places < extent)
    return np.maximum(counted.sum(axis=1), 1)


def _padded_mean(emit: Emitter, data: Value, window: _Window) -> Value:
    """Return the mean of all elements of windows over data with zeros around it."""
    pads = [0, 0, *window.before, 0, 0, *window.extended]
    padded = emit.op("Pad", data, ints(emit, pads), emit.like(0, data)) if any(pads) else data
    if any(dilation != 1 for dilation in window.dilations):
        return _dilated_mean(emit, padded, window)
    return emit.keep("AveragePool", padded, kernel_shape=window.kernel, strides=window.strides)


def _dilated_mean(emit: Emitter, data: Value, window: _Window) -> Value:
    """Return the mean of dilated windows: a depthwise convolution with equal weights."""
    batch, channels = data.shape[:2]
    size = int(np.prod(window.kernel))
    weights = emit.constant(np.full((1, 1, *window.kernel), 1 / size, data.dtype))
    single = reshaped(emit, data, (batch * channels, 1, *data.shape[2:]))
    mean = emit.op("Conv", single, weights, strides=window.strides, dilations=window.dilations)
    return reshaped(emit, mean, (batch, channels, *mean.shape[2:]))


def _lp_pool(emit: Emitter, node: Node) -> Sequence[Item]:
    data, power = node.value(0), int(node.attributes.get("p", 2))
    window = _window(node, node.attributes["kernel_shape"])
    raised = _raised(emit, data, power)
    mean = _padded_mean(emit, raised, window)
    total = emit.op("Mul", mean, emit.like(float(np.prod(window.kernel)), mean))
    return [_root(emit, total, power)]


def _global_lp_pool(emit: Emitter, node: Node) -> Sequence[Item]:
    data, power = node.value(0), int(node.attributes.get("p", 2))
    axes = ints(emit, range(2, data.rank))
    total = emit.op("ReduceSum", _raised(emit, data, power), axes, keepdims=1)
    return [_root(emit, total, power)]


def _raised(emit: Emitter, value: Value, power: int) -> Value:
    """Return |value| ** power for a positive integer."""
    if power == 2:
        return emit.op("Mul", value, value)
    base = emit.op("Abs", value)
    return base if power == 1 else emit.op("Pow", base, emit.like(power, base))


def _root(emit: Emitter, value: Value, power: int) -> Value:
    """Return value ** (1 / power)."""
    if power == 1:
        return value
    return emit.op("Sqrt", value) if power == 2 else emit.op("Pow", value, emit.like(1 / power, value))


def _lrn(emit: Emitter, node: Node) -> Sequence[Item]:
    """Average the squares over neighbouring channels: one more after a channel than before, if even."""
    data, size = node.value(0), int(node.attributes["size"])
    alpha, beta = node.attributes.get("alpha", 1e-4), node.attributes.get("beta", 0.75)
    batch, channels = data.shape[:2]
    rest = int(np.prod(data.shape[2:], dtype=np.int64))
    squares = reshaped(emit, emit.op("Mul", data, data), (batch, 1, channels, rest))
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    padded = emit.op("Pad", squares, ints(emit, [0, 0, before, 0, 0, 0, after, 0]), emit.like(0, data))
    mean = emit.keep("AveragePool", padded, kernel_shape=[size, 1], strides=[1, 1])
    scaled = emit.op("Mul", reshaped(emit, mean, data.shape), emit.like(alpha, data))
    base = emit.op("Add", scaled, emit.like(node.attributes.get("bias", 1.0), data))
    return [emit.op("Div", data, emit.op("Pow", base, emit.like(beta, base)))]


def _pad(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Write all axes and the value as constants; cut negative pads off with Slice."""
    data = node.value(0)
    pads = [int(pad) for pad in node.constant(1, "pads")]
    if node.has(2):
        node.constant(2, "constant_value")
    axes = [int(axis) % data.rank for axis in node.constant(3, "axes")] if node.has(3) else range(data.rank)
    before, after = [0] * data.rank, [0] * data.rank
    for index, axis in enumerate(axes):
        before[axis], after[axis] = pads[index], pads[len(pads) // 2 + index]
    if min([*before, *after], default=0) < 0:
        starts = [max(-pad, 0) for pad in before]
        ends = [extent - max(-pad, 0) for extent, pad in zip(data.shape, after)]
        data = emit.op("Slice", data, ints(emit, starts), ints(emit, ends), ints(emit, range(data.rank)))
        before, after = [max(pad, 0) for pad in before], [max(pad, 0) for pad in after]
    if not any([*before, *after]):
        return [data]
    value = None
    if node.attributes.get("mode", "constant") == "constant":
        value = node.optional(2) or emit.like(0, data)
    whole = ints(emit, [*before, *after])
    return [emit.keep("Pad", data, whole, value, mode=node.attributes.get("mode", "constant"))]


RULES: Final[Dict[str, Rule]] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalLpPool": _global_lp_pool,
    "LRN": _lrn,
    "LpPool": _lp_pool,
    "MaxPool": _max_pool,
    "Pad": _pad,
}
