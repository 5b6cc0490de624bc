# SPDX-License-Identifier: Apache-2.0
"""One step of a build: its environment, its timeout, and the explanation of its failure."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, Final, List

from runtime.host.errors import BuildError
from runtime.host.firmware.compilers import COMPILER_ENVIRONMENT
from runtime.host.project.platform import API_SERVER, BUILD_FILES
from runtime.host.system.logs import log_command
from runtime.host.system.programs import ToolResult, run_tool
from runtime.host.system.regular_files import read_text

STAGE_TIMEOUT_SEC: Final = 900.0  # a compiler that takes longer has hung
LOG_TAIL_LINES: Final = 60
# Environment variables that make and CMake read, and which would change the build. MAKEFILES can include
# others.
MAKES_OWN: Final = ("MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MAKE")
CMAKES_OWN: Final = ("CMAKE_", "VERBOSE", "DESTDIR")  # prefixes of names
# Variables that an owner may set for a build. Any other variable in the Makefile is internal to the Makefile.
FOR_THE_BUILD: Final = frozenset({*COMPILER_ENVIRONMENT, "LDFLAGS", "CC", "CXX", "PATH", "HOME", "TMPDIR"})
VARIABLE: Final = re.compile(r"\$[({](\w+)")
STAGE_WORDS: Final = {
    "configure": "configuring the build",
    "runtime": "compiling the device runtime and the platform",
    "cmsis": "compiling CMSIS",
    "model": "compiling the model",
    "link": "linking the firmware",
    "build_command": f"running build_command of {API_SERVER}",
}
# The first error line: of the compiler, or else of the linker or make (OTHER_ERROR).
COMPILER_ERROR: Final = re.compile(r"^.+?:\d+:(?:\d+:)? (?:fatal )?error: .+$", re.MULTILINE)
OWNERS_FILES: Final = ("src/", "extra/")  # files of a project that an owner edits
# Errors of code for another processor: its headers, instructions, registers or object files.
FOREIGN: Final = re.compile(
    r"arm_acle|arm_mve|__builtin_arm|impossible constraint in .?asm|inconsistent operand constraints"
    r"|selected processor|unrecognized opcode|wrong format|not recognized|[Ii]ncompatible with"
    r"|Relocations in generic|uses VFP register|target specific option mismatch|bad instruction"
)
UNDEFINED: Final = re.compile(r"undefined reference to [`'\"]([^'`\"\n]+)")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
OTHER_ERROR: Final = re.compile(
    r"^.*(?:undefined reference to .+|multiple definition of .+|overflowed by .+|CMake Error.*|"
    r"cannot find .+|.+: file (?:format )?not recognized.*|No rule to make target .+| error: .+)$",
    re.MULTILINE,
)


def run_stage(stage: str, argv: List[str], directory: Path, **variables: str) -> float:
    """Run one step of a build, and return its seconds.

    Args:
        stage: Key of STAGE_WORDS.
        argv: Command line.
        directory: Directory of the project, in which the command runs.
        variables: Environment variables to set in addition to the inherited ones.

    Raises:
        BuildError: The command failed, or did not exit within STAGE_TIMEOUT_SEC.
    """
    env = {**_environment(directory), **variables}
    result = run_tool(argv, cwd=directory, timeout_sec=STAGE_TIMEOUT_SEC, env=env)
    log_command(result.command, result.output)
    if result.exit_code != 0 or result.timed_out:
        raise _build_error(stage, result, directory)
    return result.seconds


def _environment(directory: Path) -> Dict[str, str]:
    """Return the environment of a build.

    Variables that change make or CMake are left out. The internal variables of the Makefile are also left
    out, because make would import them from the environment.
    """
    makefile = directory / BUILD_FILES["make"]
    mentioned = set(VARIABLE.findall(read_text(makefile))) if makefile.is_file() else set()
    own = mentioned - FOR_THE_BUILD
    return {
        name: value
        for name, value in os.environ.items()
        if name not in MAKES_OWN and name not in own and not name.startswith(CMAKES_OWN)
    }


def _build_error(stage: str, result: ToolResult, directory: Path) -> BuildError:
    tail = "\n".join(result.output.splitlines()[-LOG_TAIL_LINES:])
    log = f"$ {result.command}\n{tail}"
    if result.timed_out:
        return BuildError(
            f"The build hung while {STAGE_WORDS[stage]}, and was stopped after {STAGE_TIMEOUT_SEC:.0f} s.",
            "Run the command in the log below by hand to find where it waits.",
            log,
        )
    plain = COLOUR.sub("", result.output).replace(f"{directory}/", "")  # CMake prints absolute paths
    found = COMPILER_ERROR.search(plain) or OTHER_ERROR.search(plain)
    first = found.group(0).strip() if found else f"{result.command} exited with status {result.exit_code}"
    next_step = "Fix the first error in the log below, which begins with the failing command."
    if stage in ("model", "link") and not first.startswith(OWNERS_FILES):
        next_step = _about_the_model(plain)
    return BuildError(f"The build failed while {STAGE_WORDS[stage]}: {first.rstrip('.:')}.", next_step, log)


def _about_the_model(output: str) -> str:
    """Return the next step for a model's code that does not compile or link, from the compiler's output."""
    missing = UNDEFINED.search(output)
    if FOREIGN.search(output):
        return (
            "Check that the model archive was exported for the target of this board. The log below begins "
            "with the failing command."
        )
    if missing:
        return f"Add a C file that defines {missing[1]}, with -o extra_files_tar=FILES.tar."
    return (
        "Export the model again for the target `c` with the packed interface and without other options, or "
        "for the graph executor. The log below begins with the failing command."
    )
