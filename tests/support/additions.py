# SPDX-License-Identifier: Apache-2.0
"""Actions of a person who extends a platform: new entries in boards.json, and typed commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Mapping, Optional

EXACT: Final = "32 of 32 bundled images, each answered exactly as on the host"
"""Line that `check` prints if the board returned the expected answers for all bundled images."""


def add_board(boards_json: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Add an entry to a boards.json. The name must be new."""
    document = json.loads(boards_json.read_text(encoding="utf-8"))
    assert name not in document["boards"]
    document["boards"][name] = entry
    boards_json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def insert_after(path: Path, line: str, addition: str) -> None:
    """Insert lines below a line that occurs exactly once in the file."""
    content = path.read_text(encoding="utf-8")
    assert content.count(f"{line}\n") == 1, f"{path.name} has {line!r} {content.count(line)} times"
    path.write_text(content.replace(f"{line}\n", f"{line}\n{addition}\n"), encoding="utf-8")


def type_command(platform: Path, *words: str, path: Optional[str] = None, **environment: str) -> str:
    """Run `python -m runtime.host WORDS` in a platform, assert exit status 0, and return the output.

    Args:
        platform: Directory of the platform.
        words: Arguments of the command.
        path: Value of PATH. Default: the PATH of this process.
        environment: Additional environment variables.
    """
    done = run_command(platform, *words, path=path, **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_command(
    platform: Path, *words: str, path: Optional[str] = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m runtime.host WORDS` in a platform, with stdout and stderr in one stream."""
    variables = {**os.environ, **({"PATH": path} if path is not None else {}), **environment}
    return subprocess.run(
        [sys.executable, "-m", "runtime.host", *words],
        cwd=platform,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_tests(template: Path, *words: str) -> None:
    """Run pytest with these arguments in a copy of the template, and assert that every test passes."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=template,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
