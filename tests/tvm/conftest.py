# SPDX-License-Identifier: Apache-2.0
"""Real TVM in the interpreter that MICROTVM_TVM_PYTHON names: tests/tvm/programs, and tvmc."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.conftest import Baker, Platform

PROGRAMS = Path(__file__).with_name("programs")
DEADLINE_SEC = 300.0  # long enough for a busy machine


class Tvm:
    """TVM's interpreter with one platform."""

    def __init__(self, python: str, platform: Platform) -> None:
        self.python = python
        self.platform = platform

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the platform's directory. Its output is captured, but not checked."""
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=self.platform.path,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=DEADLINE_SEC,
            check=False,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, *map(str, arguments)],
            cwd=self.platform.path,
            env=self.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def report(self, program: str, *arguments: object) -> Dict[str, Any]:
        """Run a program of tests/tvm/programs and return its report."""
        ran = self.run(PROGRAMS / program, *arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found: Dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return found

    def tvmc(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "runtime.host", "tvmc", *arguments)

    def environment(self) -> Dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.platform.path), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="session")
def tvm_python() -> str:
    python = os.environ.get("MICROTVM_TVM_PYTHON", "")
    if not python:
        pytest.skip(
            "MICROTVM_TVM_PYTHON does not name a Python with TVM; `make test` creates one and sets it"
        )
    if not Path(python).is_file():
        pytest.skip("TVM's wheels need CPython 3.10 or 3.8, and this machine has neither")
    return python


@pytest.fixture(scope="session")
def tvm(tvm_python: str, default_platform: Platform) -> Tvm:
    """Return TVM with the default platform, whose device is a process. Tests must not change it."""
    return Tvm(tvm_python, default_platform)


@pytest.fixture
def tvm_with_cortex_m(tvm_python: str, bake: Baker) -> Tvm:
    """Return TVM with a platform of emulated Cortex-M boards."""
    return Tvm(tvm_python, bake(board_family="cortex_m"))
