# SPDX-License-Identifier: Apache-2.0
"""Client of TVM's RPC tracker, for a board in its queue.

A connection begins with an i32 magic in each direction. Then the client sends requests, and the tracker
replies to each. A message is an i32 length and this number of bytes of JSON. A request is a list that starts
with a code, and most replies are a code.

=====  ============================================================  ==========================
code   operands                                                      reply
=====  ============================================================  ==========================
3      key, [port, match key], address or null: a board to lend      0
5      {"key": "server:KEY", "addr": [address or null, port]}        0
7      nothing: which match keys of this connection are not used     a list of them
=====  ============================================================  ==========================

The tracker lends a board once per match key. A board that is free again is offered with a new match key. A
match key is the key, a colon and a random string, because the tracker cuts it at its last colon to find the
queue. When a connection closes, the tracker withdraws its offers.
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import time
from typing import Any, Final, Optional, Tuple

from runtime.host.errors import PlatformError, TransportError, reason_of

MAGIC: Final = struct.pack("<i", 0x2F271)
LENGTH: Final = struct.Struct("<i")
SUCCESS: Final = 0
PUT: Final = 3
UPDATE_INFO: Final = 5
GET_PENDING_MATCHKEYS: Final = 7

ANSWER_SEC: Final = 5.0  # longest wait for a reply, which a tracker usually sends immediately
LONGEST_ANSWER: Final = 1 << 20  # bytes of a reply

Address = Tuple[str, int]


class TrackerLost(TransportError):
    """Error for a tracker that is not reachable. A later attempt may succeed."""


class Tracker:
    """Connection to a tracker, for one board. All methods that send raise the errors below.

    Args:
        address: Host and TCP port of the tracker.
        key: Key of the board's queue.
        reachable_at: Address that clients receive; None for the address from which this machine connects.
        port: TCP port that the server of the board listens on.

    Raises:
        TrackerLost: The tracker is not reachable.
        PlatformError: The host name is unknown, or the server at `address` is not a tracker.
    """

    def __init__(self, address: Address, key: str, reachable_at: Optional[str], port: int) -> None:
        self._address = address
        self._key = key
        self._reachable_at = reachable_at
        self._port = port
        try:
            self._socket = socket.create_connection(address, ANSWER_SEC)
        except socket.gaierror as error:
            raise PlatformError(
                f"The host name {address[0]} of the tracker is unknown: {reason_of(error)}.",
                "Check the spelling of the host name.",
            ) from error
        except OSError as error:
            raise self._lost(error) from error
        try:
            self._greet()
            info = {"key": f"server:{key}", "addr": [reachable_at, port]}
            self._ask_to([UPDATE_INFO, info])
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to poll for a closed connection; the tracker sends nothing but replies."""
        return self._socket.fileno()

    def offer(self) -> str:
        """Offer the board to the tracker, and return the match key with which the next client connects."""
        match_key = f"{self._key}:{secrets.token_hex(8)}"
        self._ask_to([PUT, self._key, [self._port, match_key], self._reachable_at])
        return match_key

    def is_waiting(self, match_key: str) -> bool:
        """Return whether the tracker has not lent the board yet, by the match key of the offer."""
        waiting = self._ask([GET_PENDING_MATCHKEYS])
        if not isinstance(waiting, list):
            raise self._no_tracker()
        return match_key in waiting

    def close(self) -> None:
        """Close the connection; the tracker then withdraws the offer of the board."""
        self._socket.close()

    def _greet(self) -> None:
        try:
            self._socket.sendall(MAGIC)
        except OSError as error:
            raise self._lost(error) from error
        if self._receive(len(MAGIC)) != MAGIC:
            raise self._no_tracker()

    def _ask_to(self, request: Any) -> None:
        if self._ask(request) != SUCCESS:
            raise self._no_tracker()

    def _ask(self, request: Any) -> Any:
        text = json.dumps(request).encode("ascii")
        try:
            self._socket.sendall(LENGTH.pack(len(text)) + text)
        except OSError as error:
            raise self._lost(error) from error
        (size,) = LENGTH.unpack(self._receive(LENGTH.size))
        if not 0 <= size <= LONGEST_ANSWER:
            raise self._no_tracker()
        try:
            return json.loads(self._receive(size))
        except (ValueError, RecursionError) as error:
            raise self._no_tracker() from error

    def _receive(self, size: int) -> bytes:
        data = b""
        until = time.monotonic() + ANSWER_SEC
        while len(data) < size:
            try:
                self._socket.settimeout(max(0.001, until - time.monotonic()))
                part = self._socket.recv(size - len(data))
            except OSError as error:
                raise self._lost(error) from error
            if not part:
                raise self._lost("the tracker has closed the connection")
            data += part
        return data

    def _lost(self, why: object) -> TrackerLost:
        host, port = self._address
        return TrackerLost(
            f"The tracker at {host}:{port} cannot be reached: {why}.",
            f"Start the tracker: python -m tvm.exec.rpc_tracker --host {host} --port {port} "
            f"--port-end {port + 1}",
        )

    def _no_tracker(self) -> PlatformError:
        return PlatformError(
            f"The server at {self._address[0]}:{self._address[1]} is not TVM's RPC tracker.",
            "Set --tracker to the address that tvm.exec.rpc_tracker prints.",
        )
