# SPDX-License-Identifier: Apache-2.0
"""Operators on elements that TVM 0.27 lacks, or reads with other rules than ONNX.

Max and Min of several inputs are stacked by the importer, which costs a copy of all inputs.
"""

from __future__ import annotations

import functools
from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import cast, expanded, ints, reduced, reshaped, sliced
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value, axis_of

MOST_FACTORS: Final = 4  # integer exponents up to here are products; pow is slow on a microcontroller


def _larger(emit: Emitter, op: str, first: Value, second: Value) -> Value:
    """Return the larger or the smaller of two values; NaN if one of them is NaN."""
    chosen = emit.op("Greater" if op == "Max" else "Less", second, first)
    if first.is_float and not (second.data is not None and not np.isnan(second.data).any()):
        chosen = emit.op("Or", chosen, emit.op("IsNaN", second))
    return emit.op("Where", chosen, second, first)


def _extreme(emit: Emitter, node: Node) -> Sequence[Item]:
    return [functools.reduce(lambda a, b: _larger(emit, node.op, a, b), node.values())]


def _sum(emit: Emitter, node: Node) -> Sequence[Item]:
    return [functools.reduce(lambda a, b: emit.op("Add", a, b), node.values())]


def _mean(emit: Emitter, node: Node) -> Sequence[Item]:
    total = emit.op("Sum", *node.values())
    return [emit.op("Div", total, emit.like(len(node.inputs), total))]


def _pow(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    base, exponent = node.value(0), node.value(1)
    power = exponent.data.item() if exponent.data is not None and exponent.size == 1 else None
    fits = exponent.rank <= base.rank
    if power is not None and fits:
        if power == int(power) and 1 <= power <= MOST_FACTORS:
            return [functools.reduce(lambda a, b: emit.op("Mul", a, b), [base] * int(power))]
        if power == 0.5 and base.is_float:
            return [emit.op("Sqrt", base)]
    if base.is_float:
        return (
            None if exponent.dtype == base.dtype else [emit.op("Pow", base, cast(emit, exponent, base.dtype))]
        )
    if base.dtype.itemsize > 4:
        raise node.refusal(f"base of {base.dtype} and exponent {power}", "Use float32 or int32.")
    # Doubles hold all products of 32-bit integers that are in range.
    wide = emit.keep("Pow", cast(emit, base, np.float64), cast(emit, exponent, np.float64))
    return [cast(emit, wide, base.dtype)]


def _mod(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    if node.value(0).is_float and not node.attributes.get("fmod", 0):
        raise node.refusal("ONNX defines it for floating-point numbers with fmod=1 only", "Set fmod=1.")
    return None


def _is_inf(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    data = node.value(0)
    signs = {"detect_positive": np.inf, "detect_negative": -np.inf}
    wanted = [infinity for name, infinity in signs.items() if node.attributes.get(name, 1)]
    if not wanted:
        return [emit.constant(np.zeros(data.shape, bool))]
    parts = [emit.op("Equal", data, emit.like(infinity, data)) for infinity in wanted]
    return [functools.reduce(lambda a, b: emit.op("Or", a, b), parts)]


def _trilu(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    offset = int(node.constant(1, "k").item()) if node.has(1) else 0
    ones = np.ones(data.shape[-2:], bool)
    mask = np.triu(ones, offset) if node.attributes.get("upper", 1) else np.tril(ones, offset)
    return [emit.op("Where", emit.constant(mask), data, emit.like(0, data))]


def _one_hot(emit: Emitter, node: Node) -> Sequence[Item]:
    indices, values = node.value(0), node.value(2)
    depth = int(node.constant(1, "depth").item())
    axis = axis_of(node, int(node.attributes.get("axis", -1)), indices.rank + 1)
    if indices.dtype not in (np.dtype(np.int32), np.dtype(np.int64)):
        indices = cast(emit, indices, np.int64)
    wrapped = _wrapped(emit, indices, depth)
    wide = reshaped(emit, wrapped, (*indices.shape[:axis], 1, *indices.shape[axis:]))
    numbers = np.arange(depth, dtype=indices.dtype)
    chosen = emit.op(
        "Equal",
        wide,
        emit.constant(numbers.reshape([-1 if index == axis else 1 for index in range(indices.rank + 1)])),
    )
    off, on = (reshaped(emit, sliced(emit, values, 0, index, index + 1), ()) for index in (0, 1))
    return [emit.op("Where", chosen, on, off)]


def _wrapped(emit: Emitter, indices: Value, extent: Any) -> Value:
    """Return indices with the extent added to negative ones."""
    if indices.data is not None:
        return emit.constant(np.where(indices.data < 0, indices.data + extent, indices.data), indices.dtype)
    total = emit.op("Add", indices, emit.constant(np.asarray(extent, indices.dtype)))
    return emit.op("Where", emit.op("Less", indices, emit.like(0, indices)), total, indices)


def _indices(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Write indices that lie in the tensor: the importer does not limit them, and wraps only some.

    A constant index outside of its axis is refused. One of run time counts as the nearest index, as a
    kernel must not read or write outside of the tensor.
    """
    data, indices = node.value(0), node.value(1)
    if node.op.endswith("ND"):
        first = int(node.attributes.get("batch_dims", 0))
        extent: Any = np.array(data.shape[first : first + indices.shape[-1]])
    else:
        extent = np.asarray(data.shape[axis_of(node, int(node.attributes.get("axis", 0)), data.rank)])
    if indices.data is None:
        inside = _wrapped(emit, _limited(emit, indices, -extent, extent - 1), extent)
    elif ((indices.data < -extent) | (indices.data >= extent)).any():
        raise node.refusal("a constant index is outside of its axis", "Correct the index.")
    elif (indices.data < 0).any():
        inside = _wrapped(emit, indices, extent)
    else:
        return None
    return [emit.keep(node.op, data, inside, *node.inputs[2:], **node.attributes)]


def _limited(emit: Emitter, value: Value, least: Any, most: Any) -> Value:
    """Return a value with limits: two numbers, or two lists with limits of each element of the last axis."""
    if np.size(least) == 1:
        lower, upper = (emit.constant(np.asarray(limit, value.dtype).reshape(())) for limit in (least, most))
        return emit.keep("Clip", value, lower, upper)
    parts = [
        _limited(emit, sliced(emit, value, -1, index, index + 1), *limits)
        for index, limits in enumerate(zip(least, most))
    ]
    return emit.op("Concat", *parts, axis=value.rank - 1)


def _space_to_depth(emit: Emitter, node: Node) -> Sequence[Item]:
    data, block = node.value(0), int(node.attributes["blocksize"])
    batch, channels, height, width = data.shape
    split = reshaped(emit, data, (batch, channels, height // block, block, width // block, block))
    perm = [0, 1, 3, 5, 2, 4] if node.attributes.get("mode", "DCR") == "CRD" else [0, 3, 5, 1, 2, 4]
    moved = emit.op("Transpose", split, perm=perm)
    return [reshaped(emit, moved, (batch, channels * block * block, height // block, width // block))]


def _concat(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Leave out empty inputs."""
    values = [value for value in node.values() if value.size]
    if len(values) == len(node.inputs):
        return None if len(values) > 1 else [values[0]]
    if len(values) <= 1:
        return [values[0] if values else node.value(0)]
    return [emit.op("Concat", *values, axis=node.attributes["axis"])]


def _cum_prod(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    axis = axis_of(node, int(node.constant(1, "axis").item()), data.rank)
    steps = range(data.shape[axis])
    order = list(reversed(steps)) if node.attributes.get("reverse", 0) else list(steps)
    rows = {step: sliced(emit, data, axis, step, step + 1) for step in steps}
    product = emit.constant(np.ones(rows[0].shape, data.dtype))
    for step in order:
        after = emit.op("Mul", product, rows[step])
        rows[step] = product if node.attributes.get("exclusive", 0) else after
        product = after
    return [emit.op("Concat", *(rows[step] for step in steps), axis=axis)]


def _reduce_bool(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Reduce uint8 in place of bool, for which TVM has no smallest number."""
    data = node.value(0)
    if data.dtype != np.dtype(bool):
        return _reduce(emit, node)
    answer = emit.op(node.op, cast(emit, data, np.uint8), *node.inputs[1:], **node.attributes)
    return [cast(emit, answer, np.bool_)]


def _reduce(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    axes = [int(axis) for axis in node.constant(1, "axes")] if node.has(1) else []
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        if node.op in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"):
            return [node.value(0)]
        raise node.refusal("noop_with_empty_axes has two meanings for it in versions of ONNX")
    return None


def _position(emit: Emitter, node: Node) -> Sequence[Item]:
    """Limit the index: TVM's is -1, or the extent, where no element differs from the least of the type."""
    data = node.value(0)
    extent = data.shape[axis_of(node, int(node.attributes.get("axis", 0)), data.rank)]
    found = emit.keep(node.op, data, **node.attributes)
    if node.attributes.get("select_last_index", 0):
        return [emit.op("Min", found, emit.like(extent - 1, found))]
    return [emit.op("Max", found, emit.like(0, found))]


def _lp_normalization(emit: Emitter, node: Node) -> Sequence[Item]:
    """Divide by the norm; 0 where the norm is 0."""
    data = node.value(0)
    axis = axis_of(node, int(node.attributes.get("axis", -1)), data.rank)
    op = "ReduceL1" if int(node.attributes.get("p", 2)) == 1 else "ReduceL2"
    norm = reduced(emit, op, data, [axis])
    zero, one = emit.like(0, data), emit.like(1, data)
    is_zero = emit.op("Equal", norm, zero)
    return [emit.op("Where", is_zero, zero, emit.op("Div", data, emit.op("Where", is_zero, one, norm)))]


def _cum_sum(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    node.constant(1, "axis")
    return None


def _grid_sample(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    if node.value(0).rank != 4 and node.attributes.get("mode", "linear") == "cubic":
        raise node.refusal("mode cubic needs two spatial axes", "Use mode linear or nearest.")
    if node.value(0).rank not in (4, 5):
        raise node.refusal("it has neither two nor three spatial axes")
    return None


def _affine_grid(emit: Emitter, node: Node) -> Sequence[Item]:
    """Multiply the constant grid of positions by the matrices theta."""
    theta = node.value(0)
    extents = [int(extent) for extent in node.constant(1, "size")][2:]
    lines = []
    for extent in extents:
        if node.attributes.get("align_corners", 0):
            lines.append(np.linspace(-1, 1, extent) if extent > 1 else np.zeros(1))
        else:
            lines.append((2 * np.arange(extent) + 1) / extent - 1)
    mesh = np.meshgrid(*lines, indexing="ij")
    places = np.stack([*reversed(mesh), np.ones_like(mesh[0])], axis=-1).reshape(-1, len(extents) + 1)
    grid = emit.constant(places.astype(theta.dtype))
    answer = emit.op("MatMul", grid, emit.op("Transpose", theta, perm=[0, 2, 1]))
    return [reshaped(emit, answer, (theta.shape[0], *extents, len(extents)))]


def _expand(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    data = node.value(0)
    shape = np.broadcast_shapes(data.shape, tuple(int(extent) for extent in node.constant(1, "shape")))
    if shape == data.shape:
        return [data]
    return [emit.keep("Expand", data, ints(emit, shape))]


def _roi_align(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Scale the regions here: the importer moves them by half a pixel before it scales them."""
    if node.attributes.get("mode", "avg") != "avg":
        raise node.refusal("TVM 0.27 computes mode max with other samples", "Use mode avg.")
    data, rois, images = node.values()
    scale = float(node.attributes.get("spatial_scale", 1.0))
    scaled = rois if scale == 1.0 else emit.op("Mul", rois, emit.like(scale, rois))
    attributes = {**node.attributes, "spatial_scale": 1.0}
    inside = _limited(emit, images, 0, data.shape[0] - 1)
    return [emit.keep("RoiAlign", data, scaled, inside, **attributes)]


def _equal(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Find rows of minus infinity, as Attention does, without ReduceMax: it starts with the least float32."""
    maximum, limit = node.value(0), node.value(1)
    producer = emit.producer(maximum)
    if producer is None or producer.op != "ReduceMax" or limit.data is None:
        return None
    if not limit.is_float or not np.isneginf(limit.data).all() or limit.size != 1:
        return None
    is_low = cast(emit, emit.op("Equal", producer.value(0), limit), np.uint8)
    return [cast(emit, emit.op("ReduceMin", is_low, *producer.inputs[1:], **producer.attributes), np.bool_)]


def _p_relu(emit: Emitter, node: Node) -> Sequence[Item]:
    data, slope = node.value(0), expanded(emit, node.value(1), node.value(1).shape)
    negative = emit.op("Less", data, emit.like(0, data))
    return [emit.op("Where", negative, emit.op("Mul", data, slope), data)]


RULES: Final[Dict[str, Rule]] = {
    "AffineGrid": _affine_grid,
    **dict.fromkeys(["ArgMax", "ArgMin"], _position),
    "Concat": _concat,
    "CumProd": _cum_prod,
    "CumSum": _cum_sum,
    "Equal": _equal,
    "Expand": _expand,
    "Gather": _indices,
    "GatherElements": _indices,
    "GatherND": _indices,
    "GridSample": _grid_sample,
    "IsInf": _is_inf,
    "LpNormalization": _lp_normalization,
    "Max": _extreme,
    "Mean": _mean,
    "Min": _extreme,
    "Mod": _mod,
    "OneHot": _one_hot,
    "PRelu": _p_relu,
    "Pow": _pow,
    **dict.fromkeys(["ReduceMax", "ReduceMin"], _reduce_bool),
    **dict.fromkeys(
        [f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Mean", "Prod", "Sum", "SumSquare")],
        _reduce,
    ),
    "RoiAlign": _roi_align,
    "ScatterElements": _indices,
    "ScatterND": _indices,
    "SpaceToDepth": _space_to_depth,
    "Sum": _sum,
    "Trilu": _trilu,
}
