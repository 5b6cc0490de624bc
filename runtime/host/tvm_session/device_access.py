# SPDX-License-Identifier: Apache-2.0
"""Access of the relay to the device behind the project's API server.

The API server either lends its transport, or reads and writes on request.
"""

from __future__ import annotations

import struct
from typing import Final, Optional, Protocol

from runtime.host.errors import PlatformError
from runtime.host.transports.base import Transport
from runtime.host.transports.passed_descriptors import Lent, LentTransport, receive_descriptors
from runtime.host.tvm_rpc.control import Control, read_in_slices
from runtime.host.wire.api_client import ApiConnection
from runtime.host.wire.framing import encode_frame
from runtime.host.wire.messages import (
    CALL_FUNC,
    COPY_FROM_REMOTE,
    NULL,
    RETURN,
    encode_message,
    encode_sequence,
)
from runtime.host.wire.session import HEADER

EMPTY_ANSWER: Final = len(encode_frame(bytes(HEADER.size) + encode_message(RETURN)))
"""Bytes on the wire of a reply without operands."""


class Device(Transport, Protocol):
    """Device behind an API server. TVM has opened its transport, and will close it."""

    def expect(self, code: int, message: bytes) -> None:
        """Prepare for a request of TVM: the next write sends `message`, the next read receives its reply."""


class LentDevice(LentTransport):
    """Device whose transport the API server has lent: the fastest access."""

    def __init__(self, lent: Lent, api: ApiConnection, control: Control) -> None:
        super().__init__(lent, ask_lender=lambda: api.read_transport(1, 0.0))
        self._api = api
        self._control = control

    def expect(self, code: int, message: bytes) -> None:
        """Check that the API server is running: the device may not have noticed its end yet.

        Raises:
            TransportClosed: When the API server is gone.
        """
        if self._api.is_gone:
            raise self._gone()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Read from the lent transport in slices, so that the control socket is checked."""
        read = super().read
        return read_in_slices(lambda seconds: read(want, seconds), timeout_sec, self._control)


class RequestedDevice:
    """Device that is accessed by requests to the API server, as TVM accesses it."""

    def __init__(self, api: ApiConnection, control: Control) -> None:
        self.reads_exactly = True  # a read returns all bytes or none, which Session allows time for
        self._api = api
        self._control = control
        self._expected = 0
        self._held_back: Optional[bytes] = None
        self._write_sec: Optional[float] = None

    def expect(self, code: int, message: bytes) -> None:
        """Save requests to the API server: combine the write with the first read.

        The first read then requests the whole of a usual reply.
        """
        self._expected = answer_bytes(code, message)

    def open(self) -> None:
        """Do nothing: TVM has opened the transport."""

    def close(self) -> None:
        """Do nothing: TVM will close the transport."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Request bytes from the API server, together with a write that was held back."""

        def read(seconds: float) -> bytes:
            data, self._held_back = self._held_back, None
            # Request this many bytes once only: a device that restarts sends less than a reply.
            count, self._expected = max(want, self._expected), 0
            if data is None:
                return self._api.read_transport(count, seconds)
            return self._api.exchange(data, self._write_sec, count, seconds)

        return read_in_slices(read, timeout_sec, self._control)

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Write `data` to the device, or hold `data` back until the next read."""
        if self._expected:
            self._held_back = data
            self._write_sec = timeout_sec
        else:
            self._api.write_transport(data, timeout_sec)


def reach_device(api: ApiConnection, control: Control) -> Device:
    """Return the device of an API server, with the fastest access that the server supports."""
    try:
        return LentDevice(receive_descriptors(api.lend_transport), api, control)
    except (PlatformError, AttributeError):  # AttributeError: a system without Unix sockets
        return RequestedDevice(api, control)


def answer_bytes(code: int, message: bytes) -> int:
    """Return the smallest size of the reply to an RPC message, in bytes on the wire.

    An exception with a message is longer than each of these sizes.

    Args:
        code: RPC code of the message.
        message: The message.
    """
    if code == COPY_FROM_REMOTE:  # its last operand is the number of bytes to copy
        return EMPTY_ANSWER + int(struct.unpack_from("<Q", message, len(message) - 8)[0])
    if code == CALL_FUNC:
        return EMPTY_ANSWER + len(encode_sequence([NULL, None]))
    return EMPTY_ANSWER + len(encode_sequence([None]))
