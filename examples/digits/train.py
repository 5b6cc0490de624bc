# SPDX-License-Identifier: Apache-2.0
"""Train the digits network with plain numpy, convert it to integers, and write weights.npz.

    python -m examples.digits.train            # from the root of the repository; 15 seconds on one core

Needs examples/digits/requirements.txt. The seeds are fixed, so that a numpy build always gives the same file.
The accuracy on the 360 held-out images is printed before and after the conversion to integers. Neither step
uses a held-out image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from examples.digits.network import (
    CLASSES,
    CONV1,
    CONV2,
    SEED,
    Weights,
    accuracy,
    convolve,
    infer,
    load_split,
    patches,
    pool,
    requantise,
)

EPOCHS, BATCH, RATE, DECAY = 60, 64, 4e-3, 1e-4
INPUT_SCALE = 16.0  # ink 16 is 1.0 in training; a power of two, so that integers need no other scale
WEIGHTS_FILE = Path(__file__).with_name("weights.npz")

Floats = Dict[str, np.ndarray]


def initial(rng: np.random.Generator) -> Floats:
    """Return random weights whose layers keep the variance of their input (He's rule)."""

    def normal(shape: Tuple[int, ...], fan_in: int) -> np.ndarray:
        return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)

    return {
        "conv1_weight": normal((CONV1, 1, 3, 3), 9),
        "conv1_bias": np.zeros(CONV1, np.float32),
        "conv2_weight": normal((CONV2, CONV1, 3, 3), CONV1 * 9),
        "conv2_bias": np.zeros(CONV2, np.float32),
        "dense_weight": normal((CLASSES, CONV2 * 16), CONV2 * 16),
        "dense_bias": np.zeros(CLASSES, np.float32),
    }


def layer(images: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return (neighbourhoods, ReLU of the convolution) of real images (n, c, h, w)."""
    near = patches(images)
    return near, np.maximum(near @ weight.reshape(len(weight), -1).T + bias, 0).transpose(0, 3, 1, 2)


def forward(images: np.ndarray, w: Floats) -> Tuple[np.ndarray, Tuple[np.ndarray, ...]]:
    """Return (logits, values for the backward pass) for real images (n, 1, 8, 8)."""
    near1, act1 = layer(images, w["conv1_weight"], w["conv1_bias"])
    near2, act2 = layer(pool(act1), w["conv2_weight"], w["conv2_bias"])
    return act2.reshape(len(act2), -1) @ w["dense_weight"].T + w["dense_bias"], (near1, act1, near2, act2)


def scatter(near: np.ndarray, channels: int) -> np.ndarray:
    """Add neighbourhoods (n, h, w, c * 9) to the images (n, c, h, w) from which they came."""
    n, h, w, _ = near.shape
    blocks = near.reshape(n, h, w, channels, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, channels, h + 2, w + 2), near.dtype)
    for row in range(3):
        for column in range(3):
            padded[:, :, row : row + h, column : column + w] += blocks[:, :, row, column]
    return padded[:, :, 1:-1, 1:-1]


def gradients(images: np.ndarray, labels: np.ndarray, w: Floats) -> Floats:
    """Return the gradient of the mean cross entropy by every weight."""
    n = len(labels)
    logits, (near1, act1, near2, act2) = forward(images, w)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = shifted / shifted.sum(axis=1, keepdims=True)
    error[np.arange(n), labels] -= 1
    error /= n
    back2 = ((error @ w["dense_weight"]).reshape(act2.shape) * (act2 > 0)).transpose(0, 2, 3, 1)
    back_pool = scatter(back2 @ w["conv2_weight"].reshape(CONV2, -1), CONV1)
    largest = act1 == pool(act1).repeat(2, axis=2).repeat(2, axis=3)
    back1 = (back_pool.repeat(2, axis=2).repeat(2, axis=3) * largest * (act1 > 0)).transpose(0, 2, 3, 1)
    places = ([0, 1, 2], [0, 1, 2])
    return {
        "conv1_weight": np.tensordot(back1, near1, axes=places).reshape(w["conv1_weight"].shape),
        "conv1_bias": back1.sum(axis=(0, 1, 2)),
        "conv2_weight": np.tensordot(back2, near2, axes=places).reshape(w["conv2_weight"].shape),
        "conv2_bias": back2.sum(axis=(0, 1, 2)),
        "dense_weight": error.T @ act2.reshape(n, -1),
        "dense_bias": error.sum(axis=0),
    }


def shifted_by_a_pixel(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a copy in which half of the images moved by one pixel, since digits are rarely centred."""
    moved: np.ndarray = images.copy()
    for index in np.flatnonzero(rng.random(len(images)) < 0.5):
        down, right = rng.integers(-1, 2, 2)
        canvas = np.pad(images[index, 0], 1)
        moved[index, 0] = canvas[1 - down : 9 - down, 1 - right : 9 - right]
    return moved


def train(images: np.ndarray, labels: np.ndarray) -> Floats:
    """Return real weights after 60 epochs of Adam with a falling rate, for real images and their labels."""
    rng = np.random.default_rng(SEED)
    w = initial(rng)
    mean = {name: np.zeros_like(value) for name, value in w.items()}
    square = {name: np.zeros_like(value) for name, value in w.items()}
    steps = EPOCHS * (len(labels) // BATCH)
    for step in range(steps):
        if step % (len(labels) // BATCH) == 0:
            order = rng.permutation(len(labels))
        begin = step % (len(labels) // BATCH) * BATCH
        batch = order[begin : begin + BATCH]
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for name, gradient in gradients(shifted_by_a_pixel(images[batch], rng), labels[batch], w).items():
            mean[name] += 0.1 * (gradient - mean[name])
            square[name] += 0.001 * (gradient**2 - square[name])
            towards = mean[name] / (1 - 0.9 ** (step + 1))
            spread = np.sqrt(square[name] / (1 - 0.999 ** (step + 1))) + 1e-8
            w[name] = (w[name] - rate * (towards / spread + DECAY * w[name])).astype(np.float32)
    return w


def as_int8(weight: np.ndarray) -> Tuple[np.ndarray, int]:
    """Return (weight times 2**bits as int8, bits) with the most bits that keep all entries in -127 to 127."""
    bits = int(np.floor(np.log2(127.0 / np.abs(weight).max())))
    return np.round(weight * 2.0**bits).astype(np.int8), bits


def as_int32(bias: np.ndarray, bits: int) -> np.ndarray:
    """Return bias times 2**bits as int32."""
    return np.round(bias * 2.0**bits).astype(np.int32)


def shift_for(sums: np.ndarray) -> int:
    """Return the smallest right shift that brings all but one in ten thousand sums to at most 127."""
    return max(1, int(np.ceil(np.log2(np.quantile(np.maximum(sums, 0), 0.9999) / 127.0))))


def quantise(w: Floats, images: np.ndarray) -> Weights:
    """Return integer weights. The shifts come from the sums of the int8 training images in each layer."""
    weights: Weights = {}
    scale = int(np.log2(INPUT_SCALE))
    given = images
    for name in ("conv1", "conv2"):
        weights[f"{name}_weight"], bits = as_int8(w[f"{name}_weight"])
        bias = as_int32(w[f"{name}_bias"], bits + scale)
        shift = shift_for(convolve(given, weights[f"{name}_weight"], bias))
        weights[f"{name}_bias"] = bias + (1 << (shift - 1))  # plus half a unit, so that the shift rounds
        weights[f"{name}_shift"] = np.int32(shift)
        given = pool(requantise(convolve(given, weights[f"{name}_weight"], weights[f"{name}_bias"]), shift))
        scale += bits - shift
    weights["dense_weight"], bits = as_int8(w["dense_weight"])
    weights["dense_bias"] = as_int32(w["dense_bias"], bits + scale)
    return weights


def main() -> None:
    """Train, print the accuracies and write weights.npz."""
    images, labels, held_out, answers = load_split()
    w = train(images.astype(np.float32) / INPUT_SCALE, labels)
    logits, _ = forward(held_out.astype(np.float32) / INPUT_SCALE, w)
    print(
        f"accuracy on held-out images, real numbers: {accuracy(logits, answers):.4f} of {len(answers)} images"
    )
    weights = quantise(w, images)
    print(f"accuracy on held-out images, integers:     {accuracy(infer(held_out, weights), answers):.4f}")
    print(f"accuracy on training images, integers:     {accuracy(infer(images, weights), labels):.4f}")
    print({name: value.shape or int(value) for name, value in weights.items()})
    arrays: Dict[str, Any] = {**weights}
    np.savez_compressed(WEIGHTS_FILE, **arrays)


if __name__ == "__main__":
    main()
