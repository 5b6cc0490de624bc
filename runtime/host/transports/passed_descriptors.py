# SPDX-License-Identifier: Apache-2.0
"""File descriptors of a device that one process has opened and lends to another process.

The borrower listens on a Unix socket with an abstract name. The lender connects and sends the descriptors
with one byte, then the bytes of the device that the lender has read and not used. Both processes belong to
one user. Linux only.
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
    """A borrowed device.

    Attributes:
        descriptors: File descriptors to read from and to write to.
        held: Bytes of the device that the lender has read and not used.
    """

    descriptors: Tuple[int, int]
    held: bytes


def send_descriptors(descriptors: Tuple[int, int], name: str, held: bytes = b"") -> None:
    """Send the descriptors of a device to a listener.

    Args:
        descriptors: File descriptors to read from and to write to.
        name: Abstract name of the listener's Unix socket.
        held: Bytes of the device that were read and not used.

    Raises:
        TransportError: No process listens there, or the listener closed the connection.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{name}")
            sent = array.array("i", descriptors)
            connection.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            connection.sendall(held)
    except OSError as error:
        raise TransportError(
            f"Socket {name} did not accept the device: {reason_of(error)}.",
            "Use read_transport and write_transport; lend_transport is for the host tools only.",
        ) from error


def receive_descriptors(ask: Callable[[str], object]) -> Lent:
    """Listen on a new abstract name, and return the device that another process sends to the name.

    Args:
        ask: Requests the device for this abstract name. It returns after the other process has sent the
            device; its exceptions pass through.

    Returns:
        The borrowed device. The caller closes its descriptors.

    Raises:
        TransportError: No device arrived, or a process of another user sent one.
    """
    name = NAME_PREFIX + secrets.token_hex(16)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(1)
        ask(name)
        listener.setblocking(False)  # the lender has already connected and sent
        try:
            connection, _ = listener.accept()
            with connection:
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
                if PEER.unpack(peer)[1] != os.getuid():
                    raise PermissionError("the sender is a process of another user")
                room = socket.CMSG_SPACE(2 * DESCRIPTOR_BYTES)
                _, messages, _, _ = connection.recvmsg(1, room)
                held = b"".join(iter(lambda: connection.recv(READ_BYTES), b""))
        except OSError as error:
            raise TransportError(
                f"The device's descriptors were not received: {error}.", "Open the transport again."
            ) from error
    received = array.array("i")
    for _level, _kind, data in messages:
        received.frombytes(data[: len(data) - len(data) % DESCRIPTOR_BYTES])
    if len(received) != 2:
        for descriptor in received:
            os.close(descriptor)
        raise TransportError(
            f"The device's descriptors were not received: expected 2, got {len(received)}.",
            "Open the transport again.",
        )
    return Lent((received[0], received[1]), held)


class LentTransport(PipeTransport):
    """Transport to a borrowed device. The device stays open in the lender after close().

    Args:
        lent: The borrowed device.
        ask_lender: Raises TransportClosed with the lender's reason for a closed connection.
    """

    def __init__(self, lent: Lent, ask_lender: Callable[[], object]) -> None:
        super().__init__("The device")
        self._descriptors = lent.descriptors
        self._held_at_first = lent.held
        self._ask_lender = ask_lender

    def open(self) -> None:
        """Begin to read and write the borrowed descriptors."""
        self._check_closed()
        self._attach(*self._descriptors)
        self.held = self._held_at_first

    def close(self) -> None:
        """Close the borrowed descriptors. Safe to call twice."""
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
            "The device closed its end of the connection.",
            "Check that the device still runs, and that no second session was opened on this project object.",
        )
