# SPDX-License-Identifier: Apache-2.0
"""Passive monitor of a device: its frames, and the bytes that it sends outside of frames.

A device sends frames (framing.py) whose payload begins with a session header (session.py). All other bytes
are raw: a boot message, the output of a printf, or noise from a wrong baud rate.
"""

from __future__ import annotations

import re
import time
from typing import Callable, Final, Optional

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports.base import Transport, deadline_in, remaining
from runtime.host.wire.framing import Unframer
from runtime.host.wire.session import HEADER, LOG, NORMAL, START_INIT, START_REPLY, TERMINATE

QUIET_SEC: Final = 1.0
"""Longest pause inside a packet; after a longer one the bytes of the incomplete packet are raw."""

RETRY_SEC: Final = 0.2
"""Seconds between two attempts to open the transport of a device that has vanished."""

START: Final = b"\xff\xfd"

# Bytes that may begin a packet: the nop before the first packet, and an escape byte.
_undecided = re.compile(rb"\xfe?\xff?\Z").search

_KINDS: Final = {START_INIT: "session start", START_REPLY: "session start, reply", NORMAL: "message"}


class Separator:
    """Splitter of a byte stream into the payloads of packets and the raw bytes around packets.

    Both are delivered in the order of the wire. The bytes of a damaged packet are raw.

    Args:
        on_payload: Called with the payload of each complete packet.
        on_raw: Called with raw bytes.
    """

    def __init__(self, on_payload: Callable[[bytes], None], on_raw: Callable[[bytes], None]) -> None:
        self._on_payload = on_payload
        self._on_raw = on_raw
        self._unframer = Unframer()
        self._packet = bytearray()  # received bytes of the packet, with escapes; empty outside of packets
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Split received bytes; they may end in the middle of a packet."""
        data = self._held + data
        self._held = b""
        position = 0
        while position < len(data):
            position = self._in_packet(data, position) if self._packet else self._outside(data, position)

    def flush(self) -> None:
        """Deliver the bytes that were held back as raw bytes, including those of an incomplete packet."""
        rest = bytes(self._packet) + self._held
        self._unframer = Unframer()
        self._packet.clear()
        self._held = b""
        self._raw(rest)

    def _outside(self, data: bytes, position: int) -> int:
        start = data.find(START, position)
        if start < 0:
            undecided = _undecided(data, position)
            end = undecided.start() if undecided else len(data)
            self._raw(data[position:end])
            self._held = data[end:]
            return len(data)
        raw = data[position:start]
        self._raw(raw[:-1] if raw.endswith(b"\xfe") else raw)
        self._consume(START)
        return start + len(START)

    def _in_packet(self, data: bytes, position: int) -> int:
        """Consume one escape sequence or a run without escapes, and return the position after the bytes.

        The bytes never reach beyond the end of the packet.
        """
        limit = position + self._unframer.needed()
        escape = data.find(b"\xff", position, limit)
        if escape == position:
            end = position + 2
            if end > len(data):
                self._held = data[position:]
                return end
        else:
            end = escape if escape >= 0 else min(limit, len(data))
        self._consume(data[position:end])
        return end

    def _consume(self, piece: bytes) -> None:
        unframer = self._unframer
        damaged = unframer.crc_errors + unframer.dropped
        payloads = unframer.feed(piece)
        self._packet += piece
        if payloads:
            self._packet.clear()
            self._on_payload(payloads[0])
        elif unframer.crc_errors + unframer.dropped > damaged:
            raw = bytes(self._packet)
            self._packet.clear()
            if piece == START:  # abandons one packet and begins the next
                raw = raw[: -len(START)]
                self._packet += START
            self._raw(raw)

    def _raw(self, data: bytes) -> None:
        if data:
            self._on_raw(data)


def watch(
    open_transport: Callable[[], Transport],
    on_log: Callable[[str], None],
    on_frame: Callable[[str], None],
    on_raw: Callable[[bytes], None],
    on_link: Callable[[str], None],
    seconds: Optional[float] = None,
    reconnect: bool = True,
) -> None:
    """Report everything that a device sends, without sending to the device.

    Args:
        open_transport: Returns an open transport to the device.
        on_log: Called with each log message.
        on_frame: Called with one line of text for each other frame.
        on_raw: Called with bytes outside of frames.
        on_link: Called with one line of text when the device vanishes, and when it is connected again.
        seconds: Duration; None for no limit.
        reconnect: True: open the transport again after the device has vanished.

    Raises:
        TransportClosed: The device has vanished, and `reconnect` is false.
        PlatformError: The transport could not be opened the first time.
    """
    deadline = deadline_in(seconds)

    def on_payload(payload: bytes) -> None:
        if len(payload) < HEADER.size:
            on_frame(f"a frame of {len(payload)} bytes, too short for a session")
            return
        session_id, kind = HEADER.unpack_from(payload)
        body = payload[HEADER.size :]
        if kind == LOG:
            on_log(body.decode("utf-8", "replace"))
        else:
            on_frame(_described(session_id, kind, len(body)))

    separator = Separator(on_payload, on_raw)
    transport: Optional[Transport] = open_transport()
    while transport is not None:
        try:
            _listen(transport, separator, deadline)
            return
        except TransportClosed as error:
            separator.flush()
            if not reconnect:
                raise
            on_link(error.what)
        finally:
            transport.close()
        transport = _reopened(open_transport, deadline)
        if transport is not None:
            on_link("The device is connected again.")


def _listen(transport: Transport, separator: Separator, deadline: Optional[float]) -> None:
    """Feed received bytes to the separator until the deadline or TransportClosed."""
    while True:
        left = remaining(deadline)
        if left == 0:
            separator.flush()
            return
        try:
            separator.feed(transport.read(1, QUIET_SEC if left is None else min(QUIET_SEC, left)))
        except TransportTimeout:
            separator.flush()


def _reopened(open_transport: Callable[[], Transport], deadline: Optional[float]) -> Optional[Transport]:
    """Return the transport once it can be opened again; None if the deadline comes first."""
    while remaining(deadline) != 0:
        time.sleep(RETRY_SEC)
        try:
            return open_transport()
        except TransportError:  # the port is missing, or udev has not set its permissions yet
            continue
    return None


def _described(session_id: int, kind: int, size: int) -> str:
    if kind == TERMINATE and session_id == 0:
        return "the device has started"
    what = "session end" if kind == TERMINATE else _KINDS.get(kind, f"unknown type 0x{kind:02x}")
    return f"{what}, session 0x{session_id:04x}, {size} bytes"
