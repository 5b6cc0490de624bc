# SPDX-License-Identifier: Apache-2.0
"""Tests of PyTorch models, which need torch and TVM in one interpreter.

tests/compile/test_torch.py runs them in the interpreter that MICROTVM_TORCH_PYTHON names. By hand:

    $MICROTVM_TORCH_PYTHON -m pytest --confcutdir tests/compile/torch tests/compile/torch
"""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*.py"]
