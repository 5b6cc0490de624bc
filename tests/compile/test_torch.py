# SPDX-License-Identifier: Apache-2.0
"""Models of PyTorch: each file of tests/compile/torch, in the interpreter that MICROTVM_TORCH_PYTHON names.

It has CPython 3.10 to 3.13, torch and pytest, and the packages of a platform's requirements.txt and
requirements-compile.txt:

    python3.11 -m venv torchvenv
    torchvenv/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    torchvenv/bin/pip install pytest -r requirements.txt -r requirements-compile.txt
    MICROTVM_TORCH_PYTHON=torchvenv/bin/python pytest tests/compile/test_torch.py
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = Path(__file__).with_name("torch")
DEADLINE_SEC: Final = 1800.0  # 500 operators of 0.8 s each, on a busy machine


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(path.name for path in TESTS.glob("test_*.py")))
def test_file_passes_in_the_interpreter_with_torch(file: str) -> None:
    argv = [os.environ["MICROTVM_TORCH_PYTHON"], "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*argv, "--confcutdir", str(TESTS), str(TESTS / file)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=DEADLINE_SEC,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
