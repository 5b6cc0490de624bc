# SPDX-License-Identifier: Apache-2.0
"""Repositories of templates, in the form that Cookiecutter and cruft read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict

from tests.conftest import TEMPLATE, Platform

# Parts of the repository that a bake needs. .gitignore is copied too, so that a clone lacks ignored files.
PARTS = (
    "cookiecutter.json",
    "answer_rules.py",
    "needs_cookiecutter_2_6.py",
    "hooks",
    "docs",
    "{{cookiecutter.platform_slug}}",
    "runtime",
    "examples",
    ".gitignore",
)


def run(*argv: str, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program and return its result. Assert exit status 0 unless check is False."""
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


def git(*argv: str, cwd: Path) -> str:
    """Run git and return its output."""
    identity = ("-c", "user.name=Template test", "-c", "user.email=test@example.com")
    return run("git", *identity, *argv, cwd=cwd).stdout


def copy_template(path: Path, *more: str) -> None:
    """Create a directory and copy the parts of the current template that a bake needs.

    Args:
        path: Directory to create; its parent must exist.
        more: Further files and folders of the repository, such as "tests/runners".
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
    """Commit all files."""
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--message", message, cwd=path)


def content(platform: Path) -> Dict[str, bytes]:
    """Return the contents of a platform's files by name, without the files of git and cruft."""
    return {
        name: (platform / name).read_bytes()
        for name in Platform(platform).files()
        if name != ".cruft.json" and not name.startswith(".git/")
    }
