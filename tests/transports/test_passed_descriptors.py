# SPDX-License-Identifier: Apache-2.0
"""Device descriptors that one process passes to another."""

from __future__ import annotations

import array
import os
import socket
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest

from runtime.host.errors import TransportClosed, TransportError
from runtime.host.transports.passed_descriptors import (
    Lent,
    LentTransport,
    receive_descriptors,
    send_descriptors,
)

Pipes = Tuple[int, int, int, int]


def open_descriptors() -> List[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """Yield the host's ends to read and to write, then the device's."""
    ours, out = os.pipe()
    in_, theirs = os.pipe()
    for descriptor in (ours, theirs):
        os.set_blocking(descriptor, False)
    yield ours, theirs, in_, out
    for descriptor in (ours, theirs, in_, out):
        os.close(descriptor)


def send_nothing(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{name}")


def send_one(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{name}")
        connection.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])


def test_the_borrower_reads_and_writes_the_device(pipes: Pipes) -> None:
    ours, theirs, in_, out = pipes
    transport = LentTransport(
        receive_descriptors(lambda name: send_descriptors((ours, theirs), name)), lambda: None
    )
    transport.open()
    os.write(out, b"from the device")
    assert transport.read(4, 1.0) == b"from the device"
    transport.write(b"to the device", 1.0)
    assert os.read(in_, 100) == b"to the device"
    transport.close()
    os.write(out, b"x")
    assert os.read(ours, 1) == b"x"  # the sender's descriptors are still open


def test_what_the_lender_has_read_already_comes_first(pipes: Pipes) -> None:
    ours, theirs, _, out = pipes
    early = bytes(range(256)) * 256  # as much as one read returns
    lent = receive_descriptors(lambda name: send_descriptors((ours, theirs), name, early))
    transport = LentTransport(lent, lambda: None)
    transport.open()
    os.write(out, b"later")
    assert transport.read(1, 1.0) == early
    assert transport.read(1, 1.0) == b"later"
    transport.close()


def test_what_the_lender_knows_of_the_end_is_told() -> None:
    def ask() -> None:
        raise TransportClosed("It was ended by SIGKILL.", "Look.")

    for lender, told in ((ask, "It was ended by SIGKILL."), (lambda: None, "is closed at its other end")):
        ours, theirs = socket.socketpair()
        transport = LentTransport(Lent((os.dup(ours.fileno()), ours.detach()), b""), lender)
        transport.open()
        theirs.close()
        with pytest.raises(TransportClosed, match=told):
            transport.read(1, 1.0)
        transport.close()


@pytest.mark.parametrize("ask", [send_nothing, send_one, lambda name: None])
def test_what_is_no_device_is_refused_and_leaves_nothing_open(ask: Callable[[str], object]) -> None:
    before = open_descriptors()
    with pytest.raises(TransportError, match="was not handed over"):
        receive_descriptors(ask)
    assert open_descriptors() == before


def test_nobody_who_takes_it(pipes: Pipes) -> None:
    with pytest.raises(TransportError, match="Nobody takes the device"):
        send_descriptors(pipes[:2], "microtvm-lent-to-nobody")


def test_the_name_is_gone_afterwards(pipes: Pipes) -> None:
    names: List[str] = []

    def ask(name: str) -> None:
        names.append(name)
        send_descriptors(pipes[:2], name)

    for descriptor in receive_descriptors(ask).descriptors:
        os.close(descriptor)
    assert names[0] not in Path("/proc/net/unix").read_text()
