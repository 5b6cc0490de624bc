# SPDX-License-Identifier: Apache-2.0
"""TVM's RPC over TCP, from the side of the one who is called.

A connection begins with a greeting: i32 magic, i32 length of a key, the key; answered in kind. Then messages
follow one another: u64 number of bytes that follow, i32 code, operands (see wire/rpc.py).
"""

from __future__ import annotations

import socket
import struct
from typing import Final, List, Tuple

from runtime.host.tvm_rpc.control import Control

GREETING: Final = struct.Struct("<ii")  # magic, length of the key
MAGIC: Final = 0xFF271
MISMATCH: Final = MAGIC + 2
LONGEST_KEY: Final = 4096
HEAD: Final = struct.Struct("<Qi")  # number of bytes that follow, of which the code is the first 4
MAX_MESSAGE: Final = 1 << 20
"""Bytes. TVM splits what is longer than the packets of the device, which are some KiB."""


class Caller:
    """TVM's end of the conversation. Its methods raise EOFError when TVM has closed it."""

    def __init__(self, connection: socket.socket, control: Control) -> None:
        self._connection = connection
        self._wait = control.waiter_for(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def greet(self, key: str) -> bool:
        """Whether the caller knows the key."""
        magic, length = GREETING.unpack(self._receive(GREETING.size))
        if (
            magic == MAGIC
            and 0 <= length <= LONGEST_KEY
            and self._receive(length) == f"client:{key}".encode()
        ):
            name = b"server:device"
            self.send(GREETING.pack(MAGIC, len(name)) + name)
            return True
        self.send(struct.pack("<i", MISMATCH))
        return False

    def message(self, most: int = MAX_MESSAGE) -> Tuple[int, bytes]:
        """The code of the next message, and all of it. Raises Stopped when this process is to end.

        most: the longest message that is taken, in bytes.
        """
        self._wait()
        head = self._receive(HEAD.size)
        size, code = HEAD.unpack(head)
        if not 4 <= size <= most:
            raise EOFError(f"a message of {size} bytes")
        return code, head + self._receive(size - 4)

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise EOFError from error

    def _receive(self, size: int) -> bytes:
        parts: List[bytes] = []
        while size:
            try:
                part = self._connection.recv(size)
            except OSError as error:
                raise EOFError from error
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
