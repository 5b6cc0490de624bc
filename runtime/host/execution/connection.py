# SPDX-License-Identifier: Apache-2.0
"""Transports to the device of a project, and the timeouts of its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Optional

from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import EMULATOR, PROCESS
from runtime.host.errors import BoardError, TransportError
from runtime.host.project.attachment_rules import check_attachment
from runtime.host.project.project import Project
from runtime.host.transports.address import parse_address

if TYPE_CHECKING:
    from runtime.host.boards.board import Board
    from runtime.host.project.platform import Platform
    from runtime.host.transports.base import Transport

# A device replies in milliseconds. The last timeout bounds the longest single call, a time evaluator.
SESSION_START_RETRY_TIMEOUT_SEC: Final = 1.0
SESSION_START_TIMEOUT_SEC: Final = 10.0
SESSION_ESTABLISHED_TIMEOUT_SEC: Final = 300.0

USUAL_BAUD: Final = 115200


def open_transport(project: Project, attachment: Attachment = BY_DEFAULT) -> Transport:
    """Return an open transport to the project's device.

    If opening the transport starts the device, the function waits up to 1 s until the device can receive.

    Raises:
        TransportError: The transport cannot be opened, or the project is standalone.
    """
    if project.settings.project_type == "standalone":
        raise TransportError(
            "This project is standalone: its firmware runs the model without the host and has no session.",
            "Generate the project with project_type=host_driven to drive the model from the host.",
        )
    from runtime.host.wire.readiness import open_when_ready

    transport = transport_for(project, attachment)
    open_when_ready(transport)
    return transport


def is_emulated(project: Project, attachment: Attachment) -> bool:
    """Return whether the project's device is an emulator that is started for each session."""
    board = project.board
    if not attachment.runner and project.platform.is_flashed_by_owner(board.name):
        return False
    runner = attachment.runner or project.settings.runner
    return wants_emulator(board, attachment._replace(runner=runner))


def instruction_ns(project: Project, attachment: Attachment) -> Optional[int]:
    """Return the nanoseconds of the device's time per instruction; None for a device in real time."""
    if not is_emulated(project, attachment):
        return None
    from runtime.host.runners.qemu import INSTRUCTION_NS, counts_instructions

    return INSTRUCTION_NS if counts_instructions(project.board) else None


def wants_emulator(board: Board, attachment: Attachment) -> bool:
    """Return whether a board with this attachment is emulated; no runner selects the board's default."""
    return (attachment.runner or board.runner) == EMULATOR and not attachment.names_a_device


def is_local(project: Project, attachment: Attachment) -> bool:
    """Return whether the device is a process on this machine that runs the project's firmware."""
    return project.board.transport == PROCESS or is_emulated(project, attachment)


def transport_for(project: Project, attachment: Attachment = BY_DEFAULT) -> Transport:
    """Create, but do not open, the transport to the project's device."""
    board = project.board
    check_attachment(project.platform, board, attachment)
    if is_emulated(project, attachment):
        from runtime.host.runners import qemu
        from runtime.host.transports.emulator import EmulatorTransport

        check_built(project)
        firmware = str(project.firmware)
        return EmulatorTransport(lambda uart: qemu.argv(firmware, board, uart), cwd=str(project.directory))
    if board.transport == PROCESS:
        from runtime.host.transports.process import ProcessTransport

        check_built(project)
        return ProcessTransport([str(project.firmware)], cwd=str(project.directory))
    return transport_to(project.platform, board, attachment, board.reset)


def transport_to(platform: Platform, board: Board, attachment: Attachment, reset: str) -> Transport:
    """Create, but do not open, the transport to a real board.

    Args:
        platform: Platform, which may set the port and the baud rate.
        board: Board to connect to.
        attachment: How the board is attached.
        reset: Effect of opening the serial port on the board, a value of `reset` in boards.json.
    """
    port = attachment.port
    if not attachment.names_a_device:
        port = platform.port or board.address
    socket_address = parse_address(port) if port else None
    if socket_address is not None:
        from runtime.host.transports.socket import SocketTransport

        return SocketTransport(*socket_address)
    if board.transport == "socket":
        raise BoardError(
            f"boards.json: board {board.name!r} has an invalid address: expected HOST:PORT, got {port!r}.",
            'Set "address": "HOST:PORT" in the entry of the board, or add --port HOST:PORT.',
        )
    from runtime.host.execution.choose_port import choose_port
    from runtime.host.transports.serial import SerialTransport

    baud = attachment.baud_rate or platform.baud_rate or (board.uart.baud if board.uart else USUAL_BAUD)
    return SerialTransport(choose_port(board, port, attachment.serial_number), baud, reset)


def check_built(project: Project) -> None:
    """Raise TransportError if the firmware does not exist."""
    if not project.firmware.is_file():
        raise TransportError(
            f"Firmware {project.firmware} does not exist.",
            "Build and flash the project first.",
        )
