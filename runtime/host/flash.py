# SPDX-License-Identifier: Apache-2.0
"""Putting the firmware where it runs: the owner's flash command, or nothing for a process on this machine."""

from __future__ import annotations

import sys
from typing import Dict, List

from runtime.host.errors import FlashError
from runtime.host.project import Project
from runtime.host.tools import find_tool, run_tool

TIMEOUT_SEC = 300.0


def flash(project: Project, *, serial_number: str = "", verbose: bool = False) -> None:
    """Put the firmware on the project's board. Raises FlashError, ToolMissing."""
    if not project.firmware.is_file():
        raise FlashError(
            f"There is no firmware to flash: {project.firmware} does not exist.",
            "Build the project first: python -m runtime.host build",
        )
    argv = flash_argv(project, serial_number)
    if not argv:
        return
    find_tool(argv[0], "flash the board")
    result = run_tool(argv, cwd=project.directory, timeout_sec=TIMEOUT_SEC)
    if verbose:
        print(f"$ {result.command}\n{result.output}", end="", file=sys.stderr)
    if result.exit_code != 0 or result.timed_out:
        why = "took too long" if result.timed_out else f"ended with exit code {result.exit_code}"
        raise FlashError(
            f"The flash command {why}: {result.command}",
            "Run it by hand in the project directory; FLASH_COMMAND in microtvm_api_server.py holds it.",
            f"$ {result.command}\n{result.output}",
        )


def flash_argv(project: Project, serial_number: str = "") -> List[str]:
    """The owner's command with its fields filled in; empty where nothing is to be flashed."""
    fields: Dict[str, str] = {
        "firmware": str(project.firmware),
        "project": str(project.directory),
        "serial_number": serial_number,
    }
    try:
        return [part.format(**fields) for part in project.platform.flash_command or ()]
    except (KeyError, IndexError, ValueError) as error:
        raise FlashError(
            f"FLASH_COMMAND in microtvm_api_server.py has a field that does not exist: {error}.",
            f"Fields are: {', '.join('{' + name + '}' for name in fields)}.",
        ) from error
