# SPDX-License-Identifier: Apache-2.0
"""Interface of all transports, and helpers for deadlines."""

from __future__ import annotations

import time
from typing import Optional, Protocol


class Transport(Protocol):
    """A byte pipe to a device. It does not add, remove or change bytes."""

    def open(self) -> None:
        """Open the pipe. A device that is a process starts here."""

    def close(self) -> None:
        """Release all resources. Safe to call twice, and on a transport that was never open."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return at least one byte.

        Args:
            want: Fewest bytes that the caller still needs. The transport never waits for more, and may return
                fewer or more.
            timeout_sec: Seconds; None waits without a limit, 0 returns the bytes that have arrived.

        Raises:
            TransportTimeout: No byte arrived in time.
            TransportClosed: No byte can arrive any more.
        """

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Write all of the data.

        Args:
            data: Bytes to write.
            timeout_sec: Seconds; None waits without a limit.

        Raises:
            TransportTimeout: The device did not accept all bytes in time.
            TransportClosed: The device is no longer connected.
        """


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Return the seconds until a moment of time.monotonic(), at least 0; None for no deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def deadline_in(timeout_sec: Optional[float]) -> Optional[float]:
    """Return the moment of time.monotonic() after timeout_sec; None for no deadline."""
    return None if timeout_sec is None else time.monotonic() + timeout_sec
