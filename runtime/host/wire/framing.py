# SPDX-License-Identifier: Apache-2.0
"""Frames on the byte stream between host and device.

Wire format; all numbers are little-endian::

    FF FD | u32 payload length | payload | u16 CRC

* FF is the escape byte. After it, FF is one literal FF, FE is a nop that is skipped, FD is a packet start,
  and anything else is an error. Length, payload and CRC are escaped; the length counts unescaped bytes.
* The CRC is CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF) over the raw wire bytes from FF FD to the
  end of the payload, escape bytes and nops included.
* A packet start abandons the packet before it. A packet with a wrong CRC is dropped: nothing is sent again.
* Bytes between packets are noise (a boot message, the FE before the first packet) and are skipped. Any FF FD
  in noise counts as a start, also after an odd FF, because noise has no escapes that could be kept apart.
"""

from __future__ import annotations

import re
import struct
from binascii import crc_hqx
from typing import Final, List

NOP_BYTE: Final = b"\xfe"
"""Sent once before the very first packet of a side: the other side sees where boot noise ends."""

MIN_PAYLOAD: Final = 3
"""No message is shorter than a session header (u16 session id, u8 message type)."""

DEFAULT_MAX_PAYLOAD: Final = 1 << 16
"""A longer length is taken for noise. Device packet buffers are 2 KiB as a rule."""

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
"""The longest run without a nop, a packet start, an error or an unfinished escape."""


def encode_frame(payload: bytes) -> bytes:
    """The wire bytes of one packet with this payload."""
    raw = _START + (_LENGTH.pack(len(payload)) + payload).replace(_ESCAPE, _LITERAL)
    return raw + _CRC.pack(crc_hqx(raw, 0xFFFF)).replace(_ESCAPE, _LITERAL)


class Unframer:
    """Takes raw bytes as they come, in pieces of any size, and gives the payloads of whole packets.

    noise_bytes: bytes outside packets; last_noise: the last of them. crc_errors: packets with a wrong CRC.
    dropped: packets that were abandoned by a packet start, broken by an unknown escape, or longer than
    max_payload.
    """

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self.max_payload = max_payload
        self.noise_bytes = 0
        self.last_noise = b""
        self.crc_errors = 0
        self.dropped = 0
        self._tail = b""  # an escape byte whose partner has not come yet
        self._in_packet = False
        self._plain = bytearray()  # of the packet so far: length, payload, CRC without escapes
        self._payload_end = 0  # index in _plain, 0 while the length is not known
        self._crc = 0

    @property
    def is_in_packet(self) -> bool:
        """Whether a packet has begun and is not whole."""
        return self._in_packet

    def needed(self) -> int:
        """The least number of raw bytes that must still come before a packet can be whole; at least 1."""
        if not self._in_packet:
            return _MIN_FRAME - len(self._tail)
        payload_end = self._payload_end or _LENGTH_BYTES + MIN_PAYLOAD
        return payload_end + _CRC_BYTES - len(self._plain)

    def feed(self, data: bytes) -> List[bytes]:
        """The payloads of the packets that these bytes complete, in the order of the wire."""
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
        """Skips noise up to and including a packet start. Gives the position after it."""
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
        """Decodes up to the end of the field that the packet is in. Gives the position after what was
        used."""
        have = len(self._plain)
        # A field is never longer unescaped than raw, so this many raw bytes cannot reach beyond its end.
        limit = position + self._field_end() - have
        chunk = data[position:limit]
        if _ESCAPE not in chunk:
            self._plain += chunk
            position += len(chunk)
            self._cover(chunk, have)
        else:
            # The pattern also matches nothing, so there always is a match.
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
        """Where in _plain the current field ends."""
        have = len(self._plain)
        if have < _LENGTH_BYTES:
            return _LENGTH_BYTES
        return self._payload_end if have < self._payload_end else self._payload_end + _CRC_BYTES

    def _cover(self, raw: bytes, have: int) -> None:
        """Takes raw bytes into the CRC unless they are the CRC's own; `have` is the length of _plain before
        them."""
        if have < _LENGTH_BYTES or have < self._payload_end:
            self._crc = crc_hqx(raw, self._crc)

    def _escaped(self, code: int, raw: bytes) -> bool:
        """Handles one escape sequence on its own. False when the packet it stood in is over."""
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
        """Acts on the length and on the CRC once they are whole."""
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
