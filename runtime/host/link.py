# SPDX-License-Identifier: Apache-2.0
"""The way to a project's device: which transport its board uses, and how long a session may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.host.errors import TransportError
from runtime.host.project import Project

if TYPE_CHECKING:
    from runtime.host.transports.base import Transport

# Seconds. A process answers in milliseconds; the last one bounds the longest single call (a time evaluator).
SESSION_START_RETRY_TIMEOUT_SEC: Final = 2.0
SESSION_START_TIMEOUT_SEC: Final = 10.0
SESSION_ESTABLISHED_TIMEOUT_SEC: Final = 300.0


def open_transport(project: Project) -> Transport:
    """An open transport to the project's device. Raises TransportError where nothing can be opened."""
    from runtime.host.transports.process import ProcessTransport

    if project.project_type == "standalone":
        raise TransportError(
            "This project is standalone: its firmware runs the model by itself and holds no session.",
            "Generate it with project_type=host_driven to drive it from here.",
        )
    if not project.firmware.is_file():
        raise TransportError(
            f"There is no firmware to start: {project.firmware} does not exist.",
            "Build and flash the project first.",
        )
    transport = ProcessTransport([str(project.firmware)], cwd=str(project.directory))
    transport.open()
    return transport
