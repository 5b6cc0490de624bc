# SPDX-License-Identifier: Apache-2.0
"""Constants of the rescaling in our kernels: mtvm_rescale_t and mtvm_channel_t of kernels/integers.h."""

from __future__ import annotations

from typing import Any, Dict, Final, Mapping, NamedTuple, Optional

import numpy as np

from runtime.host.compile.integers import operators

LARGEST: Final = (1 << 31) - 1
FLIP: Final = 0x80
WIDE_SHIFT: Final = 12  # of the high word, where the shift of the whole product is larger
HALF: Final = 128  # an unsigned element less this is what the kernels compute with


class Rescaling(NamedTuple):
    """Rescaling of the sums of a kernel.

    Attributes:
        channels: int32 (channels, 2): bias and multiplier.
        fields: Values of a mtvm_rescale_t; `befores` is empty if all channels have one.
    """

    channels: Any
    fields: Dict[str, Any]


def flip_of(dtype: str) -> int:
    """Return what the kernels flip in an element of a data type."""
    return FLIP if dtype == "uint8" else 0


def rescaling_of(
    attributes: Mapping[str, Any], weights: Any, bias: Any, multipliers: Any, source: str, target: str
) -> Optional[Rescaling]:
    """Return the rescaling; None where a kernel could not compute it exactly.

    Args:
        attributes: Attributes of the operator.
        weights: int8, output channels first.
        bias: int32 of each channel, for elements as they are stored, shifted by `before`.
        multipliers: int32, one or one for each channel.
        source: Data type of the input.
        target: Data type of the output.
    """
    count = weights.shape[0]
    taps = weights.reshape(count, -1).astype(np.int64)
    sums = bias.astype(np.int64) >> int(attributes.get("before", 0))
    if source == "uint8":
        sums = sums + HALF * taps.sum(1)
    bounds = np.abs(taps).sum(1) * HALF + np.abs(sums)
    factors = np.broadcast_to(multipliers.reshape(-1).astype(np.int64), (count,))
    if bounds.max() > LARGEST:
        return None
    found = [_high_form(attributes, int(bound), int(factor)) for bound, factor in zip(bounds, factors)]
    forms = [form for form in found if form is not None]
    if len(forms) < count:
        return None
    shift = int(attributes["shift"]) - forms[0].taken
    offset = int(attributes["offset"]) >> forms[0].taken
    lowest, highest = int(attributes["lowest"]), int(attributes["highest"])
    if target == "uint8":
        offset -= HALF << shift
        lowest, highest = lowest - HALF, highest - HALF
    if abs(offset) > LARGEST // 2:
        return None
    befores = [form.before for form in forms]
    fields = {
        "befores": befores if len(set(befores)) > 1 else [],
        "offset": offset,
        "before": befores[0],
        "shift": shift,
        "flip": flip_of(target),
        "lowest": lowest,
        "highest": highest,
    }
    scaled = factors << np.array([form.left for form in forms])
    return Rescaling(np.stack([sums, scaled], 1).astype(np.int32), fields)


class _High(NamedTuple):
    """Numbers that make form HIGH of another one.

    Attributes:
        before: Shift of the sum to the left.
        taken: What the shift to the right has less than that of the operator.
        left: Shift of the multiplier to the left.
    """

    before: int
    taken: int
    left: int


def _high_form(attributes: Mapping[str, Any], bound: int, factor: int) -> Optional[_High]:
    """Return an equal form HIGH for the sums of a channel.

    (sum * factor + offset) >> shift is computed with the high word of a product with factor << left, where
    left = 32 - before - taken. That rounds down twice, which is the same as once, as the lower `taken` bits
    of the offset are zero.
    """
    shift, offset = int(attributes["shift"]), int(attributes["offset"])
    if attributes["form"] == operators.HIGH:
        return _High(int(attributes["before"]), 0, 0)
    if attributes["form"] not in (operators.NARROW, operators.WIDE) or factor < 0:
        return None
    taken = min(shift - 1, 32) if attributes["form"] == operators.NARROW else shift - WIDE_SHIFT
    for before in range(32 - bound.bit_length()):
        left = 32 - before - taken
        if taken >= 0 and left >= 0 and factor << left <= LARGEST and offset % (1 << taken) == 0:
            return _High(before, taken, left)
    return None
