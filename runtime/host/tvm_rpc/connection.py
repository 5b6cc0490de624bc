# SPDX-License-Identifier: Apache-2.0
"""Server side of a connection of TVM's RPC over TCP.

A connection begins with a greeting: i32 magic, i32 length of a key, the key. The server replies in the same
format. Then messages follow one another: u64 number of bytes that follow, i32 code, operands
(wire/messages.py).
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
HEAD: Final = struct.Struct("<Qi")  # number of bytes that follow, and the code, their first 4 bytes
MAX_MESSAGE: Final = 1 << 20
"""Bytes of the longest message. TVM splits copies into the device's packet size, which is some KiB."""


class Caller:
    """Connection from TVM. All methods raise EOFError when TVM has closed the connection.

    Args:
        connection: Socket that is connected to TVM.
        control: Control socket of this process.
    """

    def __init__(self, connection: socket.socket, control: Control) -> None:
        self._connection = connection
        self._wait = control.waiter_for(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def greet(self, key: str) -> bool:
        """Receive the greeting, reply to it, and return whether the client sent the key."""
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
        """Return the code of the next message, and the whole message.

        Args:
            most: Bytes of the longest message that is accepted.

        Raises:
            EOFError: TVM closed the connection, or the size of the message is invalid.
            Stopped: This process must exit.
        """
        self._wait()
        head = self._receive(HEAD.size)
        size, code = HEAD.unpack(head)
        if not 4 <= size <= most:
            raise EOFError(f"a message of {size} bytes")
        return code, head + self._receive(size - 4)

    def send(self, data: bytes) -> None:
        """Send all of the data to TVM."""
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
