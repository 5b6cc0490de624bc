# SPDX-License-Identifier: Apache-2.0
"""One step of a build: its environment, its deadline, and what its failure means."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, Final, List

from runtime.host.errors import BuildError
from runtime.host.firmware.fingerprint import COMPILER_ENVIRONMENT
from runtime.host.project.platform import API_SERVER, BUILD_FILES
from runtime.host.system.logs import log_command
from runtime.host.system.programs import ToolResult, run_tool
from runtime.host.system.regular_files import read_text

STAGE_TIMEOUT_SEC: Final = 900.0  # a compiler that takes longer hangs
LOG_TAIL_LINES: Final = 60
# What make and CMake read of the environment on their own, which would change what is built: MAKEFILES
# names more of them.
MAKES_OWN: Final = ("MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MAKE")
CMAKES_OWN: Final = ("CMAKE_", "VERBOSE", "DESTDIR")  # beginnings of names
# What an owner sets for a build, though the build files mention it. All else that they mention is theirs.
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
# The first line that says what is wrong: a compiler's, or else the linker's or make's.
COMPILER_ERROR: Final = re.compile(r"^.+?:\d+:(?:\d+:)? (?:fatal )?error: .+$", re.MULTILINE)
OWNERS_FILES: Final = ("src/", "extra/")  # what an owner edits in a project
# Code for another processor: its headers, instructions, registers or object files.
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
    """Run one step of a build in a directory; return its seconds. Raises BuildError.

    variables: of the environment, on top of what a build gets of ours.
    """
    env = {**_environment(directory), **variables}
    result = run_tool(argv, cwd=directory, timeout_sec=STAGE_TIMEOUT_SEC, env=env)
    log_command(result.command, result.output)
    if result.exit_code != 0 or result.timed_out:
        raise _build_error(stage, result, directory)
    return result.seconds


def _environment(directory: Path) -> Dict[str, str]:
    """Return the environment of a build: without what changes make or CMake, and without variables that the
    Makefile uses for itself, which make would take from there."""
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
            f"The build hung while {STAGE_WORDS[stage]}: no end after {STAGE_TIMEOUT_SEC:.0f} s.",
            "Run the command below by hand to see where it waits.",
            log,
        )
    plain = COLOUR.sub("", result.output).replace(f"{directory}/", "")  # CMake names whole paths
    found = COMPILER_ERROR.search(plain) or OTHER_ERROR.search(plain)
    first = found.group(0).strip() if found else f"{result.command} ended with exit code {result.exit_code}"
    next_step = "The log below has the failing command; the first error is the one to mend."
    if stage in ("model", "link") and not first.startswith(OWNERS_FILES):
        next_step = _about_the_model(plain)
    return BuildError(f"The build failed while {STAGE_WORDS[stage]}: {first}", next_step, log)


def _about_the_model(output: str) -> str:
    """What to do about a model's code that does not compile or link, by what the compiler printed."""
    missing = UNDEFINED.search(output)
    if FOREIGN.search(output):
        return (
            "Check that the model archive was made for this board (its target); the log below has the "
            "failing command."
        )
    if missing:
        return f"Add a C file that defines {missing[1]}, with -o extra_files_tar=FILES.tar."
    return (
        "Export the model again for the target `c` with the packed interface and without further options, or "
        "for the graph executor; the log below has the failing command."
    )
