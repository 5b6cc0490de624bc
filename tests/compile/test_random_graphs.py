# SPDX-License-Identifier: Apache-2.0
"""Random small ONNX graphs: compiled, and compared with onnxruntime on random and edge inputs."""

from __future__ import annotations

import os
from typing import Final

import pytest

from runtime.host.compile import compile_model
from runtime.host.compile.errors import ModelError
from tests.compile.random_graphs import random_model

COUNT: Final = int(os.environ.get("MICROTVM_RANDOM_GRAPHS", "14"))
"""Number of graphs; by hand: MICROTVM_RANDOM_GRAPHS=1000."""

QUICK: Final = 4


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed < QUICK else pytest.mark.slow) for seed in range(COUNT)]
)
def test_it_is_right_or_refused(seed: int) -> None:
    try:
        compiled = compile_model(random_model(seed))
    except ModelError as error:
        assert error.what.startswith("Operator "), error  # not: an answer differs, C does not compile
    else:
        assert compiled.verified is not None and compiled.verified.sets >= 4
