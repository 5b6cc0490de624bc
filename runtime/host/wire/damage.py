# SPDX-License-Identifier: Apache-2.0
"""Damage on the line while an answer is awaited."""

from __future__ import annotations

import re
from typing import Final, Optional

from runtime.host.wire.framing import Unframer

DAMAGE_SEC: Final = 0.7
"""How long an answer may still come after a damaged packet, and how long a packet may pause in its middle. A
USB adapter delays bytes by 16 ms, and a busy machine by some 100 ms."""

SLOWEST_BYTES_SEC: Final = 960.0  # of a line at 9,600 baud
NO_TEXT: Final = re.compile(rb"[\0\xc0\xc1\xf5-\xff]")
"""Bytes that neither ASCII nor UTF-8 has. The head of a packet always has some: three bytes of its length, or
of a number, are 0."""


class Damage:
    """What came damaged while an answer was awaited.

    A packet that was dropped does not come again, so the rest of the time would pass in vain. Three things
    are seen: a packet with a wrong checksum or a wrong form, a packet that stops in its middle, and bytes
    outside of packets that no text has: a packet whose start is gone. A firmware may print text of its own.
    """

    def __init__(self, unframer: Unframer) -> None:
        self._unframer = unframer
        self._crc_errors = unframer.crc_errors
        self._dropped = unframer.dropped
        self._noise = unframer.noise_bytes
        self._seen_at: Optional[float] = None

    def deadline(
        self, deadline: Optional[float], now: float, want: int, reads_exactly: bool
    ) -> Optional[float]:
        """Return how long to read on. A whole answer may still come: what was damaged may be a log message.

        want: bytes that the next read asks for. reads_exactly: the read gives all of them or none, so a slow
        line must be given the time for them.
        """
        if self._seen_at is None and self._broken():
            self._seen_at = now
        limits = [] if deadline is None else [deadline]
        if self._seen_at is not None:
            limits.append(self._seen_at + DAMAGE_SEC)
        elif self._unframer.is_in_packet:
            limits.append(now + DAMAGE_SEC + (want / SLOWEST_BYTES_SEC if reads_exactly else 0.0))
        return min(limits, default=None)

    def found(self) -> str:
        """Return what came damaged, as the end of a sentence; empty for nothing."""
        broken = self._broken()
        if not broken and self._unframer.is_in_packet:
            return f"a packet stopped {self._unframer.needed()} bytes before its end"
        return broken

    def _broken(self) -> str:
        unframer = self._unframer
        wrong = unframer.crc_errors - self._crc_errors
        if wrong:
            return f"{wrong} packet{'s' if wrong > 1 else ''} with a wrong checksum"
        if unframer.dropped > self._dropped:
            return "a packet broke off or had a wrong form"
        noise = unframer.noise_bytes - self._noise
        if noise and NO_TEXT.search(unframer.last_noise[-noise:]):
            return f"{noise} bytes outside of a packet"
        return ""
