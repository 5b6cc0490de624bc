# SPDX-License-Identifier: Apache-2.0
"""The way to a project's firmware: the transport of its board and how long a session may take, or one run of
a firmware that holds no session."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from runtime.host.errors import TransportError
from runtime.host.project import Project

if TYPE_CHECKING:
    from runtime.host.transports.base import Transport

# Seconds. A process answers in milliseconds; the last one bounds the longest single call (a time evaluator).
SESSION_START_RETRY_TIMEOUT_SEC: Final = 2.0
SESSION_START_TIMEOUT_SEC: Final = 10.0
SESSION_ESTABLISHED_TIMEOUT_SEC: Final = 300.0
STANDALONE_TIMEOUT_SEC: Final = 60.0


def open_transport(project: Project) -> Transport:
    """An open transport to the project's device. Raises TransportError where nothing can be opened."""
    from runtime.host.transports.process import ProcessTransport

    if project.project_type == "standalone":
        raise TransportError(
            "This project is standalone: its firmware runs the model by itself and holds no session.",
            "Generate it with project_type=host_driven to drive it from here.",
        )
    _check_built(project)
    transport = ProcessTransport([str(project.firmware)], cwd=str(project.directory))
    transport.open()
    return transport


def run_standalone(project: Project) -> str:
    """Run a standalone firmware of this machine to its end; its report, which is text.

    Raises TransportError where it does not end in time, crashes or says that the model failed.
    """
    from runtime.host.tools import run_tool

    _check_built(project)
    result = run_tool([str(project.firmware)], cwd=project.directory, timeout_sec=STANDALONE_TIMEOUT_SEC)
    if result.timed_out:
        raise TransportError(
            f"The standalone firmware did not end within {STANDALONE_TIMEOUT_SEC:.0f} s.",
            f"Run it in a debugger to see where it waits: {project.firmware}",
            result.output,
        )
    if result.exit_code < 0:
        raise TransportError(
            f"The standalone firmware was ended by {signal.Signals(-result.exit_code).name}.",
            f"Run it in a debugger to see where it crashed: {project.firmware}",
            result.output,
        )
    if result.exit_code != 0:
        raise TransportError(
            f"The standalone firmware failed with exit status {result.exit_code}.",
            "Its report below says why.",
            result.output,
        )
    return result.output


def _check_built(project: Project) -> None:
    if not project.firmware.is_file():
        raise TransportError(
            f"There is no firmware to start: {project.firmware} does not exist.",
            "Build and flash the project first.",
        )
