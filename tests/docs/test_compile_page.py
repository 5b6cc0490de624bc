# SPDX-License-Identifier: Apache-2.0
"""docs/compile.md: its C and Python work as written, and its pins are those of these tests."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import List

import numpy as np
import pytest
from packaging.requirements import Requirement

from runtime.host.compile.packages import PACKAGES, TESTED_TVM
from tests.conftest import TEMPLATE, Baker, Platform
from tests.support.onnx_nets import answers
from tests.support.pages import blocks

PAGE = (TEMPLATE / "docs" / "compile.md").read_text(encoding="utf-8")
COMPILE = TEMPLATE / "{{cookiecutter.platform_slug}}" / "requirements-compile.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def run(argv: List[str], cwd: Path) -> str:
    """Return the output of a program that must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def place(bake: Baker) -> Path:
    """A platform with the model of the page and its archive."""
    platform = bake(board_family="host").path
    made, compiled = blocks(PAGE, "sh")[0], blocks(PAGE, "sh")[2]
    run(["sh", "-e", "-c", made + compiled.splitlines()[0]], platform)
    return platform


@pytest.mark.slow
def test_the_firmware_without_a_runtime(place: Path) -> None:
    (program,) = blocks(PAGE, "c")
    (place / "main.c").write_text(program, encoding="utf-8")
    (built,) = (block for block in blocks(PAGE, "console") if "main.c" in block)
    printed = run(["sh", "-e", "-c", built], place).split()
    x = (np.arange(36, dtype="float32") / np.float32(36)).reshape(1, 1, 6, 6)
    expected = answers(place / "model.onnx", {"x": x})["scores"].ravel()
    np.testing.assert_allclose([float(text) for text in printed], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_program_in_python(place: Path) -> None:
    (program,) = (block for block in blocks(PAGE, "python") if "compile_model" in block)
    name, error = run([sys.executable, "-c", program], place).split()
    assert name == "scores" and float(error) < 1e-2
    assert (place / "models/from_python.tar").read_bytes() == (place / "models/net.tar").read_bytes()


def pins(path: Path) -> List[Requirement]:
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("python", PYTHONS)
def test_each_package_has_one_pin_for_each_python(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found = [
        pin.name
        for pin in (*pins(COMPILE), *pins(TEMPLATE / "requirements.txt"))
        if not pin.marker or pin.marker.evaluate(environment)
    ]
    assert len(found) == len(set(found))
    assert {*PACKAGES, "protobuf", "flatbuffers", "ml_dtypes"} <= set(found)


def test_the_pins_are_installed() -> None:
    for pin in pins(COMPILE):
        if not pin.marker or pin.marker.evaluate():
            assert metadata.version(pin.name) in pin.specifier, pin
    (tvm,) = (pin for pin in pins(COMPILE) if pin.name == "apache-tvm")
    assert str(tvm.specifier).startswith(f"=={TESTED_TVM[-1]}.")


def test_a_platform_has_the_page(default_platform: Platform) -> None:
    assert default_platform.text("docs/compile.md") == PAGE
    assert "docs/compile.md" in default_platform.text("README.md")
    assert default_platform.text("requirements-compile.txt") == COMPILE.read_text(encoding="utf-8")
