# SPDX-License-Identifier: Apache-2.0
"""Putting the firmware where it runs: the owner's flash command, or nothing for a process on this machine."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Dict, Final, List

from runtime.host.errors import FlashError
from runtime.host.platform import API_SERVER
from runtime.host.project import Project
from runtime.host.tools import find_tool, run_tool

TIMEOUT_SEC: Final = 300.0


def flash(project: Project, *, runner: object = None, serial_number: object = "", port: object = None, baud_rate: object = None, verbose: bool = False) -> None:
    """Put the firmware on the project's board. Raises FlashError, whose log is what the command printed;
    ToolMissing."""
    if not project.firmware.is_file():
        raise FlashError(
            f"There is no firmware to flash: {project.firmware} does not exist.",
            "Build the project first.",
        )
    argv = flash_argv(project, str(serial_number or ""))
    if not argv:
        return
    _check_program(argv[0])
    result = run_tool(argv, cwd=project.directory, timeout_sec=TIMEOUT_SEC)
    log = f"$ {shlex.join(argv)}\n{result.output}"
    if verbose:
        print(log, end="", file=sys.stderr)
    if result.exit_code != 0 or result.timed_out:
        why = (
            f"did not end within {TIMEOUT_SEC:.0f} s"
            if result.timed_out
            else f"ended with exit code {result.exit_code}"
        )
        raise FlashError(
            f"The flash command {why}: {shlex.join(argv)}",
            "Check that the board is attached and powered; what the command printed is below. "
            f"The command is flash_command in {API_SERVER}.",
            log,
        )


def flash_argv(project: Project, serial_number: str = "") -> List[str]:
    """The owner's command with its fields filled in; empty where nothing is to be flashed.

    A program that is named by a relative path is one of the project's files.
    """
    fields: Dict[str, str] = {
        "firmware": str(project.firmware),
        "project": str(project.directory),
        "serial_number": serial_number,
    }
    try:
        argv = [part.format(**fields) for part in project.platform.flash_command or ()]
    except (LookupError, ValueError, AttributeError) as error:
        raise FlashError(
            f"flash_command in {API_SERVER} has a field that does not exist or is not whole: {error}.",
            f"Fields are {', '.join('{' + name + '}' for name in fields)}; write a plain brace twice.",
        ) from error
    if argv and os.sep in argv[0]:
        argv[0] = str(project.directory / argv[0])
    return argv


def _check_program(program: str) -> None:
    if os.sep not in program:
        find_tool(program, "flash the board")
    elif not os.access(program, os.X_OK):
        raise FlashError(
            f"The flash command cannot be run: {program} is missing or not executable.",
            f"Restore it, set its run bit with chmod +x, or change flash_command in {API_SERVER}.",
        )


def flash_commands(project: Project, *, runner: object = None, serial_number: object = "", port: object = None, baud_rate: object = None) -> List[List[str]]:
    argv = flash_argv(project, str(serial_number or ""))
    return [argv] if argv else []
