# SPDX-License-Identifier: Apache-2.0
"""DFT and STFT as products with constant matrices of cosines and sines."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.parts import along, gathered, reshaped, sliced
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value, axis_of


def _matrices(length: int, bins: Sequence[int], is_inverse: bool) -> Tuple[Any, Any]:
    """Return real and imaginary part of exp(-2 pi i k n / length) of shape (bins, length)."""
    angles = 2 * np.pi * (np.outer(list(bins), np.arange(length)) % length) / length
    sign = 1 if is_inverse else -1
    scale = length if is_inverse else 1
    return np.cos(angles) / scale, sign * np.sin(angles) / scale


def _dft(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    axis = -2
    if node.has(2):
        axis = int(node.constant(2, "axis").item())
    axis = axis_of(node, axis, data.rank)
    length = int(node.constant(1, "dft_length").item()) if node.has(1) else data.shape[axis]
    is_inverse, is_onesided = (
        bool(node.attributes.get("inverse", 0)),
        bool(node.attributes.get("onesided", 0)),
    )
    if axis == data.rank - 1 or length < 1:
        raise node.refusal("its axis or length is out of range", "Check the model.")
    if is_inverse and is_onesided:
        return [_real_inverse(emit, node, data, axis, length if node.has(1) else 2 * (data.shape[axis] - 1))]
    used = min(length, data.shape[axis])
    data = sliced(emit, data, axis, 0, used)
    cosines, sines = (
        part[:, :used]
        for part in _matrices(length, range(length // 2 + 1 if is_onesided else length), is_inverse)
    )
    real = sliced(emit, data, -1, 0, 1)
    real_part, imaginary_part = along(emit, cosines, real, axis), along(emit, sines, real, axis)
    if data.shape[-1] == 2:
        imaginary = sliced(emit, data, -1, 1, 2)
        real_part = emit.op("Sub", real_part, along(emit, sines, imaginary, axis))
        imaginary_part = emit.op("Add", imaginary_part, along(emit, cosines, imaginary, axis))
    return [emit.op("Concat", real_part, imaginary_part, axis=-1)]


def _real_inverse(emit: Emitter, node: Node, data: Value, axis: int, length: int) -> Value:
    """Return the real signal of a spectrum that has only its first half."""
    if data.shape[-1] != 2:
        raise node.refusal("a onesided inverse needs complex input", "Check the model.")
    used = min(length // 2 + 1, data.shape[axis])
    data = sliced(emit, data, axis, 0, used)
    cosines, sines = _matrices(length, range(used), True)
    # Bins between the first and the middle one occur twice in the whole spectrum.
    twice = np.array([1 if bin_ == 0 or 2 * bin_ == length else 2 for bin_ in range(used)])[:, None]
    real = along(emit, (cosines * twice).T, sliced(emit, data, -1, 0, 1), axis)
    imaginary = along(emit, (sines * twice).T, sliced(emit, data, -1, 1, 2), axis)
    return emit.op("Sub", real, imaginary)


def _stft(emit: Emitter, node: Node) -> Sequence[Item]:
    signal = node.value(0)
    if signal.rank == 3 and signal.shape[2] != 1:
        raise node.refusal("its signal is complex", "Use a real signal.")
    batch, samples = signal.shape[:2]
    step = int(node.constant(1, "frame_step").item())
    window = np.asarray(node.constant(2, "window"), np.float64) if node.has(2) else None
    if node.has(3):
        length = int(node.constant(3, "frame_length").item())
    elif window is not None:
        length = int(window.size)
    else:
        raise node.refusal("it has no frame_length and no window", "Check the model.")
    frames = (samples - length) // step + 1
    bins = length // 2 + 1 if node.attributes.get("onesided", 1) else length
    rows: List[int] = [frame * step + index for frame in range(frames) for index in range(length)]
    picked = reshaped(
        emit, gathered(emit, reshaped(emit, signal, (batch, samples)), rows, 1), (batch, frames, length)
    )
    cosines, sines = _matrices(length, range(bins), False)
    if window is not None:
        cosines, sines = cosines * window, sines * window
    shape = (batch, frames, bins, 1)
    parts = [reshaped(emit, along(emit, matrix, picked, 2), shape) for matrix in (cosines, sines)]
    return [emit.op("Concat", *parts, axis=-1)]


RULES: Final[Dict[str, Rule]] = {"DFT": _dft, "STFT": _stft}
