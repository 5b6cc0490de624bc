# SPDX-License-Identifier: Apache-2.0
"""A real TVM: programs of tests/tvm/programs, and tvmc, in the interpreter that MICROTVM_TVM_PYTHON names."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.conftest import Baker, Platform

PROGRAMS = Path(__file__).with_name("programs")
DEADLINE_SEC = 300.0  # for a machine that does much else


class Tvm:
    """TVM's interpreter, working with one platform."""

    def __init__(self, python: str, platform: Platform) -> None:
        self.python = python
        self.platform = platform

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the platform's directory. What it prints is kept apart, and not checked."""
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
        """What a program of tests/tvm/programs reports."""
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
        pytest.skip("MICROTVM_TVM_PYTHON names no Python that has TVM; `make test` makes one and names it")
    if not Path(python).is_file():
        pytest.skip("this machine has neither CPython 3.10 nor 3.8, which the wheels of TVM are for")
    return python


@pytest.fixture(scope="session")
def tvm(tvm_python: str, default_platform: Platform) -> Tvm:
    """TVM and the default platform, whose device is a process of this machine. It is not to be changed."""
    return Tvm(tvm_python, default_platform)


@pytest.fixture
def tvm_with_cortex_m(tvm_python: str, bake: Baker) -> Tvm:
    """TVM and a platform of emulated Cortex-M boards."""
    return Tvm(tvm_python, bake(board_family="cortex_m"))
