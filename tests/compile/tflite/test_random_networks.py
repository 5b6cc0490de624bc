# SPDX-License-Identifier: Apache-2.0
"""Random small networks: the converted files have the answers of LiteRT."""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.compile.tflite.compare import converted_like_litert
from tests.compile.tflite.random_networks import random_network

COUNT: Final = int(os.environ.get("MICROTVM_RANDOM_TFLITE", "20"))
"""Number of networks; by hand: MICROTVM_RANDOM_TFLITE=1000."""

STEPS: Final = 6
"""Allowed error of quantized networks: one step of a layer may become several in the next ones."""


@pytest.mark.parametrize("seed", range(COUNT))
def test_the_answers_are_those_of_litert(seed: int) -> None:
    converted_like_litert(random_network(seed), steps=STEPS, seed=seed)
