# SPDX-License-Identifier: Apache-2.0
"""Opening of a transport, which waits for the first packet of the started device. Devices are scripts."""

from __future__ import annotations

import sys
import time
from typing import Callable, Iterator, List, Union

import pytest

from runtime.host.errors import TransportClosed, TransportTimeout
from runtime.host.transports.emulator import EmulatorTransport
from runtime.host.transports.pipe import PipeTransport
from runtime.host.transports.process import ProcessTransport
from runtime.host.wire.framing import NOP_BYTE, encode_frame
from runtime.host.wire.readiness import READY_SEC, open_when_ready
from runtime.host.wire.session import HEADER, TERMINATE

ANNOUNCEMENT = NOP_BYTE + encode_frame(HEADER.pack(0, TERMINATE))
BOOT_MESSAGE = b"boot loader 1.0\r\nFF \xff\xfd is no packet here\r\n"
FAST_SEC = 0.5 * READY_SEC

Device = Union[EmulatorTransport, ProcessTransport]
Start = Callable[[str], Device]


def emulator(program: str) -> Device:
    """Return a device that is a program with a function send(data), on a socket."""
    start = "import socket, sys, time\nuart = socket.socket(fileno={})\nsend = uart.sendall\n"
    start += "rest = lambda: time.sleep(60)\n"
    return EmulatorTransport(lambda uart: [sys.executable, "-S", "-c", start.format(uart) + program])


def process(program: str) -> Device:
    """Return a device that is a program with a function send(data), on standard output."""
    start = "import os, sys, time\nsend = lambda data: os.write(1, data)\nrest = sys.stdin.read\n"
    return ProcessTransport([sys.executable, "-S", "-c", start + program])


@pytest.fixture(params=[emulator, process])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Yield a function that creates, but does not open, a transport to a device with this program."""
    started: List[Device] = []

    def make(program: str) -> Device:
        started.append(request.param(program))
        return started[-1]

    yield make
    for transport in started:
        transport.close()


def test_a_device_that_takes_its_time_is_waited_for(start: Start) -> None:
    transport = start(f"time.sleep(0.3); send({ANNOUNCEMENT!r}); rest()")
    open_when_ready(transport, 30.0)
    assert transport.read(1, 0.0) == ANNOUNCEMENT  # the packet remains available to the client


@pytest.mark.parametrize("cut", [1, 5, len(ANNOUNCEMENT) - 1])
def test_the_packet_must_be_whole(start: Start, cut: int) -> None:
    first, rest = ANNOUNCEMENT[:cut], ANNOUNCEMENT[cut:]
    transport = start(f"send({first!r}); time.sleep(0.2); send({rest!r}); rest()")
    open_when_ready(transport, 30.0)
    assert transport.read(1, 0.0) == ANNOUNCEMENT


def test_a_boot_message_is_not_the_firmware(start: Start) -> None:
    transport = start(
        f"send({BOOT_MESSAGE!r}); time.sleep(0.2); send({ANNOUNCEMENT!r}); time.sleep(0.2); send(b'later');"
        "rest()"
    )
    open_when_ready(transport, 30.0)
    assert transport.read(1, 0.0) == BOOT_MESSAGE + ANNOUNCEMENT
    assert transport.read(1, 30.0) == b"later"


def test_a_silent_device_is_opened_in_bounded_time(start: Start) -> None:
    transport = start("rest()")
    began = time.monotonic()
    open_when_ready(transport)
    assert READY_SEC <= time.monotonic() - began < READY_SEC + 5.0
    with pytest.raises(TransportTimeout):
        transport.read(1, 0.0)


def test_a_device_that_never_stops_talking_is_opened_and_nothing_is_lost(start: Start) -> None:
    transport = start("while True: send(b'0123456789')")
    open_when_ready(transport, 30.0)
    data = transport.read(1, 5.0) + transport.read(1, 5.0)
    assert data == (b"0123456789" * len(data))[: len(data)]


def test_a_device_that_ends_is_an_error_of_opening(start: Start) -> None:
    transport = start(f"send({BOOT_MESSAGE!r}); sys.exit(3)")
    with pytest.raises(TransportClosed, match="exit status 3"):
        open_when_ready(transport, 30.0)
    assert not transport.is_open


def test_what_was_held_is_not_for_the_next_opening(start: Start) -> None:
    transport = start(f"send({ANNOUNCEMENT!r}); rest()")
    open_when_ready(transport, 30.0)
    transport.close()
    open_when_ready(transport, 30.0)
    assert transport.read(1, 0.0) == ANNOUNCEMENT


def test_a_device_that_runs_already_is_not_waited_for() -> None:
    class Attached(PipeTransport):
        def open(self) -> None: ...

        def close(self) -> None: ...

    began = time.monotonic()
    open_when_ready(Attached("board"))
    assert time.monotonic() - began < FAST_SEC
