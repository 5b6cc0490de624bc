# SPDX-License-Identifier: Apache-2.0
"""Convolutions and products with many rows: runtime/kernels/conv.h."""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.library.choice import Operand, Prepared, constants_of, fits, plane_of
from runtime.host.compile.library.rescaling import HALF, flip_of, rescaling_of

POSITIONS: Final = 4  # that the kernel computes at a time
BYTES_PER_PAIR: Final = 4 * POSITIONS


def prepared_conv(
    attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Prepared]:
    """Return the kernel of an IntegerConv; None if it does not take it."""
    x, weights = inputs[0], inputs[1]
    batches, taken_all = x.shape[:2]
    made_all, taken = weights.shape[:2]
    groups = int(attributes["group"])
    height, width = plane_of(x.shape[2:])
    out_height, out_width = plane_of(output.shape[2:])
    window_height, window_width = plane_of(weights.shape[2:])
    (stride_y, stride_x), (dilation_y, dilation_x) = (
        plane_of(attributes[name]) for name in ("strides", "dilations")
    )
    pads = list(attributes["pads"])
    top, left = plane_of(pads[: len(pads) // 2], missing=0)
    is_point = window_height * window_width * stride_y * stride_x == 1 and not any(pads)
    if is_point:  # rows of a plane are one row
        height, width, out_height, out_width = 1, height * width, 1, out_height * out_width
    return _prepared(
        attributes,
        inputs,
        output,
        {
            "batches": batches,
            "groups": groups,
            "taken": taken,
            "made": made_all // groups,
            "height": height,
            "width": width,
            "out_height": out_height,
            "out_width": out_width,
            "window_height": window_height,
            "window_width": window_width,
            "stride_y": stride_y,
            "stride_x": stride_x,
            "dilation_y": dilation_y,
            "dilation_x": dilation_x,
            "top": top,
            "left": left,
            "x_channel": height * width,
            "x_row": width,
            "x_column": 1,
            "y_channel": out_height * out_width,
            "y_position": 1,
        },
        int(attributes["zero_point"]),
        is_in_place=is_point and groups == 1 and made_all <= taken_all,
    )


def prepared_rows(
    attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Prepared]:
    """Return the kernel of an IntegerDense with several rows, each a position of a convolution of one tap."""
    (rows, depth), made = inputs[0].shape, inputs[1].shape[0]
    ones = dict.fromkeys(
        ("window_height", "window_width", "stride_y", "stride_x", "dilation_y", "dilation_x"), 1
    )
    fields = dict(
        batches=1,
        groups=1,
        taken=depth,
        made=made,
        height=1,
        width=rows,
        out_height=1,
        out_width=rows,
        **ones,
        top=0,
        left=0,
        x_channel=1,
        x_row=rows * depth,
        x_column=depth,
        y_channel=1,
        y_position=made,
    )
    return _prepared(attributes, inputs, output, fields, 0, is_in_place=False)


def _prepared(
    attributes: Dict[str, Any],
    inputs: Sequence[Operand],
    output: Operand,
    fields: Dict[str, Any],
    zero_point: int,
    is_in_place: bool,
) -> Optional[Prepared]:
    x, _weights = inputs[0], inputs[1]
    taps, bias, multipliers = constants_of(inputs)
    rescaling = rescaling_of(attributes, taps, bias, multipliers, x.dtype, output.dtype)
    if rescaling is None or not fits(fields):
        return None
    if fields["groups"] > 1 and rescaling.fields["befores"]:
        return None  # the kernel counts the channels of a group
    taps = taps.reshape(fields["groups"], fields["made"], -1)
    channels = rescaling.channels.reshape(fields["groups"], fields["made"], 2)
    if fields["made"] % 2:
        taps, channels = (np.pad(each, ((0, 0), (0, 1), (0, 0))) for each in (taps, channels))
    if taps.shape[2] % 2:
        taps = np.pad(taps, ((0, 0), (0, 0), (0, 1)))
    pairs = taps.shape[2] // 2
    packed = taps.reshape(-1, 2, taps.shape[2]).swapaxes(1, 2)  # two channels: k, channel
    values = {
        **fields,
        "pairs": pairs,
        "zero_point": zero_point - (HALF if x.dtype == "uint8" else 0),
        "flip": flip_of(x.dtype),
        "rescale": rescaling.fields,
    }
    return Prepared(
        "conv.h",
        "mtvm_conv",
        ("mtvm_conv_t", values),
        (np.ascontiguousarray(packed).reshape(-1), np.ascontiguousarray(channels).reshape(-1)),
        pairs * BYTES_PER_PAIR,
        is_in_place,
    )
