# SPDX-License-Identifier: Apache-2.0
"""Copies of the template that a test may change or commit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.conftest import TEMPLATE

PARTS: Final = (
    "cookiecutter.json",
    "needs_cookiecutter_2_6.py",
    "hooks",
    "{{cookiecutter.platform_slug}}",
    "runtime",
    "examples",
    ".gitignore",
)
"""The parts of the repository that a bake reads, and .gitignore: a clone lacks the files that it names."""


def copy_template(target: Path, *more: str) -> None:
    """Copy the template into a new directory.

    Args:
        target: the directory, which does not exist.
        more: files and folders of the repository to copy besides PARTS, such as "tests/runners".
    """
    for part in (*PARTS, *more):
        source = TEMPLATE / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / part)
