# SPDX-License-Identifier: Apache-2.0
"""Commands about boards: boards, ports, monitor."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Sequence, Tuple

import click
from rich.table import Table
from rich.text import Text

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import PROCESS, Board
from runtime.host.commands.app import main, platform_here
from runtime.host.commands.command_options import (
    TargetCommand,
    json_option,
    model_argument,
    target_options,
    verbose_option,
)
from runtime.host.commands.console import Screen, err, format_size, out, progress, short_size
from runtime.host.commands.json_output import board_fields, print_document
from runtime.host.commands.model_options import Shapes, compile_options
from runtime.host.commands.target import ATTACH, GENERATE, ModelSource, Target, project_of
from runtime.host.errors import BoardError, PlatformError
from runtime.host.execution import connection
from runtime.host.firmware.build import build
from runtime.host.project.platform import Platform

if TYPE_CHECKING:
    from runtime.host.transports.base import Transport


@main.command()
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@json_option
def boards(words: Tuple[str, ...], as_json: bool) -> None:
    """List the boards of this platform.

    With FILTER, list those that contain each of its words in name, label, core, transport, runners or state
    of verification. A single board is shown in full.
    """
    known = list(platform_here().boards().values())
    found = [board for board in known if all(word.lower() in _searched(board) for word in words)]
    if not found:
        raise BoardError(
            f"No board of this platform contains {' and '.join(map(repr, words))}.",
            f"Leave out the filter to list all {len(known)} boards.",
        )
    if as_json:
        print_document("boards", {"boards": [board_fields(board) for board in found]})
    elif len(found) == 1:
        _print_board(found[0])
    else:
        _print_boards(found)


def _searched(board: Board) -> str:
    words = (board.name, board.label, board.cpu or "", board.transport, board.verified, *board.runners)
    return " ".join(words).lower()


def _print_boards(found: Sequence[Board]) -> None:
    """Print one line per board, at most 80 columns for the boards of the template."""
    table = Table(show_edge=False, pad_edge=False, box=None)
    for heading in ("board", "core", "flash", "RAM", "verified", "runner"):
        number = heading in ("flash", "RAM")
        table.add_column(heading, no_wrap=True, justify="right" if number else "left", overflow="fold")
    for board in found:
        table.add_row(
            Text(board.name + (" (default)" if board.default else ""), "bold"),
            board.cpu or ("this machine" if board.transport == PROCESS else "-"),
            short_size(board.flash_bytes),
            short_size(board.ram_bytes),
            board.verified,
            board.runner or "-",
        )
    out.print(table, soft_wrap=False, crop=False)


def _print_board(board: Board) -> None:
    out.print(Text.assemble((board.name, "bold"), " (default)" if board.default else ""))
    out.print(f"    {board.label}")
    out.print(
        f"    transport {board.transport}, flash {format_size(board.flash_bytes)}, "
        f"RAM {format_size(board.ram_bytes)}, verified: {board.verified}"
    )
    if board.cpu:
        out.print(f"    core {board.cpu}")
    if board.uart and board.uart.pins:
        out.print(f"    UART {board.uart.pins}, {board.uart.baud:,} baud")
    if board.runners:
        names = [f"{name} (default)" if name == board.runner else name for name in board.runners]
        out.print(f"    runners {', '.join(names)}")


@main.command()
@json_option
def ports(as_json: bool) -> None:
    """List serial ports and the boards at them."""
    from runtime.host.execution.choose_port import boards_at
    from runtime.host.transports.serial_ports import list_ports

    known = platform_here().boards().values()
    found = [(port, boards_at(port, known)) for port in list_ports()]
    if as_json:
        fields = [{**port._asdict(), "boards": names} for port, names in found]
        print_document("ports", {"ports": fields})
        return
    for port, names in found:
        out.print(Text.assemble((port.path, "bold"), f"  {port.description}" if port.description else ""))
        if port.usb_id:
            number = f", serial number {port.serial_number}" if port.serial_number else ""
            out.print(f"    USB {port.usb_id}{number}")
        out.print(f"    boards: {', '.join(names) or 'no known board has this USB id'}")
    if not found:
        out.print("This machine has no serial port. Name a port that is not listed with --port.")


@main.command(cls=TargetCommand)
@model_argument
@compile_options
@target_options(GENERATE, ATTACH)
@click.option(
    "--seconds", type=click.FloatRange(min=0), metavar="N", help="Stop after this time. Default: at Ctrl-C."
)
@verbose_option
def monitor(
    model: Optional[Path], input_shapes: Shapes, verify: bool, target: Target, seconds: Optional[float]
) -> None:
    """Show the output of a board.

    The output is log messages, a line for each other frame, and raw bytes as text. The command sends
    nothing to the board and does not reset it. It waits for a board that is disconnected. An emulated
    board, or one that is a process on this machine, is started with the firmware of MODEL or of the current
    project.
    """
    from runtime.host.wire.monitor import watch

    platform, attachment = target.platform, target.attachment
    source = ModelSource(model, input_shapes, verify)
    project = project_of(target, source, None) if platform.is_project or model is not None else None
    board = project.board if project is not None else target.board
    here = project is not None and connection.is_local(project, attachment)
    if project is not None and here:
        with progress(f"Building the firmware for {board.name}"):
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
    """Create, but do not open, the transport of a connected board, which leaves the board as it is."""
    if not attachment.names_a_device and (board.transport == PROCESS or board.is_emulated):
        raise PlatformError(
            f"{board.name} is not connected to this machine: it is started here, with a firmware.",
            "Name a model (monitor MODEL), use a project, or name the --port of a board.",
        )
    return connection.transport_to(platform, board, attachment, reset="none")
