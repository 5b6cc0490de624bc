# SPDX-License-Identifier: Apache-2.0
"""Where clients of TVM's RPC come in: connections, until they have said who they are.

A connection begins with the client's i32 magic, i32 length and its key: "client:", the match key of the
tracker's queue and, where the session has a limit, " -timeout=SECONDS". The server answers magic, i32 length,
"server:" and its own key; or another magic to whoever has no match key.

Nobody is waited for: whoever says nothing, or says it slowly, stands beside those who come after.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Dict, Final, List, NamedTuple, Optional, Sequence

from runtime.host.tvm_rpc.connection import GREETING, LONGEST_KEY, MAGIC, MISMATCH

GREETING_SEC: Final = 2.0  # for a whole greeting, which is one packet
MAX_PENDING: Final = 64  # at a time; the one that came first goes when there are more

# A client's machine that loses its power says nothing, ever: after so many seconds it is asked, after three
# more questions in as many intervals it is gone.
KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

LONGEST_LIMIT_SEC: Final = 1e6
"""Days; the system cannot wait for much longer."""


class Client(NamedTuple):
    """A client that the tracker has sent. limit_sec: how long its session may take; None without limit."""

    connection: socket.socket
    limit_sec: Optional[float]


class Listener:
    """A listening socket, and who has come to it. name: what the server's key is."""

    def __init__(self, listener: socket.socket, name: str) -> None:
        self._listener = listener
        self._listener.setblocking(False)
        self._name = f"server:{name}".encode()
        self._pending: Dict[int, _PendingClient] = {}

    def descriptors(self) -> List[int]:
        """To wait for: one that can be read is for next_client."""
        return [self._listener.fileno(), *self._pending]

    def next_client(self, ready: Sequence[int], match_key: str) -> Optional[Client]:
        """The client that has the match key, if it is there; whoever has another one is sent away.

        ready: descriptors that can be read. Once the client is there nobody else is.
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
        """Close the connection of everyone who is not the client."""
        for pending in self._pending.values():
            pending.connection.close()
        self._pending.clear()

    def close(self) -> None:
        self.send_away()
        self._listener.close()

    def _let_in(self) -> List[int]:
        """Take all that wait; their descriptors."""
        came = []
        with contextlib.suppress(OSError):  # there are no more, or it has gone again
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
    """Somebody who has not said a whole greeting yet."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.until = time.monotonic() + GREETING_SEC
        self._data = b""

    def receive(self) -> Optional[str]:
        """The key that it comes with; None until all of it is there. Raises OSError for what is no greeting.

        What follows the greeting is not read.
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
                raise OSError("it ends before its greeting")
            self._data += part

    def _missing(self) -> int:
        if len(self._data) < GREETING.size:
            return GREETING.size - len(self._data)
        magic, length = GREETING.unpack_from(self._data)
        if magic != MAGIC or not 0 <= length <= LONGEST_KEY:
            raise OSError("not a client of TVM's RPC")
        return GREETING.size + int(length) - len(self._data)


def limit_of(options: str) -> Optional[float]:
    """Seconds of "-timeout=SECONDS" among the options of a greeting; None where there is no limit."""
    for option in options.split():
        name, _, value = option.partition("=")
        if name == "-timeout":
            with contextlib.suppress(ValueError):
                seconds = float(value)
                return min(seconds, LONGEST_LIMIT_SEC) if seconds > 0 else None
    return None


def _keep_watch(connection: socket.socket) -> None:
    """Let the system notice when the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
