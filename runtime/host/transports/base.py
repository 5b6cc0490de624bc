# SPDX-License-Identifier: Apache-2.0
"""What every transport can do."""

from __future__ import annotations

import time
from typing import Optional, Protocol


class Transport(Protocol):
    """A byte pipe to a device. It neither adds to the bytes nor takes from them."""

    def open(self) -> None:
        """Makes the pipe ready. A device that is a process is started here."""

    def close(self) -> None:
        """Gives everything back. Safe to call twice, and on a transport that was never open."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """At least one byte; maybe fewer or more than `want`, the least number that the caller still needs.

        The transport never waits for more than `want` bytes. timeout_sec: None waits for ever, 0 gives what
        is there now. Raises TransportTimeout when nothing came in that time, and TransportClosed when nothing
        can come.
        """

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Hands over all of data, or raises TransportTimeout or TransportClosed."""


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until a moment of time.monotonic(), not below 0; None for no deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def deadline_in(timeout_sec: Optional[float]) -> Optional[float]:
    """The moment of time.monotonic() that is timeout_sec away; None for no deadline."""
    return None if timeout_sec is None else time.monotonic() + timeout_sec
