# SPDX-License-Identifier: Apache-2.0
"""Scripted devices for tests of sessions: a transport whose device is a function of the test."""

from __future__ import annotations

import struct
from typing import Callable, List, Optional

from runtime.host.errors import TransportClosed, TransportTimeout
from runtime.host.wire.framing import Unframer, encode_frame
from runtime.host.wire.session import HEADER, LOG, NORMAL, START_INIT, START_REPLY, TERMINATE

NONCE = 0x5A


class ScriptedTransport:
    """Transport to a scripted device. No time passes: a read without data times out immediately.

    Args:
        answer: Function of each payload that the host sends. Its return value is sent to the host.
        hello: Bytes that the device sends before its first request.
        piece: Maximum number of bytes that a read returns.

    Attributes:
        sent: Payloads from the host.
        written: The host's writes.
        wanted: Sizes that the host's reads requested.
        timeouts: Timeouts of the host's reads.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes],
        hello: bytes = b"\xfe" + encode_frame(HEADER.pack(0, TERMINATE)),
        piece: int = 1 << 16,
    ) -> None:
        self._answer = answer
        self._unframer = Unframer()
        self._piece = piece
        self.to_host = bytearray(hello)
        self.sent: List[bytes] = []
        self.written: List[bytes] = []
        self.wanted: List[int] = []
        self.timeouts: List[Optional[float]] = []
        self.closed = False

    def open(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        if self.closed:
            raise TransportClosed("The scripted device is closed.", "Open it first.")
        self.wanted.append(want)
        self.timeouts.append(timeout_sec)
        if not self.to_host:
            raise TransportTimeout("The script has no more data.", "Extend the script.")
        data = bytes(self.to_host[: self._piece])
        del self.to_host[: self._piece]
        return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        self.written.append(data)
        for payload in self._unframer.feed(data):
            self.sent.append(payload)
            self.to_host += self._answer(payload)


class ScriptedDevice:
    """Device side of a session, and the replies to messages.

    Args:
        reply: Function from the body of a normal message to the body of the reply, or to None for no reply.
        version: RPC version in the reply to a session start.
    """

    def __init__(
        self, reply: Callable[[bytes], Optional[bytes]] = lambda body: None, version: int = 1
    ) -> None:
        self.session_id = 0
        self._reply = reply
        self._version = version

    def __call__(self, payload: bytes) -> bytes:
        session_id, kind = HEADER.unpack_from(payload)
        if kind == START_INIT:
            self.session_id = session_id & 0xFF | NONCE << 8
            return self.frame(START_REPLY, bytes([self._version]))
        if kind == NORMAL and session_id == self.session_id:
            body = self._reply(payload[HEADER.size :])
            return b"" if body is None else self.frame(NORMAL, body)
        return b""

    def frame(self, kind: int, body: bytes = b"", session_id: Optional[int] = None) -> bytes:
        """Return a frame of this session, or of `session_id`."""
        return encode_frame(HEADER.pack(self.session_id if session_id is None else session_id, kind) + body)

    def log(self, text: str) -> bytes:
        return self.frame(LOG, text.encode(), 0)


def rpc_message(code: int, operands: bytes) -> bytes:
    """Return an RPC message, encoded without the code under test."""
    return struct.pack("<Qi", 4 + len(operands), code) + operands
