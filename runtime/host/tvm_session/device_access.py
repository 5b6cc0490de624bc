# SPDX-License-Identifier: Apache-2.0
"""The relay's ways to a device that the project's API server has opened: the server lends it, or is asked to
read and to write."""

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
"""Bytes on the wire of an answer without operands."""


class Device(Transport, Protocol):
    """The device behind an API server whose transport TVM has opened, and will close."""

    def expect(self, code: int, message: bytes) -> None:
        """TVM has asked this; it is written next, and its answer is read next."""


class LentDevice(LentTransport):
    """A device that the API server has lent: the quickest way to it."""

    def __init__(self, lent: Lent, api: ApiConnection, control: Control) -> None:
        super().__init__(lent, ask_lender=lambda: api.read_transport(1, 0.0))
        self._api = api
        self._control = control

    def expect(self, code: int, message: bytes) -> None:
        """Raises TransportClosed where the API server is gone: the device may not have noticed yet."""
        if self._api.is_gone:
            raise self._gone()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        read = super().read
        return read_in_slices(lambda seconds: read(want, seconds), timeout_sec, self._control)


class RequestedDevice:
    """A device that is read and written by requests to the API server, as TVM does it."""

    def __init__(self, api: ApiConnection, control: Control) -> None:
        self.reads_exactly = True  # see Session
        self._api = api
        self._control = control
        self._expected = 0
        self._held_back: Optional[bytes] = None
        self._write_sec: Optional[float] = None

    def expect(self, code: int, message: bytes) -> None:
        """This saves requests to the API server: the write goes out together with the first read, and that
        reads the whole of a usual answer."""
        self._expected = answer_bytes(code, message)

    def open(self) -> None:
        """TVM has done it."""

    def close(self) -> None:
        """TVM will do it."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        def read(seconds: float) -> bytes:
            data, self._held_back = self._held_back, None
            # A device that restarts sends less than an answer, so this much is asked for once.
            count, self._expected = max(want, self._expected), 0
            if data is None:
                return self._api.read_transport(count, seconds)
            return self._api.exchange(data, self._write_sec, count, seconds)

        return read_in_slices(read, timeout_sec, self._control)

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        if self._expected:
            self._held_back = data
            self._write_sec = timeout_sec
        else:
            self._api.write_transport(data, timeout_sec)


def reach_device(api: ApiConnection, control: Control) -> Device:
    """The device of an API server, in the quickest way that this server knows."""
    try:
        return LentDevice(receive_descriptors(api.lend_transport), api, control)
    except (PlatformError, AttributeError):  # AttributeError: a system without such sockets
        return RequestedDevice(api, control)


def answer_bytes(code: int, message: bytes) -> int:
    """The least that the frame of an answer to this RPC message takes on the wire.

    An exception is longer than each of these, if it says anything.
    """
    if code == COPY_FROM_REMOTE:  # its last operand is how many bytes are asked for
        return EMPTY_ANSWER + int(struct.unpack_from("<Q", message, len(message) - 8)[0])
    if code == CALL_FUNC:
        return EMPTY_ANSWER + len(encode_sequence([NULL, None]))
    return EMPTY_ANSWER + len(encode_sequence([None]))
