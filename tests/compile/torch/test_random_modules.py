# SPDX-License-Identifier: Apache-2.0
"""Random small modules of PyTorch: each is right in the compiled C.

MICROTVM_RANDOM_MODULES is the number of modules.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from runtime.host.compile import compile_model
from tests.compile.torch.random_modules import random_module
from tests.compile.torch.running import exported

COUNT: Final = int(os.environ.get("MICROTVM_RANDOM_MODULES", "24"))


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_random_module_answers_as_pytorch(seed: int) -> None:
    module, x = random_module(seed)
    assert compile_model(exported(module, [x])).verified is not None
