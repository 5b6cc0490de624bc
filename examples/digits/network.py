# SPDX-License-Identifier: Apache-2.0
"""Digits network in integers, and the split of its images.

    image    int8  (n, 1, 8, 8)    ink of 0 to 16, as in scikit-learn's data set
    conv 3x3, 1 -> 8, same size    int8 weights, int32 sums, ReLU, shift right, at most 127
    max pool 2x2                   (n, 8, 4, 4) int8
    conv 3x3, 8 -> 16, same size   int8 weights, int32 sums, ReLU, shift right, at most 127
    dense 256 -> 10                int8 weights, int32 sums
    logits   int32 (n, 10)

Every scale is a power of two, so that the conversion to int8 is one shift without a 64-bit multiplication. A
shift is cheap on a core as small as a Cortex-M0, and exact everywhere. The device, TVM on the host and this
file must agree to the last bit.
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

SEED = 2024
HELD_OUT_PER_DIGIT = 36
CONV1, CONV2, CLASSES = 8, 16, 10

Weights = Dict[str, np.ndarray]


def load_split() -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (training images, training labels, held-out images, held-out labels).

    Images are int8 (n, 1, 8, 8), labels uint8 (n,). A fixed seed chooses 36 held-out images of each digit,
    360 in total. They keep the data set's order, in which neighbours are different digits.
    """
    from sklearn.datasets import load_digits  # users of the committed files need no scikit-learn

    digits = load_digits()
    images = digits.images.astype(np.int8)[:, np.newaxis]
    labels = digits.target.astype(np.uint8)
    chosen = np.random.default_rng(SEED)
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(CLASSES):
        of_digit = np.flatnonzero(labels == digit)
        held_out[chosen.permutation(of_digit)[:HELD_OUT_PER_DIGIT]] = True
    return images[~held_out], labels[~held_out], images[held_out], labels[held_out]


def patches(images: np.ndarray) -> np.ndarray:
    """Return the 3x3 neighbourhoods of (n, c, h, w), zero outside, as (n, h, w, c * 9)."""
    n, c, h, w = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    found: np.ndarray = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)
    return found


def pool(images: np.ndarray) -> np.ndarray:
    """Return the maximum of each 2x2 block of (n, c, h, w)."""
    n, c, h, w = images.shape
    pooled: np.ndarray = images.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    return pooled


def requantise(sums: np.ndarray, shift: int) -> np.ndarray:
    """Convert int32 sums to int8: ReLU, shift right, at most 127. The bias contains the rounding half."""
    numbers: np.ndarray = np.minimum(np.maximum(sums, 0) >> shift, 127).astype(np.int8)
    return numbers


def convolve(images: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the int32 sums (n, out, h, w) of int8 images, weights (out, in, 3, 3) and int32 bias (out,)."""
    flat = weights.reshape(len(weights), -1).astype(np.int32)
    sums: np.ndarray = (patches(images.astype(np.int32)) @ flat.T + bias).transpose(0, 3, 1, 2)
    return sums


def infer(images: np.ndarray, weights: Weights) -> np.ndarray:
    """Return the int32 logits (n, 10) of int8 images (n, 1, 8, 8) with the weights of weights.npz."""
    first = convolve(images, weights["conv1_weight"], weights["conv1_bias"])
    first = pool(requantise(first, int(weights["conv1_shift"])))
    second = convolve(first, weights["conv2_weight"], weights["conv2_bias"])
    second = requantise(second, int(weights["conv2_shift"]))
    flat = second.reshape(len(second), -1).astype(np.int32)
    logits: np.ndarray = flat @ weights["dense_weight"].astype(np.int32).T + weights["dense_bias"]
    return logits


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows of logits (n, 10) whose largest entry is at the label."""
    return float(np.mean(logits.argmax(axis=1) == labels))
