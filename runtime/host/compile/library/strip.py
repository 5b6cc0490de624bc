# SPDX-License-Identifier: Apache-2.0
"""Convolutions with windows of three columns: runtime/kernels/strip.h."""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Sequence

from runtime.host.compile.library.choice import Operand, Prepared, constants_of, plane_of
from runtime.host.compile.library.rescaling import HALF, flip_of, rescaling_of

COLUMNS: Final = 3  # of the window
MOST_ROWS: Final = 8  # of the window: MTVM_STRIP_ROWS
POSITIONS: Final = 4  # that the kernel computes at a time
WORD: Final = 4  # bytes, of two input channels
ORDER: Final = {1: [0, 1, 2], 2: [0, 2, 1]}
"""Stride -> columns of the window in the order of the weights."""


def takes_strip(attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    """Return whether the kernel takes an IntegerConv that mtvm_conv takes."""
    window, strides, dilations = (
        plane_of(each) for each in (inputs[1].shape[2:], attributes["strides"], attributes["dilations"])
    )
    made, taken = inputs[1].shape[:2]
    return (
        attributes["group"] == 1
        and taken % 2 == made % 2 == 0
        and window[1] == COLUMNS
        and window[0] <= MOST_ROWS
        and strides[1] in ORDER
        and list(dilations) == [1, 1]
        and output.shape[-1] >= POSITIONS
    )


def prepared_strip(
    attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Prepared]:
    """Return the kernel of an IntegerConv; None if it does not take it."""
    x, weights = inputs[0], inputs[1]
    taps, bias, multipliers = constants_of(inputs)
    rescaling = rescaling_of(attributes, taps, bias, multipliers, x.dtype, output.dtype)
    if rescaling is None:
        return None
    made, taken = weights.shape[:2]
    (height, width), (out_height, out_width) = plane_of(x.shape[2:]), plane_of(output.shape[2:])
    window_height = plane_of(weights.shape[2:])[0]
    stride_y, stride_x = plane_of(attributes["strides"])
    pads = list(attributes["pads"])
    top, left = plane_of(pads[: len(pads) // 2], missing=0)
    phase = out_width + (COLUMNS - 1) // stride_x
    values = {
        "batches": x.shape[0],
        "taken": taken,
        "made": made,
        "height": height,
        "width": width,
        "out_height": out_height,
        "out_width": out_width,
        "window_height": window_height,
        "stride_y": stride_y,
        "stride_x": stride_x,
        "top": top,
        "left": left,
        "phase": phase,
        "zero_point": int(attributes["zero_point"]) - (HALF if x.dtype == "uint8" else 0),
        "flip": flip_of(x.dtype),
        "rescale": rescaling.fields,
    }
    # two output channels, row, two input channels, column, input channel, output channel
    packed = taps.reshape(made // 2, 2, taken // 2, 2, window_height, COLUMNS).transpose(0, 4, 2, 5, 3, 1)
    return Prepared(
        "strip.h",
        f"mtvm_strip{stride_x}",
        ("mtvm_strip_t", values),
        (packed[:, :, :, ORDER[stride_x]].reshape(-1), rescaling.channels.reshape(-1)),
        window_height * taken // 2 * stride_x * phase * WORD,
        False,
    )
