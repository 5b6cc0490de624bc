# SPDX-License-Identifier: Apache-2.0
"""The relay's access to the device that the project's API server has opened.

The API server either lends the device's descriptors, or reads and writes the device on request.
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
    """The device behind an API server, whose transport TVM opens and closes."""

    def expect(self, code: int, message: bytes) -> None:
        """Prepare for TVM's next request: the caller writes it next, and then reads its reply.

        Args:
            code: RPC code of the request.
            message: The whole RPC message.
        """


class LentDevice(LentTransport):
    """A device that the API server has lent, which is the fastest access.

    Args:
        lent: The borrowed device.
        api: Connection to the API server.
        control: Control socket of the relay.
    """

    def __init__(self, lent: Lent, api: ApiConnection, control: Control) -> None:
        super().__init__(lent, ask_lender=lambda: api.read_transport(1, 0.0))
        self._api = api
        self._control = control

    def expect(self, code: int, message: bytes) -> None:
        """Raise TransportClosed if the API server has exited; the device may still be connected then."""
        if self._api.is_gone:
            raise self._gone()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return at least one byte; also raise Stopped or Interrupted from the control socket."""
        read = super().read
        return read_in_slices(lambda seconds: read(want, seconds), timeout_sec, self._control)


class RequestedDevice:
    """A device that the API server reads and writes on request, as in TVM itself.

    Args:
        api: Connection to the API server.
        control: Control socket of the relay.

    Attributes:
        reads_exactly: True: read() returns exactly the bytes that it requests, or raises. Session reads it.
    """

    def __init__(self, api: ApiConnection, control: Control) -> None:
        self.reads_exactly = True
        self._api = api
        self._control = control
        self._expected = 0
        self._held_back: Optional[bytes] = None
        self._write_sec: Optional[float] = None

    def expect(self, code: int, message: bytes) -> None:
        """Prepare for TVM's next request, which saves requests to the API server.

        The write is sent together with the first read, and this read requests a whole reply of usual length.

        Args:
            code: RPC code of the request.
            message: The whole RPC message.
        """
        self._expected = answer_bytes(code, message)

    def open(self) -> None:
        """Do nothing, because TVM has opened the transport."""

    def close(self) -> None:
        """Do nothing, because TVM closes the transport."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return `want` bytes, or a whole expected reply.

        Args:
            want: Fewest bytes that the caller still needs.
            timeout_sec: Seconds; None waits without a limit.

        Raises:
            TransportTimeout: The bytes did not arrive in time.
            Stopped: The relay must exit.
            Interrupted: Ctrl-C was pressed.
        """

        def read(seconds: float) -> bytes:
            data, self._held_back = self._held_back, None
            # A device that restarts sends less than a reply, so only one read requests a whole reply.
            count, self._expected = max(want, self._expected), 0
            if data is None:
                return self._api.read_transport(count, seconds)
            return self._api.exchange(data, self._write_sec, count, seconds)

        return read_in_slices(read, timeout_sec, self._control)

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Write all of the data; a request after expect() is written together with the next read."""
        if self._expected:
            self._held_back = data
            self._write_sec = timeout_sec
        else:
            self._api.write_transport(data, timeout_sec)


def reach_device(api: ApiConnection, control: Control) -> Device:
    """Return the device of an API server, with the fastest access that this server supports."""
    try:
        return LentDevice(receive_descriptors(api.lend_transport), api, control)
    except (PlatformError, AttributeError):  # AttributeError: a system without Unix sockets
        return RequestedDevice(api, control)


def answer_bytes(code: int, message: bytes) -> int:
    """Return the fewest bytes on the wire of a frame that replies to this RPC message.

    The frame of an exception with an error message is longer than each of these numbers.

    Args:
        code: RPC code of the request.
        message: The whole RPC message.
    """
    if code == COPY_FROM_REMOTE:  # the last operand is the number of bytes to copy
        return EMPTY_ANSWER + int(struct.unpack_from("<Q", message, len(message) - 8)[0])
    if code == CALL_FUNC:
        return EMPTY_ANSWER + len(encode_sequence([NULL, None]))
    return EMPTY_ANSWER + len(encode_sequence([None]))
