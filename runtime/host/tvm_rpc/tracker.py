# SPDX-License-Identifier: Apache-2.0
"""A board in the queue of TVM's RPC tracker.

A connection begins with i32 magic each way. Then whoever connected asks and the tracker answers, each message
an i32 length and so many bytes of JSON: a list that starts with a code, or an answer that is a code.

=====  ============================================================  ==========================
code   asked with                                                    answer
=====  ============================================================  ==========================
3      key, [port, match key], address or null: a board to lend      0
5      {"key": "server:KEY", "addr": [address or null, port]}        0
7      nothing: which match keys of this connection are not taken    a list of them
=====  ============================================================  ==========================

A board is lent by its match key, once; when it is free again it is offered with another one. The tracker
cuts the match key at its last colon to find the queue, so it is the key, a colon and something random. What
a closed connection has offered is taken back.
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

ANSWER_SEC: Final = 5.0  # a tracker answers at once
LONGEST_ANSWER: Final = 1 << 20  # bytes

Address = Tuple[str, int]


class TrackerLost(TransportError):
    """The tracker cannot be reached, or is gone. It may come back."""


class Tracker:
    """A connection to the tracker at `address`, for the board that listens on `port`.

    reachable_at: the address that clients are told; None for the one that the tracker sees us at. Raises
    TrackerLost, here and in each method, and PlatformError where something else answers.
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
                f"The tracker's host {address[0]} is not known: {reason_of(error)}.", "Check how it is spelt."
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
        """To wait for its end: between answers a tracker sends nothing."""
        return self._socket.fileno()

    def offer(self) -> str:
        """Lend the board to the next one in the queue, who then comes with the match key returned."""
        match_key = f"{self._key}:{secrets.token_hex(8)}"
        self._ask_to([PUT, self._key, [self._port, match_key], self._reachable_at])
        return match_key

    def is_waiting(self, match_key: str) -> bool:
        """Whether nobody has been given the board yet."""
        waiting = self._ask([GET_PENDING_MATCHKEYS])
        if not isinstance(waiting, list):
            raise self._no_tracker()
        return match_key in waiting

    def close(self) -> None:
        """What was offered is taken back."""
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
                raise self._lost("it has closed the connection")
            data += part
        return data

    def _lost(self, why: object) -> TrackerLost:
        host, port = self._address
        return TrackerLost(
            f"The tracker at {host}:{port} cannot be reached: {why}.",
            f"Start it: python -m tvm.exec.rpc_tracker --host {host} --port {port} --port-end {port + 1}",
        )

    def _no_tracker(self) -> PlatformError:
        return PlatformError(
            f"What answers at {self._address[0]}:{self._address[1]} is not TVM's RPC tracker.",
            "Give --tracker the address that tvm.exec.rpc_tracker prints.",
        )
