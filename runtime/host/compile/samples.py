# SPDX-License-Identifier: Apache-2.0
"""Inputs with which a compiled model is compared with its reference: random ones and edges."""

from __future__ import annotations

from typing import Callable, Dict, Final, List, Sequence

import numpy as np

from runtime.host.compile.onnx_model import Value

SEED: Final = 20_240_229
SMALL_INDEX: Final = 2  # exclusive; an integer input is often an index


def samples(inputs: Sequence[Value]) -> List[Dict[str, np.ndarray]]:
    """Return sets of inputs, the same in each run.

    Floating-point: normal, uniform in 0 to 1, zeros, ones, normal times 30. Integers: the whole range, its
    ends, zeros, small numbers; all at the lower end and all at the upper one, where sums are largest.
    """
    random = np.random.default_rng(SEED)
    kinds: Sequence[Callable[[np.random.Generator, Value], np.ndarray]] = (
        _normal,
        _uniform,
        _zeros,
        _ones,
        _large,
    )
    if any(np.dtype(value.dtype).kind in "iu" for value in inputs):
        kinds = (*kinds, _least, _greatest)
    return [{value.name: kind(random, value) for value in inputs} for kind in kinds]


def _normal(random: np.random.Generator, value: Value) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    if dtype.kind == "f":
        return random.standard_normal(value.shape).astype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, value.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, value.shape, dtype, endpoint=True)


def _uniform(random: np.random.Generator, value: Value) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    if dtype.kind == "f":
        return random.random(value.shape).astype(dtype)
    return random.integers(0, SMALL_INDEX, value.shape).astype(dtype)


def _zeros(_random: np.random.Generator, value: Value) -> np.ndarray:
    return np.zeros(value.shape, value.dtype)


def _ones(_random: np.random.Generator, value: Value) -> np.ndarray:
    return np.ones(value.shape, value.dtype)


def _least(random: np.random.Generator, value: Value) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    return np.full(value.shape, np.iinfo(dtype).min, dtype) if dtype.kind in "iu" else _normal(random, value)


def _greatest(random: np.random.Generator, value: Value) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    return np.full(value.shape, np.iinfo(dtype).max, dtype) if dtype.kind in "iu" else _normal(random, value)


def _large(random: np.random.Generator, value: Value) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    if dtype.kind == "f":
        return (30 * random.standard_normal(value.shape)).astype(dtype)
    if dtype.kind == "b":
        return np.ones(value.shape, dtype)
    limits = np.iinfo(dtype)
    return random.choice(np.array([limits.min, limits.max], dtype), value.shape)
