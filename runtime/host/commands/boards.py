# SPDX-License-Identifier: Apache-2.0
"""Commands about boards: which there are, at which serial ports, and what one sends by itself."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional

import click
from rich.text import Text

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import PROCESS, Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.app import attachment_options, main, platform_here, project_for
from runtime.host.commands.console import Screen, err, format_size, out
from runtime.host.errors import PlatformError
from runtime.host.execution import connection
from runtime.host.firmware.build import build
from runtime.host.project.platform import Platform

if TYPE_CHECKING:
    from runtime.host.transports.base import Transport


@main.command()
def boards() -> None:
    """List the boards of this platform."""
    for board in platform_here().boards().values():
        out.print(Text.assemble((board.name, "bold"), " (default)" if board.default else ""))
        out.print(f"    {board.label}")
        out.print(
            f"    transport {board.transport}, flash {format_size(board.flash_bytes)}, "
            f"RAM {format_size(board.ram_bytes)}, verified: {board.verified}"
        )


@main.command()
def ports() -> None:
    """List serial ports and the boards at them."""
    from runtime.host.execution.choose_port import boards_at
    from runtime.host.transports.serial_ports import list_ports

    known = platform_here().boards().values()
    found = list_ports()
    for port in found:
        out.print(Text.assemble((port.path, "bold"), f"  {port.description}" if port.description else ""))
        if port.usb_id:
            number = f", serial number {port.serial_number}" if port.serial_number else ""
            out.print(f"    USB {port.usb_id}{number}")
        names = boards_at(port, known)
        out.print(f"    may be: {', '.join(names) or 'none that this platform knows by its USB ids'}")
    if not found:
        out.print("This machine has no serial port. A port that is not listed is named with --port.")


@main.command()
@click.argument("model", type=click.Path(path_type=Path), required=False, metavar="[MODEL.tar]")
@attachment_options
@click.option("--seconds", type=click.FloatRange(min=0), metavar="N", help="Stop after so long.")
def monitor(model: Optional[Path], attachment: Attachment, seconds: Optional[float]) -> None:
    """Show what a board sends by itself.

    Log messages, a line for each other frame, and raw bytes as text. Nothing is sent to the board, and it
    is not reset. One that vanishes is waited for. A board that is emulated, or a process of this machine,
    is started for it, with the firmware of MODEL.tar or of the project here. Ctrl-C ends it.
    """
    from runtime.host.wire.monitor import watch

    platform = platform_here()
    project = project_for(model, None, ()) if platform.is_project or model is not None else None
    board = project.board if project is not None else choose_board(platform.boards(), None)
    here = project is not None and connection.is_local(project, attachment)
    if project is not None and here:
        build(project)
        make: Callable[[], Transport] = functools.partial(connection.transport_for, project, attachment)
    else:
        make = functools.partial(_attached_board, platform, board, attachment)

    def open_transport() -> Transport:
        transport = make()
        transport.open()
        return transport

    screen = Screen()
    watch(
        open_transport,
        lambda text: screen.line(text.rstrip("\n"), "log: "),
        lambda text: screen.line(f"[{text}]"),
        screen.raw,
        lambda text: err.print(Text(text, "dim")),
        seconds=seconds,
        reconnect=not here,
    )


def _attached_board(platform: Platform, board: Board, attachment: Attachment) -> Transport:
    """The way to a board beside this machine, not opened yet, which leaves the board as it is."""
    if not attachment.names_a_device and (board.transport == PROCESS or board.is_emulated):
        raise PlatformError(
            f"{board.name} is not attached to this machine but started on it, with a firmware.",
            "Name a model archive (monitor MODEL.tar), run this in a project, or name a board's --port.",
        )
    return connection.transport_to(platform, board, attachment, reset="none")
