# SPDX-License-Identifier: Apache-2.0
"""Seconds from open_transport to a session, on the host board and on every emulated board.

The client sends its first packet when open_transport returns, as TVM's client does.

Time counts from the request open_transport to the device's reply that establishes the session. A device that
is not ready loses the first packet, and the client sends it again after session_start_retry_timeout_sec.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Iterator, List, NamedTuple, Tuple

from rich.console import Console

from benchmarks.figures import Figure, print_figures
from benchmarks.platforms import ROOT, bake
from runtime.host.boards.board import EMULATOR, Board
from runtime.host.errors import TransportTimeout
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from runtime.host.project.project import Project
from runtime.host.transports.base import Transport, remaining
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient
from runtime.host.wire.framing import NOP_BYTE, Unframer, encode_frame
from runtime.host.wire.session import HEADER, START_INIT, START_REPLY, TERMINATE, VERSION

FAMILIES: Final = ("host", "cortex_m", "riscv")
ARCHIVE: Final = ROOT / "examples/digits/digits_aot.tar"
LIMIT_SEC: Final = 0.25
SHARE: Final = 0.95
"""Share of openings that must stay below LIMIT_SEC."""


class Opening(NamedTuple):
    """Seconds from the request open_transport to the session, and number of first packets sent."""

    seconds: float
    attempts: int


def measure(openings: int) -> List[Figure]:
    """Measure the time below which SHARE of the openings of each board stay."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        for board, project in projects(Path(name)):
            samples = open_often(project, openings)
            seconds = sorted(sample.seconds for sample in samples)
            repeated = sum(sample.attempts > 1 for sample in samples)
            figures.append(
                Figure(
                    f"{board}: {SHARE:.0%} of {len(samples)} openings",
                    "s",
                    seconds[max(0, round(SHARE * len(seconds)) - 1)],
                    seconds[0],
                    seconds[-1],
                    LIMIT_SEC,
                    beside=f"{repeated} openings needed a second first packet" if repeated else "",
                )
            )
    return figures


def projects(scratch: Path, *names: str) -> Iterator[Tuple[str, Project]]:
    """Yield (name, built project) of each board that needs no hardware.

    Args:
        scratch: Directory for platforms and projects.
        names: Names of boards. Default: all.
    """
    for family in FAMILIES:
        platform = load_platform(bake(scratch / family, board_family=family))
        for board in platform.boards().values():
            if (names and board.name not in names) or not _needs_no_hardware(board):
                continue
            project = generate(platform, ARCHIVE, scratch / "projects" / board.name, {"board": board.name})
            build(project)
            yield board.name, project


def _needs_no_hardware(board: Board) -> bool:
    return board.runner == EMULATOR or board.transport == "process"


def open_often(project: Project, openings: int) -> List[Opening]:
    """Open the project's device `openings` times, one after another, through one API server."""
    samples = []
    with ProjectApiClient(project.directory) as server:
        transport = ApiTransport(server)
        for _ in range(openings):
            started = time.monotonic()
            try:
                transport.open()
                attempts = establish(transport)
                samples.append(Opening(time.monotonic() - started, attempts))
            finally:
                transport.close()
    return samples


def establish(transport: ApiTransport) -> int:
    """Send the first packet, and again after each retry timeout, until the device replies.

    As TVM's client, this ignores the packet that a device sends after its reset.

    Returns:
        Number of first packets sent.

    Raises:
        TransportTimeout: The device sent no reply within session_start_timeout_sec.
    """
    unframer = Unframer(1 << 10)
    retry_sec = transport.timeouts.session_start_retry_timeout_sec
    give_up_at = time.monotonic() + transport.timeouts.session_start_timeout_sec
    attempts = 0
    prefix = NOP_BYTE
    while True:
        attempts += 1
        nonce = secrets.randbelow(255) + 1
        transport.write(
            prefix
            + encode_frame(HEADER.pack(0, TERMINATE))
            + encode_frame(HEADER.pack(nonce, START_INIT) + bytes([VERSION])),
            retry_sec,
        )
        prefix = b""
        if _is_answered(transport, unframer, nonce, time.monotonic() + retry_sec):
            return attempts
        if time.monotonic() >= give_up_at:
            raise TransportTimeout(f"The device sent no reply to {attempts} packets.", "Check the board.")


def _is_answered(transport: Transport, unframer: Unframer, nonce: int, deadline: float) -> bool:
    """Return whether the device replies to this nonce before the deadline."""
    while True:
        try:
            data = transport.read(unframer.needed(), remaining(deadline))
        except TransportTimeout:
            return False
        for payload in unframer.feed(data):
            session_id, kind = HEADER.unpack_from(payload)
            if kind == START_REPLY and session_id & 0xFF == nonce:
                return True


if __name__ == "__main__":  # python -m benchmarks.openings OPENINGS
    measured = measure(int(sys.argv[1]))
    print_figures(Console(width=150), "From open_transport to a session", measured)
    sys.exit(any(item.reached is False for item in measured))
