# SPDX-License-Identifier: Apache-2.0
"""Devices made of a script, for the sessions of tests: a transport whose far end is a function here."""

from __future__ import annotations

import struct
from typing import Callable, List, Optional

from runtime.host.errors import TransportClosed, TransportTimeout
from runtime.host.wire.framing import Unframer, encode_frame
from runtime.host.wire.session import HEADER, LOG, NORMAL, START_INIT, START_REPLY, TERMINATE

NONCE = 0x5A


class ScriptedTransport:
    """answer: called with each payload that the host sends; what it returns is sent to the host.

    hello: the bytes that the device sends before it is asked anything. piece: bytes a read gives at most.
    sent: payloads that came from the host; written: its writes; wanted, timeouts: what its reads asked for.
    Time does not pass: a read that finds nothing has timed out at once.
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
            raise TransportClosed("The script is over.", "Write more of it.")
        self.wanted.append(want)
        self.timeouts.append(timeout_sec)
        if not self.to_host:
            raise TransportTimeout("The script has nothing to say.", "Write more of it.")
        data = bytes(self.to_host[: self._piece])
        del self.to_host[: self._piece]
        return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        self.written.append(data)
        for payload in self._unframer.feed(data):
            self.sent.append(payload)
            self.to_host += self._answer(payload)


class ScriptedDevice:
    """The device's side of a session, and the replies to its messages.

    reply: gives the body of the answer to the body of a normal message, or None to stay silent.
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
        """A frame of this session, or of another."""
        return encode_frame(HEADER.pack(self.session_id if session_id is None else session_id, kind) + body)

    def log(self, text: str) -> bytes:
        return self.frame(LOG, text.encode(), 0)


def rpc_message(code: int, operands: bytes) -> bytes:
    """An RPC message spelled out, independent of the code under test."""
    return struct.pack("<Qi", 4 + len(operands), code) + operands
