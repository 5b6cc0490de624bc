# SPDX-License-Identifier: Apache-2.0
"""The way to a project's firmware: the transport of its board and how long a session may take, or one run of
a firmware that holds no session."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING, Any, Final, Optional

from runtime.host.boards.board import EMULATOR, PROCESS
from runtime.host.errors import BoardError, TransportClosed, TransportError, TransportTimeout
from runtime.host.project.project import Project
from runtime.host.transports.address import parse_address

if TYPE_CHECKING:
    from runtime.host.boards.board import Board
    from runtime.host.project.platform import Platform
    from runtime.host.transports.base import Transport

# Seconds. A device answers in milliseconds; the last one bounds the longest single call (a time evaluator).
SESSION_START_RETRY_TIMEOUT_SEC: Final = 1.0
SESSION_START_TIMEOUT_SEC: Final = 10.0
SESSION_ESTABLISHED_TIMEOUT_SEC: Final = 300.0
STANDALONE_TIMEOUT_SEC: Final = 60.0

OUTCOME: Final = re.compile(r"^outcome: (\d+)\s*$", re.MULTILINE)  # the last line of a standalone's report
TAIL_BYTES: Final = 128 << 10  # of a report, in which its outcome is looked for: more than one read gives
MAX_REPORT_BYTES: Final = 4 << 20
USUAL_BAUD: Final = 115200


def open_transport(
    project: Project,
    *,
    runner: Optional[str] = None,
    port: Optional[str] = None,
    serial_number: Optional[str] = None,
    baud_rate: Optional[int] = None,
) -> Transport:
    """An open transport to the project's device, which can receive when this opening has started it.

    runner: qemu for the emulated board; as a default what the project was generated with, else the board's.
    port: a serial port or HOST:PORT; it and serial_number mean a real board. Raises TransportError where
    nothing can be opened.
    """
    if project.project_type == "standalone":
        raise TransportError(
            "This project is standalone: its firmware runs the model by itself and holds no session.",
            "Generate it with project_type=host_driven to drive it from here.",
        )
    from runtime.host.wire.readiness import open_when_ready

    transport = transport_for(
        project, runner=runner, port=port, serial_number=serial_number, baud_rate=baud_rate
    )
    open_when_ready(transport)
    return transport


def is_emulated(
    project: Project,
    *,
    runner: Optional[str] = None,
    port: Optional[str] = None,
    serial_number: Optional[str] = None,
    **_: Any,
) -> bool:
    """Whether the project's device is an emulator that is started for each session."""
    board = project.board()
    if not runner and project.platform.is_flashed_by_owner(board.name):
        return False
    return wants_emulator(board, runner or project.settings.get("runner"), port, serial_number)


def wants_emulator(
    board: Board, runner: Optional[str], port: Optional[str], serial_number: Optional[str]
) -> bool:
    """Whether a board that is attached so is an emulated one. runner: None for the board's own."""
    return (runner or board.runner) == EMULATOR and not port and not serial_number


def starts_here(project: Project, **attached: Any) -> bool:
    """Whether the device is a process of this machine, started with the project's firmware."""
    return project.board().transport == PROCESS or is_emulated(project, **attached)


def transport_for(
    project: Project,
    *,
    runner: Optional[str] = None,
    port: Optional[str] = None,
    serial_number: Optional[str] = None,
    baud_rate: Optional[int] = None,
) -> Transport:
    """The same, not opened yet."""
    board = project.board()
    if is_emulated(project, runner=runner, port=port, serial_number=serial_number):
        from runtime.host.runners import qemu
        from runtime.host.transports.emulator import EmulatorTransport

        _check_built(project)
        firmware = str(project.firmware)
        return EmulatorTransport(lambda uart: qemu.argv(firmware, board, uart), cwd=str(project.directory))
    if board.transport == PROCESS:
        from runtime.host.transports.process import ProcessTransport

        check_port(board, port)
        _check_built(project)
        return ProcessTransport([str(project.firmware)], cwd=str(project.directory))
    return attached_transport(
        project.platform,
        board,
        port=port,
        serial_number=serial_number,
        baud_rate=baud_rate,
        reset=board.reset,
    )


def check_port(board: Board, port: Optional[str]) -> None:
    """Raises BoardError for a port of a board that has none."""
    if port and board.transport == PROCESS:
        raise BoardError(
            f"The board {board.name} is a process of this machine, and port {port!r} is none of its.",
            "Leave the port out, or choose a board that is attached.",
        )


def attached_transport(
    platform: Platform,
    board: Board,
    *,
    port: Optional[str],
    serial_number: Optional[str],
    baud_rate: Optional[int],
    reset: str,
) -> Transport:
    """The way to a real board, not opened yet. reset: what its opening does to the board, see boards.json."""
    if not port and not serial_number:
        port = platform.port or board.address
    socket_address = parse_address(port) if port else None
    if socket_address is not None:
        from runtime.host.transports.socket import SocketTransport

        return SocketTransport(*socket_address)
    if board.transport == "socket":
        raise BoardError(
            f"boards.json: board {board.name!r} is reached over a socket, and its address is {port!r}.",
            'Give it "address": "HOST:PORT", or name one with --port HOST:PORT.',
        )
    from runtime.host.execution.choose_port import choose_port
    from runtime.host.transports.serial import SerialTransport

    baud = baud_rate or platform.baud_rate or (board.uart.baud if board.uart else USUAL_BAUD)
    return SerialTransport(choose_port(board, port, serial_number), baud, reset)


def run_standalone(project: Project, **attached: Any) -> str:
    """Run a standalone firmware to the end of its report, which is text.

    attached: as of open_transport. Raises TransportError where it does not end in time, crashes or says that
    the model failed.
    """
    if project.cross:
        return _read_report(project, transport_for(project, **attached))
    return _run_here(project)


def _run_here(project: Project) -> str:
    """A firmware that is a program of this machine."""
    from runtime.host.system.programs import run_tool

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


def _read_report(project: Project, transport: Transport) -> str:
    """What a firmware on a board sends until its outcome."""
    report = b""
    deadline = time.monotonic() + STANDALONE_TIMEOUT_SEC
    transport.open()
    try:
        while not OUTCOME.search(report[-TAIL_BYTES:].decode("utf-8", "replace")):
            report += transport.read(1, max(0.0, deadline - time.monotonic()))
            if len(report) > MAX_REPORT_BYTES:
                raise TransportClosed("It sends without an end.", "Look at what it sends.")
    except (TransportTimeout, TransportClosed) as error:
        raise TransportError(
            f"The standalone firmware sent no outcome within {STANDALONE_TIMEOUT_SEC:.0f} s.",
            f"Reset the board so that it runs again; {error.what}",
            report.decode("utf-8", "replace"),
        ) from error
    finally:
        transport.close()
    text = report.decode("utf-8", "replace")
    outcome = OUTCOME.search(text)
    if outcome is None or outcome[1] != "0":
        raise TransportError("The standalone firmware failed.", "Its report below says why.", text)
    return text


def _check_built(project: Project) -> None:
    if not project.firmware.is_file():
        raise TransportError(
            f"There is no firmware to start: {project.firmware} does not exist.",
            "Build and flash the project first.",
        )
