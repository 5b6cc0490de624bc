# SPDX-License-Identifier: Apache-2.0
"""Multiplication of integer sums by real numbers, in fixed point."""

from __future__ import annotations

from math import floor, frexp, log2
from typing import Any, Dict, Final, NamedTuple, Optional, Tuple

import numpy as np

from runtime.host.compile.integers.operators import HIGH, NARROW, WIDE

LARGEST_ERROR: Final = 1 / 256  # steps of the result, in addition to the rounding
MOST_SHIFT: Final = 22  # a zero point of 8 bits shifted further would leave 32 bits
HIGH_SHIFT: Final = 12  # leaves an error of 1/4096 of a step
USUAL_BEFORE: Final = (8, 4, 0)
LARGEST: Final = (1 << 31) - 1
RANGE: Final = 512  # steps of 8-bit results; sums beyond them saturate


class FixedPoint(NamedTuple):
    """Integers that rescale a sum; `form` is one of operators.py.

    Attributes:
        multipliers: int32, one for all sums or one for each channel.
        form: NARROW, HIGH or WIDE.
        before: Bits that the sum is shifted to the left before the multiplication.
        shift: Bits that the result is shifted to the right.
        offset: Rounding and zero point, before the shift.
        lowest: Smallest result.
        highest: Largest result.
    """

    multipliers: Any
    form: int
    before: int
    shift: int
    offset: int
    lowest: int
    highest: int

    def attributes(self) -> Dict[str, Any]:
        """Return the attributes of an operator."""
        return {name: value for name, value in self._asdict().items() if name != "multipliers"}


def fixed_point(scales: Any, bounds: Any, zero_point: int, limits: Tuple[int, int]) -> Optional[FixedPoint]:
    """Return the cheapest form that is exact to LARGEST_ERROR; None for a scale that has none.

    Args:
        scales: Positive real numbers, one for all sums or one for each channel.
        bounds: Largest absolute value of the sums, one for all sums or one for each channel.
        zero_point: Zero point of the result.
        limits: Smallest and largest result.
    """
    scales = np.atleast_1d(np.asarray(scales, np.float64))
    bounds = np.atleast_1d(np.asarray(bounds, np.float64))
    if scales.size == 1:
        bounds = bounds.max(keepdims=True)
    if bounds.max() > LARGEST:
        return None
    # A sum beyond the range saturates, so that its error does not count.
    sums = np.minimum(bounds, RANGE / scales)
    for form in (NARROW, HIGH, WIDE):
        found = _of_form(form, scales, bounds, sums)
        if found is None:
            continue
        multipliers, before, shift = found
        offset = (zero_point << shift) + (1 << shift >> 1)
        return FixedPoint(multipliers.astype(np.int32), form, before, shift, offset, *limits)
    return None


def _of_form(form: int, scales: Any, bounds: Any, sums: Any) -> Optional[Tuple[Any, int, int]]:
    """Return multipliers and both shifts of a form; None if its error is too large."""
    before = 0
    if form == NARROW:
        room = (LARGEST / 2) / max(1.0, float((bounds * scales).max()))
        shift = min(MOST_SHIFT, floor(log2(room))) if room >= 1 else -1
        total = shift
    else:
        fraction, exponent = frexp(float(scales.max()))
        total = 31 - exponent - (round(fraction * 2.0**31) > LARGEST)  # the largest multiplier has 31 bits
        shift = total
    if form == HIGH:
        room = 31 - int(bounds.max()).bit_length()
        # Layers with equal shifts share a kernel, so that the usual ones are tried first.
        for before in (*(usual for usual in USUAL_BEFORE if usual <= room), room):
            shift = min(total + before - 32, HIGH_SHIFT)
            if shift == HIGH_SHIFT:
                break
        total = shift + 32 - before
    if not 0 <= shift < 63 or (form == HIGH and 2.0**-shift > LARGEST_ERROR):
        return None
    multipliers = np.rint(scales * 2.0**total)
    error = float((sums * np.abs(multipliers / 2.0**total - scales)).max())
    if multipliers.max() > LARGEST or error > LARGEST_ERROR:
        return None
    return multipliers.astype(np.int64), before, shift
