# SPDX-License-Identifier: Apache-2.0
"""Operators that random ones hardly reach: channels with different shifts, and parameters at their limits."""

from __future__ import annotations

from typing import Any, Dict, Final, Mapping, Sequence

import numpy as np

from runtime.host.compile.integers.operators import CONV, DENSE, HIGH, WIDE
from runtime.host.compile.integers.windows import window_counts
from runtime.host.compile.library.choice import Operand
from tests.compile.library.random_operators import Operator

LIMITS: Final = {"lowest": -128, "highest": 127}
RIGHT_BY_32: Final = {"form": WIDE, "before": 0, "shift": 32, "offset": 1 << 31, **LIMITS}
LEFT_BY_13: Final = {"form": HIGH, "before": 13, "shift": 12, "offset": 1 << 11, **LIMITS}
DIFFERENT: Final = [1 << 27, 1 << 22, 1 << 24, 1 << 28, 1 << 20, 1 << 25]
"""Multipliers for RIGHT_BY_32, each with another `before` in form HIGH."""


def _conv(
    x: Sequence[int],
    weights: Sequence[int],
    multipliers: Sequence[int],
    form: Mapping[str, int] = RIGHT_BY_32,
    **attributes: Any,
) -> Operator:
    rank = len(x) - 2
    every: Dict[str, Any] = {
        "strides": [1] * rank,
        "dilations": [1] * rank,
        "pads": [0] * 2 * rank,
        "group": 1,
        "zero_point": -7,
        **attributes,
        **form,
    }
    counts = window_counts(x[2:], weights[2:], every["strides"], every["dilations"], every["pads"])
    return _operator(CONV, every, x, weights, multipliers, [x[0], weights[0], *counts])


def _operator(
    name: str,
    attributes: Mapping[str, Any],
    x: Sequence[int],
    weights: Sequence[int],
    multipliers: Sequence[int],
    y: Sequence[int],
) -> Operator:
    random = np.random.default_rng(0)
    bias = random.integers(-9000, 9000, weights[0]) << attributes["before"]
    inputs = (
        random.integers(-128, 128, x).astype(np.int8),
        random.integers(-128, 128, weights).astype(np.int8),
        bias.astype(np.int32),
        np.array(multipliers, np.int32),
    )
    return Operator("", name, dict(attributes), inputs, Operand(tuple(y), "int8"))


SMALL: Final = {
    "channels of a strip with different shifts": _conv((1, 4, 5, 9), (6, 4, 3, 3), DIFFERENT),
    "channels of a plane with different shifts": _conv((2, 7, 3, 3), (6, 7, 1, 1), DIFFERENT),
    "depthwise channels with different shifts": _conv((1, 6, 5, 9), (6, 1, 3, 3), DIFFERENT, group=6),
    "columns with different shifts": _operator(DENSE, RIGHT_BY_32, (1, 9), (6, 9), DIFFERENT, (1, 6)),
    "depthwise window with a large shift": _conv(
        (1, 3, 6, 7), (3, 1, 3, 3), [1 << 21], LEFT_BY_13, group=3, pads=[1, 1, 1, 1]
    ),
    "depthwise window with a large shift and stride": _conv(
        (1, 3, 8, 7), (3, 1, 3, 3), [1 << 21], LEFT_BY_13, group=3, strides=[2, 2]
    ),
    "largest window": _conv((1, 2, 300), (3, 2, 255), [1 << 24], pads=[300, 2]),
    "largest stride and dilation": _conv(
        (1, 2, 1, 600), (2, 2, 1, 3), [1 << 27], strides=[1, 255], dilations=[255, 255], pads=[0, 255, 0, 0]
    ),
}
"""Label -> operator, for which each board has memory."""

LARGE: Final = {
    "largest row": _conv((1, 1, 32767), (1, 1, 2), [1 << 27], pads=[0, 1]),
    "longest sum": _operator(DENSE, RIGHT_BY_32, (2, 32767), (3, 32767), [1 << 20], (2, 3)),
}

BEYOND: Final = {
    "channels of groups with different shifts": _conv((1, 4, 5, 5), (4, 2, 3, 3), DIFFERENT[:4], group=2),
    "odd channels of groups with different shifts": _conv((2, 4, 5, 5), (6, 2, 1, 3), DIFFERENT, group=2),
    "plane of 65,536 positions": _conv((1, 1, 256, 256), (1, 1, 1, 1), [1 << 28]),
    "padded row of 79,998 elements": _conv(
        (1, 2, 20000), (2, 1, 3), [1 << 27], group=2, strides=[3], pads=[30000, 30000]
    ),
}
"""Operators with a count of channels or with extents that the kernels have no room for."""
