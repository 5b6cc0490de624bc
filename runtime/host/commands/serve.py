# SPDX-License-Identifier: Apache-2.0
"""Command that lends a board to TVM's tuners: serve."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

import click
from rich.text import Text

from runtime.host.archive.tar import PackedTar
from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import EMULATOR, PROCESS, Board
from runtime.host.commands.app import main
from runtime.host.commands.bundled import bundled_archive
from runtime.host.commands.command_options import TargetCommand, model_argument, target_options
from runtime.host.commands.console import err, out, show_error
from runtime.host.commands.model_options import Shapes, compile_options
from runtime.host.commands.target import (
    ATTACH,
    BOARD,
    ModelSource,
    Target,
    archive_of,
    check_names_model,
    model_here,
)
from runtime.host.errors import PlatformError
from runtime.host.project.attachment_rules import check_attachment
from runtime.host.project.platform import Platform
from runtime.host.system.leftovers import SERVE, scratch_directory, temporary_directory
from runtime.host.transports.address import parse_address
from runtime.host.tvm_rpc.tracker import Address

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@main.command(cls=TargetCommand)
@model_argument
@click.option("--tracker", required=True, metavar="HOST:PORT", help="TVM's RPC tracker.")
@click.option(
    "--key",
    required=True,
    metavar="KEY",
    help="Key of the board at the tracker. Clients request boards by key.",
)
@target_options(BOARD, ATTACH)
@click.option(
    "--boards",
    "count",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of process or emulated boards to start and serve.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. TVM's RPC has no authentication: use it only on a trusted network.",
)
@click.option(
    "--listen-port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="TCP port to listen on. Default: any free port.",
)
@compile_options
def serve(
    model: Optional[Path],
    input_shapes: Shapes,
    verify: bool,
    tracker: str,
    key: str,
    target: Target,
    count: int,
    host: str,
    listen_port: int,
) -> None:
    """Lend a board to TVM's tuners, until Ctrl-C.

    TVM's RPC tracker leases the board to one client at a time. The platform generates, builds, flashes and
    runs each model archive that a client sends. Before the first one the command builds MODEL, a model file
    or a model archive, to find a missing tool; without MODEL it builds the bundled model.
    """
    from runtime.host.serve import trial, worker_pool
    from runtime.host.serve.request import Served
    from runtime.host.serve.server import Server

    platform, attachment = target.platform, target.attachment
    if platform.is_project:
        raise PlatformError(
            "This directory is a generated project.", "Run serve on the platform of the project."
        )
    address = _address(tracker)
    _check_key(key)
    if host in LOOPBACK and address[0] not in LOOPBACK:
        raise PlatformError(
            f"The tracker runs on {address[0]}, but --host {host} is reachable only from this machine.",
            "Give --host an address of this machine in the network of the tracker, if you trust it.",
        )
    boards = platform.boards()
    chosen = target.board
    packed = _first_model(platform, ModelSource(model, input_shapes, verify))
    check_attachment(platform, chosen, attachment)
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

        if packed is not None:
            if err.is_terminal:
                err.print(Text(f"Building {'the bundled model' if model is None else model}.", "dim"))
            trial.try_out(site, packed)

        def serve_one(number: int, lifeline: Optional[socket.socket]) -> None:
            Server(site, address, host, listen_port, _printer(number), lifeline).run()

        if count == 1:
            serve_one(0, None)
        else:
            worker_pool.serve_many(count, serve_one, show_error)


def _first_model(platform: Platform, source: ModelSource) -> Union[Path, PackedTar, None]:
    """Return the model that is built first; None for a platform without its bundled model.

    The bundled one is an archive: clients of the board send archives, so that nothing is compiled here.
    """
    if source.path is not None:
        return archive_of(source, model_here(platform, source.path))
    check_names_model(source)
    path = platform.directory / bundled_archive(platform).model
    return path if path.is_file() else None


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Make a directory that is removed after the block, also when Ctrl-C comes twice."""
    from runtime.host.serve.processes import hold_signals

    with scratch_directory(temporary_directory(), SERVE) as path:
        try:
            yield path
        finally:
            hold_signals()


def _printer(number: int) -> Callable[[str], None]:
    """Return a function that prints lines, with the number of the board if there are several."""
    prefix = f"board {number}: " if number else ""

    def print_line(text: str) -> None:
        out.print(f"{prefix}{text}")
        out.file.flush()

    return print_line


def _address(text: str) -> Address:
    address = parse_address(text)
    if address is None or not 0 < address[1] < 65536:
        raise PlatformError(
            f"--tracker {text} is invalid: expected HOST:PORT.", "Write it as --tracker HOST:PORT."
        )
    return address


def _check_key(key: str) -> None:
    if not key or not key.isascii() or any(letter.isspace() or letter == ":" for letter in key):
        raise PlatformError(
            f"--key {key!r} is invalid: expected printable ASCII without spaces or colons.",
            "Use letters, digits and signs.",
        )


def _check_many(board: Board, attachment: Attachment, listen_port: int) -> None:
    emulated = (attachment.runner or board.runner) == EMULATOR
    if attachment.names_a_device or not (board.transport == PROCESS or emulated):
        raise PlatformError(
            f"--boards starts boards on this machine, and {board.name} is a connected board.",
            "Start one serve for each board, with its --port or --serial-number.",
        )
    if listen_port:
        raise PlatformError(
            "Several boards cannot listen on one port.", "Leave out --listen-port or --boards."
        )
