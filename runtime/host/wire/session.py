# SPDX-License-Identifier: Apache-2.0
"""A session: an established conversation with a device, over frames.

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

Opening: the host sends terminate and init, the device answers with a reply. When both sides send init at
once, the lower nonce wins and equal nonces try again. A message with another session id is ignored.
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
"""How long open() waits for the frame that a device sends after a reset before it speaks itself. A device
that was just started is ready when that frame comes, and bytes sent to it earlier may be lost, or held back
by an emulator until it next wakes up. A device that was running already sends nothing, and has this much
patience cost it."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds; 0 means without limit, as the Project API has it.

    session_start_retry_timeout_sec: after this long without a reply, open() sends another init.
    session_start_timeout_sec: after this long in all, open() gives up.
    session_established_timeout_sec: how long to wait for a message, and for the device to take one.
    """

    session_start_retry_timeout_sec: float = 0.5
    session_start_timeout_sec: float = 5.0
    session_established_timeout_sec: float = 30.0


class Session:
    """A conversation over a transport that its owner opens and closes.

    on_log: called with each log message of the device. first_frame_sec: see FIRST_FRAME_SEC.
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
        self._header = b""  # of a normal message; empty while there is no session
        self._broken = ""
        self.max_body = max_payload - HEADER.size
        """The longest RPC message, in bytes, that receive() can give."""

    @property
    def session_id(self) -> int:
        """0 while there is no session."""
        return int(HEADER.unpack(self._header)[0]) if self._header else 0

    def open(self) -> None:
        """Establishes a session over the open transport.

        Raises TransportTimeout when there is none after session_start_timeout_sec, ProtocolError when the
        device speaks another version.
        """
        self._unframer = Unframer(self._unframer.max_payload)
        self._inbox.clear()
        self._forget()
        self._header = b""
        self._broken = ""
        self._establish()

    def close(self) -> None:
        """Ends the session on this side; the device hears of it when the next one starts. Safe to call
        twice."""
        self._break("it was closed")

    def frame(self, body: bytes) -> bytes:
        """The wire bytes of a normal message; they stay valid for as long as this session lasts."""
        return encode_frame(self._require() + body)

    def send_frame(self, frame: bytes) -> None:
        """Sends what frame() gave. Raises ProtocolError when an answer too many came before."""
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
        """Sends a normal message."""
        self.send_frame(self.frame(body))

    def receive(self, timeout_sec: Optional[float] = None) -> bytes:
        """The body of the next normal message.

        timeout_sec: for this message alone; as a default session_established_timeout_sec. Raises
        TransportTimeout, and ProtocolError when the device has restarted or its answer came damaged; each of
        them ends the session, because a late answer would be taken for the answer to the next request.
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
                self._break("an answer came damaged")
                raise ProtocolError(
                    f"The device's answer was damaged on its way: {what}.",
                    "Open a new session. If it happens again, check the cable, the ground and the power, and "
                    "try a lower baud rate in boards.json (build and flash after that).",
                ) from error
            self._break("a message did not come in time")
            raise TransportTimeout(
                f"The device did not answer in {wait or 0:g} s.",
                "Open a new session. If the model needs longer, raise session_established_timeout_sec.",
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
        """Waits for whatever whole frame the device sends first, but not for long."""
        until = time.monotonic() + self._first_frame_sec
        try:
            self._inbox.append(self._next_payload(until if deadline is None else min(until, deadline)))
        except TransportTimeout:
            return
        # It was the frame of a reset as a rule. In the inbox it would read as one more reset after our init.
        if self._inbox[-1][: HEADER.size] == HEADER.pack(0, TERMINATE):
            self._inbox.pop()
            self._restarts += 1

    def _await_reply(self, deadline: Optional[float]) -> None:
        """Establishes the session, or returns when another init is due; TransportTimeout at the deadline."""
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
                return  # it has restarted just now, so our init is lost
            elif kind == START_REPLY and theirs == self._nonce and session_id >> 8:
                self._check_version(body)
                self._set_id(session_id)
            elif kind == START_INIT and theirs:
                self._check_version(body)
                if theirs == self._nonce:
                    self._echoes += 1  # or a rare coincidence: the next init has another nonce
                    continue
                if theirs < self._nonce:
                    session_id = theirs | self._nonce << 8
                    reply = HEADER.pack(session_id, START_REPLY) + bytes([VERSION])
                    self._transport.write(encode_frame(reply), remaining(deadline))
                    self._set_id(session_id)

    def _next_payload(self, deadline: Optional[float], damage: Optional[Damage] = None) -> bytes:
        """The next payload of any kind. A stream of noise does not hold it up beyond the deadline.

        damage: watches for an answer that came damaged, which shortens the wait.
        """
        while not self._inbox:
            want = self._unframer.needed()
            now = time.monotonic()
            until = deadline if damage is None else damage.deadline(deadline, now, want, self._reads_exactly)
            left = None
            if until is not None:
                left = until - now
                if left <= 0:
                    raise TransportTimeout("No message came in time.", "Try again.")
            data = self._transport.read(want, left)
            self._received += len(data)
            if len(self._heard) < HEARD_BYTES:
                self._heard += data[: HEARD_BYTES - len(self._heard)]
            payloads = self._unframer.feed(data)
            self._packets += len(payloads)
            self._inbox.extend(payloads)
        return self._inbox.popleft()

    def _handle_unasked(self) -> None:
        """Messages that came after the last answer. Requests have no numbers, so an answer too many would be
        taken for that to the next request."""
        while self._inbox:
            payload = self._inbox.popleft()
            if payload.startswith(self._header):
                self._break("an answer came twice")
                raise ProtocolError(
                    "The device sent an answer that nobody asked for; a packet was doubled on its way.",
                    "Open a new session. If it happens again, check the cable, and what else uses this port.",
                )
            self._other_message(payload)

    def _other_message(self, payload: bytes) -> None:
        """A message in an established session that is not a normal one of this session."""
        if len(payload) < HEADER.size:
            return
        session_id, kind = HEADER.unpack_from(payload)
        known = session_id in (0, self.session_id)
        if kind == LOG and known:
            self._log(payload[HEADER.size :])
        elif (kind == TERMINATE and known) or kind == START_INIT:
            self._break("the device has restarted")
            words = f' Its last words: "{self._words}".' if self._words else ""
            raise ProtocolError(
                f"The device restarted in the middle of the session, and everything it held is gone.{words}",
                "Open a new session. If it happens again, look for a crash, a watchdog or weak power.",
            )

    def _new_nonce(self) -> None:
        # Random, not counted on: two sides that count the same way would stay equal for ever.
        nonce = self._nonce
        while nonce in (0, self._nonce):
            nonce = secrets.randbelow(256)
        self._nonce = nonce

    def _set_id(self, session_id: int) -> None:
        self._header = HEADER.pack(session_id, NORMAL)

    def _check_version(self, body: bytes) -> None:
        if body[:1] != bytes([VERSION]):
            theirs = f"version {body[0]}" if body else "a version that it did not send"
            raise ProtocolError(
                f"The device speaks {theirs} of the session protocol, these host tools speak {VERSION}.",
                "Build and flash the project again with this platform.",
            )

    def _log(self, body: bytes) -> None:
        self._words = body.decode("utf-8", "replace")
        if self._on_log is not None:
            self._on_log(self._words)

    def _forget(self) -> None:
        """What is told as evidence begins anew."""
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
