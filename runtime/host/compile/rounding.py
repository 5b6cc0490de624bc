# SPDX-License-Identifier: Apache-2.0
"""Effect of rounding on the answers of a reference: an error that a compiled model may have too."""

from __future__ import annotations

from typing import Callable, Dict, Final, Mapping

import numpy as np

Arrays = Mapping[str, "np.ndarray"]
SEED: Final = 20_240_229
REPEATS: Final = 4
STEP: Final = 2.0**-22  # two units in the last place of a float32
MARGIN: Final = 4  # the order of additions in a kernel is one of many


class InvalidInputs(Exception):
    """Inputs that the model itself rejects, such as an index out of range."""


def rounding_of(run: Callable[[Arrays], Dict[str, np.ndarray]], inputs: Arrays) -> Dict[str, np.ndarray]:
    """Return for each output how far rounding may move its elements: a sine of 20,000 moves by 1e-3.

    This is a multiple of the change when each floating-point input changes by its rounding.

    Args:
        run: Function from inputs to outputs of the reference.
        inputs: Arrays by name.

    Raises:
        InvalidInputs: The model rejects the inputs.
    """
    random = np.random.default_rng(SEED)
    exact = run(inputs)
    moved = {name: np.zeros(array.shape) for name, array in exact.items()}
    for _ in range(REPEATS):
        near = {name: _nearby(random, array) for name, array in inputs.items()}
        for name, array in run(near).items():
            with np.errstate(invalid="ignore"):
                change = np.abs(array.astype(np.float64) - exact[name].astype(np.float64))
            moved[name] = np.fmax(moved[name], np.where(np.isfinite(change), change, 0.0))
    return {name: MARGIN * change for name, change in moved.items()}


def _nearby(random: np.random.Generator, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    return (array * (1 + STEP * random.uniform(-1, 1, array.shape))).astype(array.dtype)
