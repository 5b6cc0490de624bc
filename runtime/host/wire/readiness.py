# SPDX-License-Identifier: Apache-2.0
"""The moment from which a device that was just started can receive.

A firmware sends a packet after its reset, once its receiver and its interrupt work: mtvm_session_announce
does, and TVM's own runtime does. Bytes that reach a device earlier are lost: a UART that is off drops them,
and its initialization empties its buffer. The client would notice only after its retry timeout.
"""

from __future__ import annotations

from typing import Final

from runtime.host.errors import TransportTimeout
from runtime.host.transports.base import Transport, deadline_in, remaining
from runtime.host.transports.pipe import PipeTransport
from runtime.host.wire.framing import Unframer

READY_SEC: Final = 1.0
"""The longest wait for a firmware that announces nothing: no longer than the loss of the first packet costs,
see SESSION_START_RETRY_TIMEOUT_SEC."""

NOISE_BYTES: Final = 1 << 12
"""Boot messages end within this many bytes; a device that sends more without a packet is not waited for."""


def open_when_ready(transport: Transport, timeout_sec: float = READY_SEC) -> None:
    """Open a transport; where that starts the device, wait for its first packet.

    The wait ends without an error after timeout_sec. The next read of the transport returns what has come.
    Raises what open() raises, and TransportClosed where the device has ended.
    """
    transport.open()
    if isinstance(transport, PipeTransport) and transport.starts_device:
        try:
            transport.held = _first_bytes(transport, timeout_sec)
        except BaseException:
            transport.close()
            raise


def _first_bytes(transport: Transport, timeout_sec: float) -> bytes:
    """The bytes up to the end of the first packet, or until another reason not to wait."""
    unframer = Unframer()
    received = b""
    deadline = deadline_in(timeout_sec)
    while len(received) < NOISE_BYTES:
        try:
            data = transport.read(unframer.needed(), remaining(deadline))
        except TransportTimeout:
            break
        received += data
        if unframer.feed(data):
            break
    return received
