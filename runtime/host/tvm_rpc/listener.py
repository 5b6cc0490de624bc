# SPDX-License-Identifier: Apache-2.0
"""Listening socket for clients of TVM's RPC: connections and their greetings.

A connection begins with the client's i32 magic, i32 length and its key: "client:", the match key of the
tracker's queue and, if the session has a limit, " -timeout=SECONDS". The server replies with magic, i32
length, "server:" and its own key. A client without the match key receives another magic.

A silent or slow client never blocks another client; each has GREETING_SEC for its greeting.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Dict, Final, List, NamedTuple, Optional, Sequence

from runtime.host.tvm_rpc.connection import GREETING, LONGEST_KEY, MAGIC, MISMATCH

GREETING_SEC: Final = 2.0  # for a whole greeting, which is one packet
MAX_PENDING: Final = 64  # connections; a further one closes the oldest

# A client machine that loses its power closes no connection. After 20 s without data the system sends probes
# every 5 s, and closes the connection after 3 probes without a reply.
KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

LONGEST_LIMIT_SEC: Final = 1e6
"""Longest limit of a session, 11 days; the system cannot wait for much longer."""


class Client(NamedTuple):
    """A client that the tracker has sent.

    Attributes:
        connection: Socket that is connected to the client.
        limit_sec: Limit of its session in seconds; None for no limit.
    """

    connection: socket.socket
    limit_sec: Optional[float]


class Listener:
    """A listening socket and the connections whose greetings are incomplete.

    Args:
        listener: Listening socket.
        name: Key of the server, without "server:".
    """

    def __init__(self, listener: socket.socket, name: str) -> None:
        self._listener = listener
        self._listener.setblocking(False)
        self._name = f"server:{name}".encode()
        self._pending: Dict[int, _PendingClient] = {}

    def descriptors(self) -> List[int]:
        """Return the file descriptors to poll; next_client needs those that can be read."""
        return [self._listener.fileno(), *self._pending]

    def next_client(self, ready: Sequence[int], match_key: str) -> Optional[Client]:
        """Return the client with the match key, or None if it has not connected yet.

        A client with another key is disconnected. When the client is found, all other connections are closed.

        Args:
            ready: File descriptors that can be read.
            match_key: Match key of the current offer to the tracker.
        """
        if self._listener.fileno() in ready:
            ready = [*ready, *self._let_in()]
        for descriptor in ready:
            pending = self._pending.get(descriptor)
            client = None if pending is None else self._read_greeting(descriptor, pending, match_key)
            if client is not None:
                self.send_away()
                return client
        now = time.monotonic()
        for descriptor in [known for known, each in self._pending.items() if each.until < now]:
            self._pending.pop(descriptor).connection.close()
        return None

    def send_away(self) -> None:
        """Close all connections whose greetings are incomplete."""
        for pending in self._pending.values():
            pending.connection.close()
        self._pending.clear()

    def close(self) -> None:
        """Close the listening socket and all connections whose greetings are incomplete."""
        self.send_away()
        self._listener.close()

    def _let_in(self) -> List[int]:
        """Accept all waiting connections, and return their file descriptors."""
        came = []
        with contextlib.suppress(OSError):  # no connection is left, or the client has disconnected
            while True:
                connection, _ = self._listener.accept()
                if len(self._pending) == MAX_PENDING:
                    first = next(iter(self._pending))
                    self._pending.pop(first).connection.close()
                self._pending[connection.fileno()] = _PendingClient(connection)
                came.append(connection.fileno())
        return came

    def _read_greeting(self, descriptor: int, pending: _PendingClient, match_key: str) -> Optional[Client]:
        connection = pending.connection
        try:
            said = pending.receive()
            if said is None:
                return None
            key, _, options = said.partition(" ")
            if key == f"client:{match_key}":
                connection.sendall(GREETING.pack(MAGIC, len(self._name)) + self._name)
                connection.setblocking(True)
                _keep_watch(connection)
                del self._pending[descriptor]
                return Client(connection, limit_of(options))
            connection.sendall(struct.pack("<i", MISMATCH))
        except OSError:
            pass
        del self._pending[descriptor]
        connection.close()
        return None


class _PendingClient:
    """Connection whose greeting is incomplete."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.until = time.monotonic() + GREETING_SEC
        self._data = b""

    def receive(self) -> Optional[str]:
        """Return the key of the client, or None until the greeting is complete.

        Bytes after the greeting stay unread.

        Raises:
            OSError: The client has disconnected, or has not sent a greeting.
        """
        while True:
            missing = self._missing()
            if not missing:
                return self._data[GREETING.size :].decode("utf-8", "replace")
            try:
                part = self.connection.recv(missing)
            except BlockingIOError:
                return None
            if not part:
                raise OSError("the client disconnected before its greeting was complete")
            self._data += part

    def _missing(self) -> int:
        if len(self._data) < GREETING.size:
            return GREETING.size - len(self._data)
        magic, length = GREETING.unpack_from(self._data)
        if magic != MAGIC or not 0 <= length <= LONGEST_KEY:
            raise OSError("not a client of TVM's RPC")
        return GREETING.size + int(length) - len(self._data)


def limit_of(options: str) -> Optional[float]:
    """Return the seconds of "-timeout=SECONDS" in the options of a greeting; None for no limit."""
    for option in options.split():
        name, _, value = option.partition("=")
        if name == "-timeout":
            with contextlib.suppress(ValueError):
                seconds = float(value)
                return min(seconds, LONGEST_LIMIT_SEC) if seconds > 0 else None
    return None


def _keep_watch(connection: socket.socket) -> None:
    """Enable keep-alive probes, so that the system detects a client machine that is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
