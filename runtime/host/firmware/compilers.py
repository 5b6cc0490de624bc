# SPDX-License-Identifier: Apache-2.0
"""The C and C++ compilers on this machine."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final, Tuple

from runtime.host.errors import PlatformError
from runtime.host.system.programs import find_tool, run_tool

COMPILER_ENVIRONMENT: Final = (
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "AR"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"),
    *("COMPILER_PATH", "GCC_EXEC_PREFIX"),
)
"""Environment variables that compilers and the build files read."""


def find_compiler(cross: str = "") -> str:
    """Return the C compiler as a command.

    Args:
        cross: Prefix of a cross compiler's name, such as "arm-none-eabi-". With "", the compiler is the
            command in $CC, which may contain arguments, or cc.

    Raises:
        PlatformError: $CC is not a valid command.
        ToolMissing: The compiler is not installed.
    """
    return _find(f"{cross}gcc" if cross else "", "CC", "cc")


def find_cxx_compiler(cross: str = "") -> str:
    """Return the C++ compiler, which TVM's own runtime needs, as a command.

    Args:
        cross: Prefix of a cross compiler's name. With "", the compiler is the command in $CXX, which may
            contain arguments, or c++.

    Raises:
        PlatformError: $CXX is not a valid command.
        ToolMissing: The compiler is not installed.
    """
    return _find(f"{cross}g++" if cross else "", "CXX", "c++")


def compiler_identity(compiler: str, cwd: Path) -> Tuple[str, str]:
    """Return the command of a compiler and its version, since a wrapper can hide a new compiler."""
    return compiler, run_tool([*shlex.split(compiler), "--version"], cwd=cwd, timeout_sec=30).output


def _find(cross_compiler: str, variable: str, usual: str) -> str:
    if cross_compiler:
        return find_tool(cross_compiler, "compile the firmware")
    command = os.environ.get(variable, "").strip() or usual
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlatformError(
            f"Environment variable {variable} is not a valid command: {command!r} ({error}).",
            f"Set {variable} to a compiler, or unset {variable}.",
        ) from error
    find_tool(words[0], "compile the firmware")
    if "/" in words[0]:
        words[0] = os.path.abspath(words[0])  # noqa: PTH100  the build runs in another directory
    return shlex.join(words)
