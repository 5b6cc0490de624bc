# SPDX-License-Identifier: Apache-2.0
"""Random operators of integers with constant weights: convolutions and products with all their parameters."""

from __future__ import annotations

from math import prod
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.integers import operators
from runtime.host.compile.integers.fixed_point import LARGEST, FixedPoint, fixed_point
from runtime.host.compile.integers.windows import window_counts
from runtime.host.compile.library.choice import Operand

TYPES: Final = ("int8", "uint8")
RESULTS: Final = ("int8", "int8", "uint8")  # kernels have their own code for int8 without other limits
WINDOWS: Final = (1, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7)
CHANNELS: Final = (1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 9, 12, 16, 17)
MOST_PRODUCTS: Final = 60_000  # of one operator
MOST_BYTES: Final = 12_000  # of a tensor
MOST_BEFORE: Final = 13
FINE: Final = 1 / 1024  # steps: unit of the bias of a channel without weights


class Operator(NamedTuple):
    """An operator of integers/operators.py with its inputs.

    Attributes:
        label: Kind and seed, from which random_operator() returns the operator.
        name: Name of the operator.
        attributes: Its attributes, without output_type and output_shape.
        inputs: x and the constants.
        output: Shape and type of the output.
    """

    label: str
    name: str
    attributes: Dict[str, Any]
    inputs: Tuple[np.ndarray, ...]
    output: Operand

    @property
    def operands(self) -> List[Operand]:
        """Inputs as the importer of a model has them."""
        return [
            Operand(array.shape, str(array.dtype), array if at else None)
            for at, array in enumerate(self.inputs)
        ]


def random_operator(kind: str, seed: int) -> Operator:
    """Return the operator of a kind of KINDS with this seed."""
    random = _Random(seed)
    while True:
        found = KINDS[kind](random)
        if found is not None:
            return found._replace(label=f"{kind} {seed}")


class _Random:
    """Choices of one operator."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.generator.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high + 1))

    def happens(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def power(self, low: float, high: float, count: Optional[int] = None) -> Any:
        """Return numbers between two powers of two, log-uniform."""
        return 2.0 ** self.generator.uniform(low, high, count)

    def of_type(self, dtype: str) -> int:
        """Return an integer of a type, often at an end of it."""
        limits = np.iinfo(dtype)
        ends = (limits.min, limits.max, 0)
        return int(self.pick(ends)) if self.happens(0.3) else self.number(limits.min, limits.max)

    def elements(self, shape: Sequence[int], dtype: str) -> np.ndarray:
        """Return a tensor of one of several patterns, among them all least and all greatest."""
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        found = self.generator.integers(low, high + 1, shape)
        pattern = self.pick(("any",) * 12 + ("least", "greatest", "ends", "sparse", "small", "symmetric"))
        if pattern in ("least", "greatest"):
            found = np.full(shape, low if pattern == "least" else high)
        elif pattern == "ends":
            found = np.where(found % 2, low, high)
        elif pattern == "sparse":
            found = np.where(self.generator.random(shape) < 0.8, 0, found)
        elif pattern == "small":
            found = np.clip(self.generator.integers(-3, 4, shape), low, high)
        elif pattern == "symmetric":
            found = np.maximum(found, low + 1)
        return found.astype(dtype)


class _Window(NamedTuple):
    """Extents and attributes of a convolution; each list has an element for each axis, pads two."""

    extents: List[int]
    window: List[int]
    strides: List[int]
    dilations: List[int]
    pads: List[int]

    @property
    def counts(self) -> List[int]:
        """Extents of the output."""
        return window_counts(self.extents, self.window, self.strides, self.dilations, self.pads)


def _window(random: _Random) -> _Window:
    """Return a window that has a place, which may lie in the padding altogether."""
    rank = random.pick((1, 2, 2, 2))
    many = random.happens(0.15)
    around = random.pick(("none", "same", "small", "any", "large"))
    while True:
        extents = [random.number(1, 40 if many else 11) for _ in range(rank)]
        window = [random.pick(WINDOWS) for _ in range(rank)]
        if random.happens(0.3):  # the usual window, for which some kernels have their own code
            window = [3] * rank
        stride = random.number(1, 3)
        strides = [stride if random.happens(0.7) else random.number(1, 3) for _ in range(rank)]
        dilations = [random.pick((1, 1, 1, 1, 2, 3)) for _ in range(rank)]
        reach = [dilation * (extent - 1) for dilation, extent in zip(dilations, window)] * 2
        most = {"none": 0, "small": 2, "large": 12}
        pads = [random.number(0, most.get(around, each)) for each in reach]
        if around == "same":
            pads = [each // 2 for each in reach]
        found = _Window(extents, window, strides, dilations, pads)
        if min(found.counts) > 0:
            return found


def _conv(random: _Random) -> Optional[Operator]:
    groups = random.pick((1, 1, 1, 2, 3, 4))
    taken, made = random.pick(CHANNELS), random.pick(CHANNELS)
    if random.happens(0.3):
        groups, taken, made = 1, 2 * random.number(1, 8), 2 * random.number(1, 8)
    if random.happens(0.1):
        taken *= random.number(2, 8)
    return _convolution(random, groups, taken, made, _window(random))


def _strip(random: _Random) -> Optional[Operator]:
    """Return a convolution with windows of three columns and even numbers of channels."""
    taken, made = 2 * random.number(1, 9), 2 * random.number(1, 9)
    rows = random.pick((1, 2, 3, 3, 3, 5, 7))
    strides = [random.number(1, 3), random.number(1, 2)]
    pads = [random.pick((0, 1, 1, 1, 2, 5)) for _ in range(4)]
    extents = [random.number(rows, rows + 8), random.number(3, 17)]
    window = [rows, 3]
    if random.happens(0.2):
        extents, window, strides, pads = extents[1:], window[1:], strides[1:], pads[:2]
    return _convolution(random, 1, taken, made, _Window(extents, window, strides, [1] * len(window), pads))


def _point(random: _Random) -> Optional[Operator]:
    taken = random.pick((*CHANNELS, 24, 31, 40))
    made = random.number(1, taken) if random.happens(0.6) else random.pick(CHANNELS)
    rank = random.pick((1, 2, 2))
    strides, pads = [1] * rank, [0] * 2 * rank
    if random.happens(0.2):
        strides, pads = [random.pick((1, 2)) for _ in strides], [random.pick((0, 0, 1)) for _ in pads]
    window = _Window([random.number(1, 12) for _ in range(rank)], [1] * rank, strides, [1] * rank, pads)
    return _convolution(random, random.pick((1, 1, 1, 1, 2)), taken, made, window)


def _depthwise(random: _Random) -> Optional[Operator]:
    window = _window(random)
    if random.happens(0.6):  # windows of 3x3, for which the kernel has its own code
        stride, around = random.pick((1, 1, 1, 1, 2, 2, 3)), random.pick((0, 1, 1, 2))
        pads = [around] * 4 if random.happens(0.7) else [random.number(0, 3) for _ in range(4)]
        extents = [random.number(3, 13), random.number(3, 13)]
        window = _Window(extents, [3, 3], [stride] * 2, [1, 1], pads)
    return _convolution(random, random.pick(CHANNELS[2:]), 1, random.pick((1, 1, 1, 1, 2, 3)), window)


def _convolution(random: _Random, groups: int, taken: int, made: int, window: _Window) -> Optional[Operator]:
    batch = random.pick((1, 1, 1, 2))
    x_type, y_type = random.pick(TYPES), random.pick(RESULTS)
    x_shape = (batch, groups * taken, *window.extents)
    y_shape = (batch, groups * made, *window.counts)
    if max(prod(x_shape), prod(y_shape)) > MOST_BYTES:
        return None
    if prod(y_shape) * taken * prod(window.window) > MOST_PRODUCTS:
        return None
    weights = random.elements((groups * made, taken, *window.window), "int8")
    zero_point = random.of_type(x_type)
    attributes = {
        "strides": window.strides,
        "dilations": window.dilations,
        "pads": window.pads,
        "group": groups,
        "zero_point": zero_point,
    }
    x = random.elements(x_shape, x_type)
    return _rescaled(random, operators.CONV, attributes, x, weights, zero_point, Operand(y_shape, y_type))


def _dense(random: _Random) -> Optional[Operator]:
    rows = random.pick((1, 1, 1, 2, 3, 4, 5, 9))
    depth = random.pick((random.number(1, 20), random.number(1, 100), random.number(100, 400)))
    columns = random.pick((random.number(1, 9), random.number(4, 40), depth + random.number(0, 30)))
    x_type, y_type = random.pick(TYPES), random.pick(RESULTS)
    if columns * depth > MOST_BYTES:
        return None
    weights, x = random.elements((columns, depth), "int8"), random.elements((rows, depth), x_type)
    output = Operand((rows, columns), y_type)
    return _rescaled(random, operators.DENSE, {}, x, weights, random.of_type(x_type), output)


KINDS: Final[Dict[str, Callable[[_Random], Optional[Operator]]]] = {
    "conv": _conv,
    "strip": _strip,
    "point": _point,
    "depthwise": _depthwise,
    "dense": _dense,
}


def _rescaled(
    random: _Random,
    name: str,
    attributes: Dict[str, Any],
    x: np.ndarray,
    weights: np.ndarray,
    zero_point: int,
    output: Operand,
) -> Optional[Operator]:
    """Return an operator with a random bias and a random form of its scales; None if they have no form."""
    count = weights.shape[0]
    weights, steps = _with_odd_channels(random, weights)
    taps = weights.astype(np.int64).reshape(count, -1)
    reach = np.abs(taps).sum(1) * _largest(x.dtype)
    bias = _bias(random, -zero_point * taps.sum(1), LARGEST - reach)
    bounds = reach + np.abs(bias)
    limits = _limits(random, output.dtype)
    zero = random.of_type(output.dtype)
    if random.happens(0.25):
        found: Optional[FixedPoint] = _free_form(random, bounds, zero, limits)
    else:
        scales = _scales(random, bounds, steps)
        found = fixed_point(scales, bounds, zero, limits)
    if found is None:
        return None
    return Operator(
        "",
        name,
        {**attributes, **found.attributes()},
        (x, weights, (bias << found.before).astype(np.int32), found.multipliers),
        output,
    )


def _largest(dtype: Any) -> int:
    limits = np.iinfo(dtype)
    return max(-int(limits.min), int(limits.max))


def _with_odd_channels(random: _Random, weights: np.ndarray) -> Tuple[np.ndarray, Any]:
    """Return weights, and for each channel the scale that it needs, or NaN.

    Some channels are constant, and some have a scale that is nearly zero, as after a training with batch
    normalization.
    """
    steps = np.full(weights.shape[0], np.nan)
    for channel in range(weights.shape[0] if random.happens(0.3) else 0):
        odd = random.pick(("", "", "constant", "tiny"))
        if odd == "constant":
            weights[channel] = 0
            steps[channel] = FINE
        elif odd == "tiny":
            steps[channel] = random.power(-51, -49)
    return weights, steps


def _bias(random: _Random, base: Any, room: Any) -> Any:
    """Return a bias for each channel, so that each sum fits 32 bits."""
    size = random.pick((0, 300, 300, 300, 5000, 5000, 5000, 100_000, 1 << 30, LARGEST))
    noise = random.generator.integers(-size, size + 1, base.shape)
    if size == 1 << 30 and random.happens(0.5):
        noise = np.where(noise < 0, -size, size)
    return np.clip(base + noise, -room, room)


def _limits(random: _Random, dtype: str) -> Tuple[int, int]:
    limits = np.iinfo(dtype)
    if random.happens(0.7):
        return int(limits.min), int(limits.max)
    low, high = sorted((random.of_type(dtype), random.of_type(dtype)))
    least, most = random.pick(((low, int(limits.max)), (int(limits.min), high), (low, high)))
    return least, most


def _scales(random: _Random, bounds: Any, steps: Any) -> Any:
    """Return scales: one for all channels, or one for each."""
    if random.happens(0.85):  # outputs over a part of the range, or well beyond it
        scale = random.power(5, 12) / np.maximum(1.0, np.median(bounds))
    else:
        scale = random.power(-40, 1)
    if random.happens(0.3):
        return np.array([scale])
    spread = random.pick((0.1, 1.0, 1.0, 4.0, 20.0))
    found = scale * random.power(-spread, spread, bounds.size)
    return np.where(np.isnan(steps), found, steps)


def _free_form(random: _Random, bounds: Any, zero: int, limits: Tuple[int, int]) -> FixedPoint:
    """Return a form that operators.py defines, within the bits that it has."""
    bound = max(1, int(bounds.max()))
    forms = (operators.HIGH, operators.HIGH, operators.WIDE, operators.NARROW)
    form = random.pick(forms if bound <= LARGEST // 2 else forms[:3])
    count = random.pick((1, bounds.size))
    before = 0
    if form == operators.HIGH:
        before = random.number(0, min(MOST_BEFORE, 31 - bound.bit_length()))
    largest = LARGEST // 2 // bound if form == operators.NARROW else LARGEST
    multipliers = np.floor(random.power(0, np.log2(largest + 1.0), count)).astype(np.int64)
    product = bound * int(multipliers.max()) << before >> (32 if form == operators.HIGH else 0)
    least, most = {operators.NARROW: (1, 21), operators.HIGH: (0, 20), operators.WIDE: (12, 54)}[form]
    shift = min(max(product.bit_length() - random.number(4, 10), least), most)
    multipliers = np.where(random.generator.random(count) < 0.1, 0, np.minimum(multipliers, largest))
    if form == operators.HIGH and random.happens(0.1):
        multipliers = -multipliers
    offset = (zero << shift) + (1 << shift >> 1)
    if form == operators.NARROW:
        offset = int(np.clip(offset, -(LARGEST // 2), LARGEST // 2)) >> shift << shift
    if form == operators.HIGH and random.happens(0.2):
        offset = random.number(-(LARGEST // 4), LARGEST // 4)
    return FixedPoint(multipliers.astype(np.int32), form, before, shift, offset, *limits)
