# SPDX-License-Identifier: Apache-2.0
"""Session: an established conversation with a device, over frames.

The payload of every frame starts with a header, packed and little-endian: u16 session id, u8 message type.
The session id is the initiator's nonce (low byte) and the responder's nonce (high byte); a nonce is never 0.

======  ==================  ===================================
type    message             body
======  ==================  ===================================
0x00    start, init         u8 version; only the low nonce is set
0x01    start, reply        u8 version; both nonces are set
0x02    terminate           empty; sent with id 0 after a reset
0x03    log                 text; id 0 or the current one
0x10    normal              one RPC message
======  ==================  ===================================

To open a session, the host sends terminate and init, and the device sends a reply. When both sides send init
at the same time, the lower nonce wins; after equal nonces both sides try again. A message with another
session id is ignored.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Final, Optional

from runtime.host.errors import ProtocolError, TransportTimeout
from runtime.host.transports.base import Transport, remaining
from runtime.host.wire.damage import Damage
from runtime.host.wire.diagnosis import HEARD_BYTES, Evidence, explain
from runtime.host.wire.framing import DEFAULT_MAX_PAYLOAD, NOP_BYTE, Unframer, encode_frame

VERSION: Final = 1

START_INIT: Final = 0x00
START_REPLY: Final = 0x01
TERMINATE: Final = 0x02
LOG: Final = 0x03
NORMAL: Final = 0x10

HEADER: Final = struct.Struct("<HB")

FIRST_FRAME_SEC: Final = 0.25
"""Seconds that open() waits, before it sends, for the frame that a device sends after a reset.

A device that was just started can receive once that frame has arrived. Bytes that are sent earlier may be
lost, or an emulator may hold them until it wakes up. A device that already runs sends no such frame, so the
whole wait delays open().
"""


@dataclass(frozen=True)
class Timeouts:
    """Timeouts of the Project API, in seconds; 0 means no limit.

    Attributes:
        session_start_retry_timeout_sec: Time without a reply after which open() sends another init.
        session_start_timeout_sec: Total time after which open() fails.
        session_established_timeout_sec: Longest wait for a message, and for the device to accept one.
    """

    session_start_retry_timeout_sec: float = 0.5
    session_start_timeout_sec: float = 5.0
    session_established_timeout_sec: float = 30.0


class Session:
    """Host side of a session.

    Args:
        transport: Transport to the device. The caller opens and closes it.
        timeouts: Timeouts of the session.
        on_log: Called with each log message of the device.
        max_payload: Longest payload of a frame, in bytes.
        first_frame_sec: Wait for the first frame of a device, in seconds (FIRST_FRAME_SEC).
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeouts: Optional[Timeouts] = None,
        on_log: Optional[Callable[[str], None]] = None,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        first_frame_sec: float = FIRST_FRAME_SEC,
    ) -> None:
        self._transport = transport
        self._timeouts = timeouts or Timeouts()
        self._on_log = on_log
        self._first_frame_sec = first_frame_sec
        self._established_sec = self._timeouts.session_established_timeout_sec or None
        self._unframer = Unframer(max_payload)
        self._reads_exactly = bool(getattr(transport, "reads_exactly", False))
        self._inbox: Deque[bytes] = deque()
        self._forget()
        self._nonce = 0
        self._header = b""  # header of a normal message; empty while there is no session
        self._broken = ""
        self.max_body = max_payload - HEADER.size
        """Bytes of the longest RPC message that receive() can return."""

    @property
    def session_id(self) -> int:
        """Id of the session; 0 while there is no session."""
        return int(HEADER.unpack(self._header)[0]) if self._header else 0

    def open(self) -> None:
        """Establish a session over the open transport.

        Raises:
            TransportTimeout: The device did not accept a session within session_start_timeout_sec.
            ProtocolError: The device uses another version of the session protocol.
        """
        self._unframer = Unframer(self._unframer.max_payload)
        self._inbox.clear()
        self._forget()
        self._header = b""
        self._broken = ""
        self._establish()

    def close(self) -> None:
        """End the session on the host, without a message to the device. Safe to call twice.

        The device ends the session when it receives the start of the next one.
        """
        self._break("the session was closed")

    def frame(self, body: bytes) -> bytes:
        """Return the wire bytes of a normal message, which are valid until the session ends."""
        return encode_frame(self._require() + body)

    def send_frame(self, frame: bytes) -> None:
        """Send wire bytes that frame() returned.

        Raises:
            ProtocolError: There is no session, or the device has sent a surplus reply.
        """
        if not self._header:
            self._require()
        if self._inbox:
            self._handle_unasked()
        try:
            self._transport.write(frame, self._established_sec)
        except BaseException:
            self._break("sending a message was interrupted")
            raise

    def send(self, body: bytes) -> None:
        """Send a normal message."""
        self.send_frame(self.frame(body))

    def receive(self, timeout_sec: Optional[float] = None) -> bytes:
        """Return the body of the next normal message.

        An error ends the session, because a late reply would be taken for the reply to the next request.

        Args:
            timeout_sec: Timeout of this message; None for session_established_timeout_sec.

        Raises:
            TransportTimeout: No message arrived in time.
            ProtocolError: The device has restarted, or the reply was damaged.
        """
        header = self._require()
        wait = self._established_sec if timeout_sec is None else timeout_sec
        deadline = None if wait is None else time.monotonic() + wait
        damage = Damage(self._unframer)
        try:
            while True:
                payload = self._next_payload(deadline, damage)
                if payload.startswith(header):
                    return payload[HEADER.size :]
                self._other_message(payload)
        except TransportTimeout as error:
            what = damage.found()
            if what:
                self._break("a reply was damaged")
                raise ProtocolError(
                    f"The reply of the device was damaged in transit: {what}.",
                    "Open a new session. If a reply is damaged again, check the cable, the ground and the "
                    "power. Then try a lower baud rate in boards.json (build and flash after the change).",
                ) from error
            self._break("a reply did not arrive in time")
            raise TransportTimeout(
                f"The device did not reply within {wait or 0:g} s.",
                "Open a new session. If the model needs longer, increase session_established_timeout_sec.",
            ) from error
        except BaseException:
            self._break(self._broken or "waiting for a message was interrupted")
            raise

    def _establish(self) -> None:
        limit = self._timeouts.session_start_timeout_sec
        started = time.monotonic()
        deadline = started + limit if limit else None
        self._await_first_frame(deadline)
        prefix = NOP_BYTE + encode_frame(HEADER.pack(0, TERMINATE))
        attempts = 0
        try:
            while not self._header:
                self._new_nonce()
                attempts += 1
                init = encode_frame(HEADER.pack(self._nonce, START_INIT) + bytes([VERSION]))
                self._transport.write(prefix + init, remaining(deadline))
                prefix = b""
                self._await_reply(deadline)
        except TransportTimeout as error:
            why, next_step = explain(self._evidence())
            raise TransportTimeout(
                f"No session with the device after {limit:g} s and {attempts} attempts: {why}.", next_step
            ) from error

    def _await_first_frame(self, deadline: Optional[float]) -> None:
        """Wait for the first complete frame of the device, for at most first_frame_sec."""
        until = time.monotonic() + self._first_frame_sec
        try:
            self._inbox.append(self._next_payload(until if deadline is None else min(until, deadline)))
        except TransportTimeout:
            return
        # Usually the frame of a reset. In the inbox it would count as another reset, after the host's init.
        if self._inbox[-1][: HEADER.size] == HEADER.pack(0, TERMINATE):
            self._inbox.pop()
            self._restarts += 1

    def _await_reply(self, deadline: Optional[float]) -> None:
        """Wait until the session is established or another init is due.

        Args:
            deadline: Deadline of open(), in time.monotonic(); None for no limit.

        Raises:
            TransportTimeout: The deadline has passed.
        """
        retry = self._timeouts.session_start_retry_timeout_sec
        retry_at = time.monotonic() + retry if retry else None
        while not self._header:
            until = min((moment for moment in (retry_at, deadline) if moment is not None), default=None)
            try:
                payload = self._next_payload(until)
            except TransportTimeout:
                if until == deadline:
                    raise
                return
            if len(payload) < HEADER.size:
                continue
            session_id, kind = HEADER.unpack_from(payload)
            body = payload[HEADER.size :]
            theirs = session_id & 0xFF
            if kind == LOG:
                self._log(body)
            elif kind == TERMINATE and session_id == 0:
                self._restarts += 1
                return  # the device has just restarted, so the init is lost
            elif kind == START_REPLY and theirs == self._nonce and session_id >> 8:
                self._check_version(body)
                self._set_id(session_id)
            elif kind == START_INIT and theirs:
                self._check_version(body)
                if theirs == self._nonce:
                    self._echoes += 1  # or equal nonces by chance: the next init has another nonce
                    continue
                if theirs < self._nonce:
                    session_id = theirs | self._nonce << 8
                    reply = HEADER.pack(session_id, START_REPLY) + bytes([VERSION])
                    self._transport.write(encode_frame(reply), remaining(deadline))
                    self._set_id(session_id)

    def _next_payload(self, deadline: Optional[float], damage: Optional[Damage] = None) -> bytes:
        """Return the next payload of any kind, or raise TransportTimeout.

        Args:
            deadline: Moment of time.monotonic() at which the wait ends, even during noise; None for no limit.
            damage: Detector of a damaged reply, which shortens the wait.
        """
        while not self._inbox:
            want = self._unframer.needed()
            now = time.monotonic()
            until = deadline if damage is None else damage.deadline(deadline, now, want, self._reads_exactly)
            left = None
            if until is not None:
                left = until - now
                if left <= 0:
                    raise TransportTimeout("No message arrived in time.", "Try again.")
            data = self._transport.read(want, left)
            self._received += len(data)
            if len(self._heard) < HEARD_BYTES:
                self._heard += data[: HEARD_BYTES - len(self._heard)]
            payloads = self._unframer.feed(data)
            self._packets += len(payloads)
            self._inbox.extend(payloads)
        return self._inbox.popleft()

    def _handle_unasked(self) -> None:
        """Process messages that arrived after the last reply.

        Requests have no numbers, so a surplus reply would be taken for the reply to the next request.
        """
        while self._inbox:
            payload = self._inbox.popleft()
            if payload.startswith(self._header):
                self._break("a duplicate reply arrived")
                raise ProtocolError(
                    "Unexpected reply from the device: a packet was duplicated in transit.",
                    "Open a new session. If a duplicate arrives again, check the cable, and that no other "
                    "program uses this serial port.",
                )
            self._other_message(payload)

    def _other_message(self, payload: bytes) -> None:
        """Process a message that is not a normal message of this session."""
        if len(payload) < HEADER.size:
            return
        session_id, kind = HEADER.unpack_from(payload)
        known = session_id in (0, self.session_id)
        if kind == LOG and known:
            self._log(payload[HEADER.size :])
        elif (kind == TERMINATE and known) or kind == START_INIT:
            self._break("the device has restarted")
            words = f' Last log message of the device: "{self._words}".' if self._words else ""
            raise ProtocolError(
                f"The device restarted during the session and lost its modules and tensors.{words}",
                "Open a new session. If the device restarts again, check for a crash, a watchdog or a weak "
                "power supply.",
            )

    def _new_nonce(self) -> None:
        # Random: two sides that count in the same way would have equal nonces in every attempt.
        nonce = self._nonce
        while nonce in (0, self._nonce):
            nonce = secrets.randbelow(256)
        self._nonce = nonce

    def _set_id(self, session_id: int) -> None:
        self._header = HEADER.pack(session_id, NORMAL)

    def _check_version(self, body: bytes) -> None:
        if body[:1] != bytes([VERSION]):
            theirs = f"version {body[0]}" if body else "an unknown version"
            raise ProtocolError(
                f"The device uses {theirs} of the session protocol: expected version {VERSION}.",
                "Build and flash the project again with this platform.",
            )

    def _log(self, body: bytes) -> None:
        self._words = body.decode("utf-8", "replace")
        if self._on_log is not None:
            self._on_log(self._words)

    def _forget(self) -> None:
        """Reset the evidence for diagnosis.explain."""
        self._received = 0
        self._heard = b""
        self._packets = 0
        self._restarts = 0
        self._echoes = 0
        self._words = ""

    def _evidence(self) -> Evidence:
        unframer = self._unframer
        return Evidence(
            received=self._received,
            noise=unframer.noise_bytes,
            heard=self._heard,
            damaged=unframer.crc_errors + unframer.dropped,
            packets=self._packets,
            restarts=self._restarts,
            echoes=self._echoes,
            words=self._words,
        )

    def _require(self) -> bytes:
        if not self._header:
            why = f": {self._broken}" if self._broken else ""
            raise ProtocolError(f"There is no session with the device{why}.", "Open a session first.")
        return self._header

    def _break(self, why: str) -> None:
        self._header = b""
        self._broken = why
