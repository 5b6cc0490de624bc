# SPDX-License-Identifier: Apache-2.0
"""The command that lends a board to TVM: serve."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Callable, Iterator, Optional

import click

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import EMULATOR, PROCESS, Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.app import attachment_options, main, platform_here
from runtime.host.commands.console import out, show_error
from runtime.host.errors import PlatformError
from runtime.host.execution import connection
from runtime.host.project.platform import BUNDLED_MODEL
from runtime.host.system.leftovers import SERVE, scratch_directory, temporary_directory
from runtime.host.transports.address import parse_address
from runtime.host.tvm_rpc.tracker import Address

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@main.command()
@click.option("--tracker", required=True, metavar="HOST:PORT", help="TVM's RPC tracker.")
@click.option("--key", required=True, metavar="KEY", help="The name of its queue: what clients ask for.")
@click.option("--board", metavar="NAME", help="The board to build for; the platform's own by default.")
@attachment_options
@click.option(
    "--boards",
    "count",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Serve so many boards that are processes or emulators of this machine.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on. TVM's RPC knows no passwords: trusted networks only.",
)
@click.option(
    "--listen-port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="The TCP port to listen on; any that is free by default.",
)
def serve(
    tracker: str,
    key: str,
    board: Optional[str],
    attachment: Attachment,
    count: int,
    host: str,
    listen_port: int,
) -> None:
    """Lend a board to TVM's tuners, until Ctrl-C.

    TVM's RPC tracker gives it to one client at a time. Each model archive that a client sends is generated,
    built, flashed and run by this platform.
    """
    from runtime.host.serve import trial, worker_pool
    from runtime.host.serve.request import Served
    from runtime.host.serve.server import Server

    platform = platform_here()
    if platform.is_project:
        raise PlatformError("This directory is a generated project.", "Serve from the platform's directory.")
    address = _address(tracker)
    _check_key(key)
    if host in LOOPBACK and address[0] not in LOOPBACK:
        raise PlatformError(
            f"The tracker is on {address[0]}, and nobody there could reach a board on {host}.",
            "Give --host an address of this machine in that network; it must be one you trust.",
        )
    boards = platform.boards()
    chosen = choose_board(boards, board)
    connection.check_port(chosen, attachment.port)
    if count > 1:
        _check_many(chosen, attachment, listen_port)
    trial.preload()
    with _scratch() as scratch:
        site = trial.Site(
            platform=trial.lean_copy(platform, scratch / "platform"),
            served=Served(key, chosen.name, boards, attachment.serial_number),
            attachment=attachment,
            scratch=scratch,
        )

        model = platform.directory / BUNDLED_MODEL
        if model.is_file():
            trial.try_out(site, model)

        def serve_one(number: int, lifeline: Optional[socket.socket]) -> None:
            Server(site, address, host, listen_port, _sayer(number), lifeline).run()

        if count == 1:
            serve_one(0, None)
        else:
            worker_pool.serve_many(count, serve_one, show_error)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A directory that goes with the block, though Ctrl-C comes twice."""
    from runtime.host.serve.processes import hold_signals

    with scratch_directory(temporary_directory(), SERVE) as path:
        try:
            yield path
        finally:
            hold_signals()


def _sayer(number: int) -> Callable[[str], None]:
    """Prints lines, with the number of the board where there are several."""
    prefix = f"board {number}: " if number else ""

    def say(text: str) -> None:
        out.print(f"{prefix}{text}")
        out.file.flush()

    return say


def _address(text: str) -> Address:
    address = parse_address(text)
    if address is None or not 0 < address[1] < 65536:
        raise PlatformError(f"--tracker {text} is no address.", "Write it as --tracker HOST:PORT.")
    return address


def _check_key(key: str) -> None:
    if not key or not key.isascii() or any(letter.isspace() or letter == ":" for letter in key):
        raise PlatformError(
            f"--key {key!r} is no key.", "Use letters, digits and signs, without spaces and colons."
        )


def _check_many(board: Board, attachment: Attachment, listen_port: int) -> None:
    emulated = (attachment.runner or board.runner) == EMULATOR
    if attachment.names_a_device or not (board.transport == PROCESS or emulated):
        raise PlatformError(
            f"--boards is for boards that are started here, and {board.name} is attached.",
            "Start one serve for each board, with its --port or --serial-number.",
        )
    if listen_port:
        raise PlatformError(
            "Several boards cannot listen on one port.", "Leave --listen-port out, or --boards."
        )
