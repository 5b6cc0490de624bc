# SPDX-License-Identifier: Apache-2.0
"""The compilers of this machine."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Tuple

from runtime.host.errors import PlatformError
from runtime.host.system.programs import find_tool, run_tool


def find_compiler(cross: str = "") -> str:
    """Return the C compiler as a command.

    cross: the prefix of a cross compiler's name; "" for this machine's compiler, which is $CC, and may hold
    arguments, else cc. Raises PlatformError, ToolMissing.
    """
    return _find(f"{cross}gcc" if cross else "", "CC", "cc")


def find_cxx_compiler(cross: str = "") -> str:
    """Return the C++ compiler, which TVM's own runtime needs, as a command: like find_compiler, with $CXX or
    c++."""
    return _find(f"{cross}g++" if cross else "", "CXX", "c++")


def compiler_identity(compiler: str, cwd: Path) -> Tuple[str, str]:
    """Return where a compiler is and its version: a wrapper may stay while the compiler changes."""
    return compiler, run_tool([*shlex.split(compiler), "--version"], cwd=cwd, timeout_sec=30).output


def _find(cross_compiler: str, variable: str, usual: str) -> str:
    if cross_compiler:
        return find_tool(cross_compiler, "compile the firmware")
    command = os.environ.get(variable, "").strip() or usual
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlatformError(
            f"{variable} in the environment is not a command: {command!r} ({error}).",
            "Set it to a compiler, or unset it.",
        ) from error
    find_tool(words[0], "compile the firmware")
    if "/" in words[0]:
        words[0] = os.path.abspath(words[0])  # noqa: PTH100 - the build runs in another directory
    return shlex.join(words)
