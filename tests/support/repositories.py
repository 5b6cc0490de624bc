# SPDX-License-Identifier: Apache-2.0
"""Repositories of templates, as Cookiecutter and cruft read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict

from tests.conftest import TEMPLATE, Platform

# What a bake needs of the repository; .gitignore, so that a clone shows what would be missing from one.
PARTS = (
    "cookiecutter.json",
    "needs_cookiecutter_2_6.py",
    "hooks",
    "{{cookiecutter.platform_slug}}",
    "runtime",
    "examples",
    ".gitignore",
)


def run(*argv: str, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, which is success unless check is False."""
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


def git(*argv: str, cwd: Path) -> str:
    """Return what git prints."""
    identity = ("-c", "user.name=Template test", "-c", "user.email=test@example.com")
    return run("git", *identity, *argv, cwd=cwd).stdout


def copy_template(path: Path, *more: str) -> None:
    """Copy what a bake needs of the template as it is now into a directory, which is made.

    Args:
        more: further files and folders of the repository, such as "tests/runners".
    """
    path.mkdir(exist_ok=True)
    for part in (*PARTS, *more):
        source = TEMPLATE / part
        if source.is_dir():
            shutil.copytree(source, path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (path / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path / part)


def commit(path: Path, message: str) -> None:
    """Commit everything."""
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--message", message, cwd=path)


def content(platform: Path) -> Dict[str, bytes]:
    """Return name -> content of the files of a platform, without those of git and cruft."""
    return {
        name: (platform / name).read_bytes()
        for name in Platform(platform).files()
        if name != ".cruft.json" and not name.startswith(".git/")
    }
