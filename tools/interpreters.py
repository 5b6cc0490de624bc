# SPDX-License-Identifier: Apache-2.0
"""CPython interpreters of this machine, by version."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

SUPPORTED = ("3.8", "3.10", "3.12", "3.13")
"""Versions that the API server is tested with."""


def find_python(version: str) -> Optional[str]:
    """Return an interpreter of that version from pyenv's directory or PATH, or None."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    candidates = [*map(str, installed), shutil.which(f"python{version}"), sys.executable]
    for candidate in filter(None, candidates):
        with contextlib.suppress(OSError):
            # A program on PATH may be a wrapper that works only in some directories, so run it.
            asked = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.stdout.strip() == version:
                return candidate
    return None
