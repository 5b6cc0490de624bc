# SPDX-License-Identifier: Apache-2.0
"""Frames on the byte stream between host and device.

Wire format, with little-endian numbers::

    FF FD | u32 payload length | payload | u16 CRC

* FF is the escape byte. After it, FF is one literal FF, FE is a nop that is skipped, and FD is a packet
  start. Any other byte is an error. Length, payload and CRC are escaped; the length counts unescaped bytes.
* The CRC is CRC-16/CCITT-FALSE (polynomial 0x1021, initial value 0xFFFF). It covers the raw wire bytes from
  FF FD to the end of the payload, including escape bytes and nops.
* A packet start abandons the packet before it. A packet with a wrong CRC is dropped: nothing is sent again.
* Bytes between packets are noise (a boot message, the FE before the first packet) and are skipped. Any FF FD
  in noise counts as a packet start, even after an odd number of FF bytes, because noise is not escaped.
"""

from __future__ import annotations

import re
import struct
from binascii import crc_hqx
from typing import Final, List

NOP_BYTE: Final = b"\xfe"
"""Byte that each side sends once before its first packet, to mark the end of boot noise."""

MIN_PAYLOAD: Final = 3
"""Bytes of the shortest payload: a session header (u16 session id, u8 message type)."""

DEFAULT_MAX_PAYLOAD: Final = 1 << 16
"""Longest payload in bytes; a longer length counts as noise. Device packet buffers usually hold 2 KiB."""

NOISE_KEPT_BYTES: Final = 64

_START: Final = b"\xff\xfd"
_ESCAPE: Final = b"\xff"
_LITERAL: Final = b"\xff\xff"
_LENGTH: Final = struct.Struct("<I")
_CRC: Final = struct.Struct("<H")
_CRC_OF_START: Final = crc_hqx(_START, 0xFFFF)
_LENGTH_BYTES: Final = 4
_CRC_BYTES: Final = 2
_MIN_FRAME: Final = len(_START) + _LENGTH_BYTES + MIN_PAYLOAD + _CRC_BYTES

_match_literals = re.compile(rb"(?:[^\xff]+|\xff\xff)*").match
"""Matcher of the longest run without a nop, a packet start, an error or an unfinished escape."""


def encode_frame(payload: bytes) -> bytes:
    """Return the wire bytes of one packet with this payload."""
    raw = _START + (_LENGTH.pack(len(payload)) + payload).replace(_ESCAPE, _LITERAL)
    return raw + _CRC.pack(crc_hqx(raw, 0xFFFF)).replace(_ESCAPE, _LITERAL)


class Unframer:
    """Decoder from raw bytes, in pieces of any size, to the payloads of complete packets.

    Attributes:
        max_payload: Longest payload in bytes.
        noise_bytes: Number of bytes outside of packets.
        last_noise: The last NOISE_KEPT_BYTES of these bytes.
        crc_errors: Number of packets with a wrong CRC.
        dropped: Number of packets that a packet start abandoned, that contained an unknown escape, or whose
            payload was longer than max_payload.
    """

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self.max_payload = max_payload
        self.noise_bytes = 0
        self.last_noise = b""
        self.crc_errors = 0
        self.dropped = 0
        self._tail = b""  # an escape byte whose second byte has not arrived
        self._in_packet = False
        self._plain = bytearray()  # unescaped length, payload and CRC of the packet so far
        self._payload_end = 0  # index in _plain; 0 until the length has arrived
        self._crc = 0

    @property
    def is_in_packet(self) -> bool:
        """True while a packet has begun and is not complete."""
        return self._in_packet

    def needed(self) -> int:
        """Return the fewest raw bytes that must still arrive to complete a packet; at least 1."""
        if not self._in_packet:
            return _MIN_FRAME - len(self._tail)
        payload_end = self._payload_end or _LENGTH_BYTES + MIN_PAYLOAD
        return payload_end + _CRC_BYTES - len(self._plain)

    def feed(self, data: bytes) -> List[bytes]:
        """Return the payloads of the packets that these bytes complete, in the order of the wire."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        payloads: List[bytes] = []
        position = 0
        while position < len(data):
            step = self._consume if self._in_packet else self._hunt
            position = step(data, position, payloads)
        return payloads

    def _hunt(self, data: bytes, position: int, _payloads: List[bytes]) -> int:
        """Skip noise up to and including a packet start, and return the position after it."""
        start = data.find(_START, position)
        if start >= 0:
            self._skip(data[position:start])
            self._begin()
            return start + len(_START)
        if data.endswith(_ESCAPE):
            self._tail = _ESCAPE
        self._skip(data[position : len(data) - len(self._tail)])
        return len(data)

    def _skip(self, noise: bytes) -> None:
        self.noise_bytes += len(noise)
        self.last_noise = (self.last_noise + noise)[-NOISE_KEPT_BYTES:]

    def _begin(self) -> None:
        self._in_packet = True
        self._plain.clear()
        self._payload_end = 0
        self._crc = _CRC_OF_START

    def _consume(self, data: bytes, position: int, payloads: List[bytes]) -> int:
        """Decode up to the end of the current field, and return the position after the decoded bytes."""
        have = len(self._plain)
        # A field has at least as many raw bytes as unescaped ones, so `limit` is not beyond its end.
        limit = position + self._field_end() - have
        chunk = data[position:limit]
        if _ESCAPE not in chunk:
            self._plain += chunk
            position += len(chunk)
            self._cover(chunk, have)
        else:
            # The pattern matches an empty string too, so there is always a match.
            run_end = _match_literals(data, position, limit).end()  # type: ignore[union-attr]
            run = data[position:run_end]
            self._plain += run.replace(_LITERAL, _ESCAPE)
            self._cover(run, have)
            position = run_end
            if run_end < limit:
                if run_end + 1 >= len(data):
                    self._tail = data[run_end:]
                    return len(data)
                position = run_end + 2
                if not self._escaped(data[run_end + 1], data[run_end:position]):
                    return position
        self._finish_field(payloads)
        return position

    def _field_end(self) -> int:
        """Return the index in _plain at which the current field ends."""
        have = len(self._plain)
        if have < _LENGTH_BYTES:
            return _LENGTH_BYTES
        return self._payload_end if have < self._payload_end else self._payload_end + _CRC_BYTES

    def _cover(self, raw: bytes, have: int) -> None:
        """Add raw bytes to the CRC, except those of the CRC field.

        Args:
            raw: Bytes as received, with escapes.
            have: Length of _plain before these bytes.
        """
        if have < _LENGTH_BYTES or have < self._payload_end:
            self._crc = crc_hqx(raw, self._crc)

    def _escaped(self, code: int, raw: bytes) -> bool:
        """Handle one escape sequence, and return whether its packet continues."""
        if code == 0xFD:
            self.dropped += 1
            self._begin()
            return False
        if code not in (0xFE, 0xFF):
            self.dropped += 1
            self._in_packet = False
            return False
        self._cover(raw, len(self._plain))
        if code == 0xFF:
            self._plain += _ESCAPE
        return True

    def _finish_field(self, payloads: List[bytes]) -> None:
        """Process the length or the CRC once the field is complete."""
        have = len(self._plain)
        if have == _LENGTH_BYTES:
            (length,) = _LENGTH.unpack(self._plain)
            if length > self.max_payload:
                self.dropped += 1
                self._in_packet = False
            self._payload_end = _LENGTH_BYTES + length
        elif self._payload_end and have == self._payload_end + _CRC_BYTES:
            self._in_packet = False
            (crc,) = _CRC.unpack_from(self._plain, self._payload_end)
            if crc == self._crc:
                payloads.append(bytes(self._plain[_LENGTH_BYTES : self._payload_end]))
            else:
                self.crc_errors += 1
