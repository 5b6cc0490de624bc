# SPDX-License-Identifier: Apache-2.0
"""A device whose descriptors one process has opened and lends to another, which then reads and writes them.

They travel over a Unix socket with an abstract name, which the borrower listens on. Both sides belong to one
user. The bytes that follow the first are those that the device has sent and that nobody has read. Linux only.
"""

from __future__ import annotations

import array
import os
import secrets
import socket
import struct
from typing import Callable, Final, NamedTuple, Tuple

from runtime.host.errors import PlatformError, TransportClosed, TransportError, reason_of
from runtime.host.transports.pipe import READ_BYTES, PipeTransport

NAME_PREFIX: Final = "microtvm-lent-"
DESCRIPTOR_BYTES: Final = array.array("i").itemsize
PEER: Final = struct.Struct("3i")  # process, user, group


class Lent(NamedTuple):
    """A device's descriptors, to read and to write; held: what the lender has read and not used."""

    descriptors: Tuple[int, int]
    held: bytes


def send_descriptors(descriptors: Tuple[int, int], name: str, held: bytes = b"") -> None:
    """Send the descriptors and the held bytes to the listener at the abstract name. Raises TransportError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{name}")
            sent = array.array("i", descriptors)
            connection.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            connection.sendall(held)
    except OSError as error:
        raise TransportError(
            f"Nobody takes the device at the socket {name}: {reason_of(error)}.",
            "This is asked by the host tools; use read_transport and write_transport.",
        ) from error


def receive_descriptors(ask: Callable[[str], object]) -> Lent:
    """The device that ask(name) makes another process send to the abstract name.

    Its descriptors are the caller's to close. Raises TransportError where another user's process has sent
    something, and what ask() raises.
    """
    name = NAME_PREFIX + secrets.token_hex(16)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(1)
        ask(name)
        listener.setblocking(False)  # who was asked has connected and sent
        try:
            connection, _ = listener.accept()
            with connection:
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
                if PEER.unpack(peer)[1] != os.getuid():
                    raise PermissionError("it came from another user")
                room = socket.CMSG_SPACE(2 * DESCRIPTOR_BYTES)
                _, messages, _, _ = connection.recvmsg(1, room)
                held = b"".join(iter(lambda: connection.recv(READ_BYTES), b""))
        except OSError as error:
            raise TransportError(
                f"The device was not handed over: {error}.", "Open the transport again."
            ) from error
    received = array.array("i")
    for _level, _kind, data in messages:
        received.frombytes(data[: len(data) - len(data) % DESCRIPTOR_BYTES])
    if len(received) != 2:
        for descriptor in received:
            os.close(descriptor)
        raise TransportError("The device was not handed over.", "Open the transport again.")
    return Lent((received[0], received[1]), held)


class LentTransport(PipeTransport):
    """Reads and writes a borrowed device. close() gives it back; the device stays the lender's.

    ask_lender: raises what the lender knows of a link that has ended.
    """

    def __init__(self, lent: Lent, ask_lender: Callable[[], object]) -> None:
        super().__init__("The device")
        self._descriptors = lent.descriptors
        self._held_at_first = lent.held
        self._ask_lender = ask_lender

    def open(self) -> None:
        self._check_closed()
        self._attach(*self._descriptors)
        self.held = self._held_at_first

    def close(self) -> None:
        if self.is_open:
            self._detach()
            for descriptor in self._descriptors:
                os.close(descriptor)

    def _gone(self) -> TransportClosed:
        try:
            self._ask_lender()
        except TransportClosed as error:
            return error
        except PlatformError:  # the lender has not noticed
            pass
        return TransportClosed(
            "The device's link is closed at its other end.",
            "Check that it still runs, and that no second session was opened on the same project object.",
        )
