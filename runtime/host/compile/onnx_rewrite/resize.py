# SPDX-License-Identifier: Apache-2.0
"""Resize with constant sizes: each axis is a weighted sum of a few gathered rows.

Coordinates and weights follow the operator Resize of ONNX, opset 19. They are computed here in double
precision, so that no generated code computes coordinates.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import along, gathered
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value, axis_of

MOST_TAPS: Final = 4
"""Most rows that are gathered and added for an axis; with more, a matrix product is smaller."""


class _Axis(NamedTuple):
    """Change of one axis.

    Attributes:
        axis: Number of the axis.
        old: Extent before.
        new: Extent after.
        scale: Factor of the coordinates.
        roi: Start and end of the region, for tf_crop_and_resize.
    """

    axis: int
    old: int
    new: int
    scale: float
    roi: Tuple[float, float]


def _resize(emit: Emitter, node: Node) -> Sequence[Item]:
    value = node.value(0)
    mode = node.attributes.get("mode", "nearest")
    if mode != "nearest" and not value.is_float:
        raise node.refusal(f"mode {mode} of element type {value.dtype}", "Use mode nearest or float32.")
    outside: List[Tuple[int, Any]] = []
    for axis in _axes(node, value):
        places = _coordinates(node, axis)
        if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
            beyond = (places < 0) | (places > axis.old - 1)
            if beyond.any():
                outside.append((axis.axis, beyond))
        if mode == "nearest":
            value = gathered(emit, value, _nearest(node, places, axis.old), axis.axis)
        elif mode in ("linear", "cubic"):
            value = _weighted(emit, value, axis.axis, _weights(node, places, axis))
        else:
            raise node.refusal(f"mode {mode} is not part of ONNX")
    for number, beyond in outside:
        mask = emit.constant(beyond.reshape([-1 if i == number else 1 for i in range(value.rank)]))
        value = emit.op(
            "Where", mask, emit.like(node.attributes.get("extrapolation_value", 0.0), value), value
        )
    return [value]


def resize_matrices(node: Node) -> Optional[Dict[int, Any]]:
    """Return axis -> weights of shape (new, old) of a Resize; None for one that copies or has a region."""
    mode = node.attributes.get("mode", "nearest")
    if mode not in ("linear", "cubic"):
        return None
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return None
    axes = _axes(node, node.value(0))
    return {axis.axis: _weights(node, _coordinates(node, axis), axis) for axis in axes}


def _axes(node: Node, value: Value) -> List[_Axis]:
    """Return the axes that change."""
    chosen = node.attributes.get("axes") or list(range(value.rank))
    numbers = [axis_of(node, int(axis), value.rank) for axis in chosen]
    roi = np.asarray(node.constant(1, "roi"), np.float64) if node.has(1) else np.zeros(0)
    if node.has(3) and node.value(3).size:
        sizes = [int(size) for size in node.constant(3, "sizes")]
        ratios = [size / value.shape[axis] for size, axis in zip(sizes, numbers)]
        policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            ratios = [ratio] * len(ratios)
            sizes = [math.floor(ratio * value.shape[axis] + 0.5) for axis in numbers]
    else:
        ratios = [float(scale) for scale in node.constant(2, "scales")]
        sizes = [math.floor(value.shape[axis] * ratio) for ratio, axis in zip(ratios, numbers)]
    found = []
    for index, axis in enumerate(numbers):
        region = (0.0, 1.0)
        if roi.size == 2 * len(numbers):
            region = (float(roi[index]), float(roi[len(numbers) + index]))
        is_cropped = node.attributes.get(
            "coordinate_transformation_mode"
        ) == "tf_crop_and_resize" and region != (0.0, 1.0)
        if sizes[index] != value.shape[axis] or ratios[index] != 1.0 or is_cropped:
            found.append(_Axis(axis, value.shape[axis], sizes[index], ratios[index], region))
    return found


def _coordinates(node: Node, axis: _Axis) -> Any:
    """Return the place in the old axis of each element of the new one."""
    new = np.arange(axis.new, dtype=np.float64)
    old, scale = axis.old, axis.scale
    length = scale * old  # of the new axis before it is rounded down
    mode = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    half = (new + 0.5) / scale - 0.5
    if mode == "half_pixel":
        return half
    if mode == "pytorch_half_pixel":
        return half if axis.new > 1 else np.zeros(axis.new)
    if mode == "align_corners":
        return new * (old - 1) / (length - 1) if length != 1 else np.zeros(axis.new)
    if mode == "asymmetric":
        return new / scale
    if mode == "half_pixel_symmetric":
        adjustment = axis.new / length
        return old / 2 * (1 - adjustment) + half
    if mode == "tf_crop_and_resize":
        start, end = axis.roi
        if axis.new == 1:
            return np.full(1, 0.5 * (start + end) * (old - 1))
        return start * (old - 1) + new * (end - start) * (old - 1) / (axis.new - 1)
    raise node.refusal(f"coordinate_transformation_mode {mode} is not part of ONNX")


def _nearest(node: Node, places: Any, old: int) -> List[int]:
    """Return the nearest element of each place."""
    rounding: Dict[str, Callable[[Any], Any]] = {
        "round_prefer_floor": lambda place: np.ceil(place - 0.5),
        "round_prefer_ceil": lambda place: np.floor(place + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    mode = node.attributes.get("nearest_mode", "round_prefer_floor")
    if mode not in rounding:
        raise node.refusal(f"nearest_mode {mode} is not part of ONNX")
    # Places such as 2 / (2/3) = 3 are computed as 3.0000000000000004 in double precision.
    places = np.where(np.abs(places - np.round(places * 2) / 2) < 1e-6, np.round(places * 2) / 2, places)
    return [int(index) for index in np.clip(rounding[mode](places), 0, old - 1)]


def _weights(node: Node, places: Any, axis: _Axis) -> Any:
    """Return the matrix of weights of shape (new, old)."""
    mode = node.attributes.get("mode")
    factor = float(node.attributes.get("cubic_coeff_a", -0.75))
    widening = 1.0
    if node.attributes.get("antialias", 0) and axis.scale < 1:
        widening = axis.scale
    reach = (1 if mode == "linear" else 2) / widening
    matrix = np.zeros((axis.new, axis.old))
    excludes = node.attributes.get("exclude_outside", 0)
    is_wide = widening != 1.0
    for row, place in enumerate(places):
        if mode == "linear" and not is_wide:
            place = min(max(place, 0.0), axis.old - 1.0)  # noqa: PLW2901 (ONNX clamps the place)
        first, last = math.floor(place - reach) + 1, math.floor(place + reach)
        if not is_wide:
            first = math.floor(place) - (0 if mode == "linear" else 1)
            last = first + (1 if mode == "linear" else 3)
        weights = {
            index: _kernel(mode, factor, (index - place) * widening) for index in range(first, last + 1)
        }
        if excludes or is_wide:
            weights = {
                index: weight if 0 <= index < axis.old or not excludes else 0.0
                for index, weight in weights.items()
            }
            total = sum(weights.values())
            weights = {index: weight / total for index, weight in weights.items()}
        for index, weight in weights.items():
            matrix[row, min(max(index, 0), axis.old - 1)] += weight
    return matrix


def _kernel(mode: Optional[str], factor: float, distance: float) -> float:
    """Return the weight of an element at a distance: triangle, or Keys' cubic."""
    x = abs(distance)
    if mode == "linear":
        return max(1.0 - x, 0.0)
    if x <= 1:
        return (factor + 2) * x**3 - (factor + 3) * x**2 + 1
    if x < 2:
        return factor * x**3 - 5 * factor * x**2 + 8 * factor * x - 4 * factor
    return 0.0


def _weighted(emit: Emitter, value: Value, axis: int, matrix: Any) -> Value:
    """Return the product of a matrix with the vectors along an axis."""
    taps = int(np.count_nonzero(matrix, axis=1).max())
    if taps > MOST_TAPS:
        return along(emit, matrix, value, axis)
    order = np.argsort(matrix == 0, axis=1, kind="stable")[:, :taps]
    total: Optional[Value] = None
    shape = [-1 if index == axis else 1 for index in range(value.rank)]
    for tap in range(taps):
        weights = np.take_along_axis(matrix, order[:, tap : tap + 1], axis=1)[:, 0]
        rows = gathered(emit, value, [int(index) for index in order[:, tap]], axis)
        if not (weights == 1).all():
            rows = emit.op("Mul", rows, emit.constant(weights.reshape(shape).astype(value.dtype)))
        total = rows if total is None else emit.op("Add", total, rows)
    assert total is not None
    return total


RULES: Final[Dict[str, Rule]] = {"Resize": _resize}
