# SPDX-License-Identifier: Apache-2.0
"""Random small graphs, quantized: compiled, and compared with onnxruntime on random and edge inputs."""

from __future__ import annotations

import os
from typing import Final, List

import pytest

from runtime.host.compile import compile_model
from runtime.host.compile.errors import ModelError
from tests.compile.quantized import KINDS, errors_in_steps, float_operators, quantized
from tests.compile.random_graphs import random_model
from tests.compile.random_integer_graphs import random_integer_model

COUNT: Final = int(os.environ.get("MICROTVM_RANDOM_QUANTIZED", "16"))
"""Number of graphs of each kind; by hand: MICROTVM_RANDOM_QUANTIZED=1000."""

FIRST: Final = int(os.environ.get("MICROTVM_FIRST_SEED", "0"))
QUICK: Final = 3

SEEDS: Final[List[object]] = [
    pytest.param(seed, marks=() if seed < QUICK else pytest.mark.slow) for seed in range(FIRST, FIRST + COUNT)
]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quantized_graph_is_right_or_refused(seed: int) -> None:
    model = quantized(random_model(seed), list(KINDS)[seed % len(KINDS)])
    try:
        compiled = compile_model(model)
    except ModelError as error:
        assert error.what.startswith("Operator "), error  # not: an answer differs, C does not compile
    else:
        assert compiled.verified is not None and compiled.verified.sets >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_each_operator_of_integers_is_at_most_one_step_wrong(seed: int) -> None:
    model = random_integer_model(seed)
    errors = errors_in_steps(model)
    in_float = float_operators(model)  # their error is that of a float32, in steps that may be smaller
    assert {name: each for name, each in errors.items() if each.largest > 1 and name not in in_float} == {}
