# SPDX-License-Identifier: Apache-2.0
"""Device behind a TCP connection of this machine."""

from __future__ import annotations

import socket
import struct
from typing import Iterator, Tuple

import pytest

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports.socket import SocketTransport

Pair = Tuple[SocketTransport, socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pair(listener: socket.socket) -> Iterator[Pair]:
    """Yield the host's open end, and the device's."""
    transport = SocketTransport(*listener.getsockname())
    transport.open()
    device, _ = listener.accept()
    with device:
        yield transport, device
    transport.close()


def test_bytes_go_there_and_back(pair: Pair) -> None:
    transport, device = pair
    transport.write(b"hello", 1)
    assert device.recv(100) == b"hello"
    device.sendall(bytes(1000))
    assert len(transport.read(1, 5)) == 1000


def test_small_frames_are_not_held_back(pair: Pair) -> None:
    transport, _ = pair
    assert transport._socket is not None
    assert transport._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_silence_and_a_device_that_does_not_read_are_timeouts(pair: Pair) -> None:
    transport, _ = pair
    with pytest.raises(TransportTimeout, match=r"127\.0\.0\.1:\d+ sent nothing in 0\.05 s"):
        transport.read(1, 0.05)
    with pytest.raises(TransportTimeout, match="took only"):
        transport.write(bytes(1 << 26), 0.05)


def test_the_device_closes_the_connection(pair: Pair) -> None:
    transport, device = pair
    device.sendall(b"last words")
    device.close()
    assert transport.read(1, 5) == b"last words"
    with pytest.raises(TransportClosed, match="closed the connection"):
        transport.read(1, 5)


def test_the_device_resets_the_connection(pair: Pair) -> None:
    transport, device = pair
    device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    device.close()
    with pytest.raises(TransportClosed, match="closed the connection"):
        transport.read(1, 5)


def test_nothing_listens(listener: socket.socket) -> None:
    address = listener.getsockname()
    listener.close()
    with pytest.raises(TransportError, match="Nothing listens at 127"):
        SocketTransport(*address).open()


def test_a_device_that_does_not_answer() -> None:
    """Fill a queue of one connection that is never accepted; two or three connections fill it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        waiting = [SocketTransport(host, port, connect_timeout_sec=0.2) for _ in range(4)]
        with pytest.raises(TransportError, match=r"did not answer in 0\.2 s"):
            for transport in waiting:
                transport.open()
        for transport in waiting:
            transport.close()


def test_a_name_that_is_no_host() -> None:
    with pytest.raises(TransportError, match="is not a known host name"):
        SocketTransport("no..such..host", 1).open()


def test_use_before_open_and_after_close(listener: socket.socket) -> None:
    transport = SocketTransport(*listener.getsockname())
    for _ in range(2):
        with pytest.raises(TransportClosed, match="is not connected"):
            transport.read(1, 0)
        transport.open()
        with pytest.raises(TransportError, match="already"):
            transport.open()
        transport.close()
        transport.close()
