# SPDX-License-Identifier: Apache-2.0
"""Detection of the moment from which a device that was just started can receive.

A firmware sends a packet after its reset, once its receiver and its interrupt work. Both device runtimes do
so: the platform's in mtvm_session_announce, and TVM's own. A device loses the bytes that arrive earlier: a
UART that is off drops them, and its initialization empties its buffer. The host would notice the loss only
after its retry timeout.
"""

from __future__ import annotations

from typing import Final

from runtime.host.errors import TransportTimeout
from runtime.host.transports.base import Transport, deadline_in, remaining
from runtime.host.transports.pipe import PipeTransport
from runtime.host.wire.framing import Unframer

READY_SEC: Final = 1.0
"""Longest wait for a firmware that does not send a packet after its reset.

The wait is not longer than the delay after a lost first packet, SESSION_START_RETRY_TIMEOUT_SEC.
"""

NOISE_BYTES: Final = 1 << 12
"""Upper bound of boot messages. The host stops waiting for a device that sends more without a packet."""


def open_when_ready(transport: Transport, timeout_sec: float = READY_SEC) -> None:
    """Open a transport and, if opening starts the device, wait for the device's first packet.

    The next read of the transport returns the bytes that arrived during the wait.

    Args:
        transport: A closed transport.
        timeout_sec: Longest wait in seconds; its end is not an error.

    Raises:
        PlatformError: The transport could not be opened.
        TransportClosed: The device exited.
    """
    transport.open()
    if isinstance(transport, PipeTransport) and transport.starts_device:
        try:
            transport.held = _first_bytes(transport, timeout_sec)
        except BaseException:
            transport.close()
            raise


def _first_bytes(transport: Transport, timeout_sec: float) -> bytes:
    """Return the bytes up to the first packet, the timeout or NOISE_BYTES, whichever comes first."""
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
