# SPDX-License-Identifier: Apache-2.0
"""Exact reads from a transport."""

from __future__ import annotations

from typing import Optional

from runtime.host.errors import TransportTimeout
from runtime.host.transports.base import Transport, deadline_in, remaining


class ExactReader:
    """Reads exactly as many bytes as are asked for and keeps the rest. A read that times out loses
    nothing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kept = bytearray()

    def read_exact(self, count: int, timeout_sec: Optional[float]) -> bytes:
        """The next `count` bytes. timeout_sec bounds the whole read; None waits for ever.

        Raises TransportTimeout when they did not all come in time, and TransportClosed when they cannot come.
        """
        kept = self._kept
        if len(kept) < count:
            self._fill(count, timeout_sec)
        data = bytes(kept[:count])
        del kept[:count]
        return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """As Transport.write."""
        self._transport.write(data, timeout_sec)

    def close(self) -> None:
        """Closes the transport and forgets what was kept."""
        self._transport.close()
        self._kept.clear()

    def _fill(self, count: int, timeout_sec: Optional[float]) -> None:
        deadline = deadline_in(timeout_sec)
        while len(self._kept) < count:
            try:
                self._kept += self._transport.read(count - len(self._kept), remaining(deadline))
            except TransportTimeout as error:
                if not self._kept:
                    raise
                raise TransportTimeout(
                    f"Only {len(self._kept)} of {count} bytes came in {timeout_sec or 0:g} s.",
                    error.next_step,
                ) from error
