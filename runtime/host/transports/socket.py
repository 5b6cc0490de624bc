# SPDX-License-Identifier: Apache-2.0
"""A device behind a TCP connection: a board on the network, a serial server, or an emulator with a server."""

from __future__ import annotations

import socket
from typing import ClassVar, Final, Optional

from runtime.host.errors import TransportClosed, TransportError, reason_of
from runtime.host.transports.pipe import PipeTransport

CONNECT_SEC: Final = 5.0


class SocketTransport(PipeTransport):
    """Transport over a TCP connection.

    Args:
        host: Host name or IP address.
        port: TCP port number.
        connect_timeout_sec: Longest wait of open() for the connection.
    """

    NOT_OPEN: ClassVar = "is not connected"

    def __init__(self, host: str, port: int, connect_timeout_sec: float = CONNECT_SEC) -> None:
        super().__init__(f"{host}:{port}")
        self._address = (host, port)
        self._connect_timeout_sec = connect_timeout_sec
        self._socket: Optional[socket.socket] = None

    def open(self) -> None:
        """Connect to the device; raise TransportError if that fails or the transport is open."""
        self._check_closed()
        try:
            connection = socket.create_connection(self._address, self._connect_timeout_sec)
        except UnicodeError as error:  # from the encoding of host names
            raise self._unknown(str(error)) from error
        except OSError as error:
            raise self._explained(error) from error
        # Each frame is one write and has one reply, so Nagle's algorithm would only add delay.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._attach(connection.fileno(), connection.fileno())

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        connection, self._socket = self._socket, None
        if connection is not None:
            self._detach()
            connection.close()

    def _explained(self, error: OSError) -> TransportError:
        if isinstance(error, socket.gaierror):
            return self._unknown(reason_of(error))
        if isinstance(error, socket.timeout):
            return TransportError(
                f"{self.name} did not accept the connection within {self._connect_timeout_sec:g} s.",
                "Check that the device is switched on, on this network, and not behind a firewall.",
            )
        if isinstance(error, ConnectionRefusedError):
            return TransportError(
                f"Nothing listens at {self.name}.", "Check the port number, and that the device has started."
            )
        return TransportError(
            f"{self.name} cannot be reached: {reason_of(error)}.", "Check the address and the network."
        )

    def _unknown(self, why: str) -> TransportError:
        return TransportError(
            f"{self._address[0]} is not a known host name: {why}.",
            "Check the spelling of the host name, or give its IP address.",
        )

    def _gone(self) -> TransportClosed:
        return TransportClosed(
            f"{self.name} closed the connection.",
            "Check the device, and open a new session: it may have restarted, or may serve another client.",
        )
