# SPDX-License-Identifier: Apache-2.0
"""Platforms for the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bake(directory: Path, **answers: str) -> Path:
    """Bake a platform into a subdirectory, without the hooks' output, and return its path."""
    command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--output-dir", str(directory)]
    command += [f"{question}={answer}" for question, answer in answers.items()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (platform,) = directory.iterdir()
    return platform
