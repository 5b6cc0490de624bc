# SPDX-License-Identifier: Apache-2.0
"""Detection of damaged bytes while the host waits for a reply."""

from __future__ import annotations

import re
from typing import Final, Optional

from runtime.host.wire.framing import Unframer

DAMAGE_SEC: Final = 0.7
"""Seconds to wait for the reply after a damaged packet, and longest pause inside a packet.

A USB adapter delays bytes by 16 ms, and a busy machine by some 100 ms.
"""

SLOWEST_BYTES_SEC: Final = 960.0  # bytes per second at 9,600 baud
NO_TEXT: Final = re.compile(rb"[\0\xc0\xc1\xf5-\xff]")
"""Bytes that do not occur in ASCII or UTF-8 text.

The head of a packet always contains some, because three bytes of its length, or of a number, are 0.
"""


class Damage:
    """Detector of damage, from the creation of this object to the end of one reply.

    The device does not send a dropped packet again, so a longer wait would not help. Three kinds of damage
    are detected:

    * a packet with a wrong checksum or a wrong form;
    * a packet that stops in its middle;
    * bytes outside of packets that do not occur in text, which come from a packet that lost its start.

    Text outside of packets is not damage, because a firmware may print.

    Args:
        unframer: Decoder of the received bytes.
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
        """Return the moment at which the host stops reading; None for no limit.

        After damage the host still waits for DAMAGE_SEC, because a log message may be the damaged packet.

        Args:
            deadline: Deadline of the reply, in time.monotonic(); None for no limit.
            now: Current time.monotonic().
            want: Bytes that the next read requests.
            reads_exactly: True if a read returns all of `want` bytes or none. The deadline then includes the
                time that a slow line needs for them.
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
        """Return a description of the damage as the end of a sentence; empty for no damage."""
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
            return "a packet was incomplete or had a wrong form"
        noise = unframer.noise_bytes - self._noise
        if noise and NO_TEXT.search(unframer.last_noise[-noise:]):
            return f"{noise} bytes outside of a packet"
        return ""
