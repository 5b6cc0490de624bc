# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolutions: runtime/kernels/depthwise.h."""

from __future__ import annotations

from math import prod
from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.library.choice import Operand, Prepared, constants_of, fits, plane_of
from runtime.host.compile.library.rescaling import HALF, flip_of, rescaling_of

BEYOND: Final = 3  # bytes that a word of weights reaches beyond the last one
BEYOND_COPY: Final = 4


def prepared_depthwise(
    attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Prepared]:
    """Return the kernel of an IntegerConv with one input channel in a group; None if it does not take it."""
    x, weights = inputs[0], inputs[1]
    taps, bias, multipliers = constants_of(inputs)
    rescaling = rescaling_of(attributes, taps, bias, multipliers, x.dtype, output.dtype)
    if rescaling is None:
        return None
    pads = list(attributes["pads"])
    extents = [
        *plane_of(x.shape[2:]),
        *plane_of(output.shape[2:]),
        *plane_of(weights.shape[2:]),
        *plane_of(attributes["strides"]),
        *plane_of(attributes["dilations"]),
    ]
    height, width, out_height, out_width, window_height, window_width = extents[:6]
    stride_y, stride_x, dilation_y, dilation_x = extents[6:]
    top, left = plane_of(pads[: len(pads) // 2], missing=0)
    padded_height = max(top + height, (out_height - 1) * stride_y + (window_height - 1) * dilation_y + 1)
    padded_width = max(left + width, (out_width - 1) * stride_x + (window_width - 1) * dilation_x + 1)
    made, multiplier = weights.shape[0], weights.shape[0] // int(attributes["group"])
    values = {
        "batches": x.shape[0],
        "made": made,
        "multiplier": multiplier,
        "height": height,
        "width": width,
        "out_height": out_height,
        "out_width": out_width,
        "padded_height": padded_height,
        "padded_width": padded_width,
        "window_height": window_height,
        "window_width": window_width,
        "stride_y": stride_y,
        "stride_x": stride_x,
        "dilation_y": dilation_y,
        "dilation_x": dilation_x,
        "top": top,
        "left": left,
        "zero_point": int(attributes["zero_point"]) - (HALF if x.dtype == "uint8" else 0),
        "flip": flip_of(x.dtype),
        "rescale": rescaling.fields,
    }
    if not fits(values):
        return None
    return Prepared(
        "depthwise.h",
        "mtvm_depthwise",
        ("mtvm_depthwise_t", values),
        (np.pad(taps.reshape(-1), (0, BEYOND)), rescaling.channels.reshape(-1)),
        padded_height * padded_width + BEYOND_COPY,
        multiplier == 1 and prod(output.shape[2:]) <= prod(x.shape[2:]),
    )
