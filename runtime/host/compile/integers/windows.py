# SPDX-License-Identifier: Apache-2.0
"""Windows that move over a tensor: of convolutions and pools."""

from __future__ import annotations

from typing import List, Sequence


def window_counts(
    extents: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
) -> List[int]:
    """Return the number of windows along each axis.

    Args:
        extents: Extents of the tensor without batch and channels.
        window: Extents of the window.
        strides: Steps of the window.
        dilations: Distances of the elements of a window.
        pads: Padding: all begins, then all ends.
    """
    rank = len(extents)
    return [
        (extents[at] + pads[at] + pads[rank + at] - dilations[at] * (window[at] - 1) - 1) // strides[at] + 1
        for at in range(rank)
    ]
