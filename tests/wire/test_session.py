# SPDX-License-Identifier: Apache-2.0
"""Sessions with scripted devices: start, causes of an end, and ignored messages."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Callable, List, Optional

import pytest

from runtime.host.errors import ProtocolError, TransportClosed, TransportTimeout
from runtime.host.wire.framing import Unframer, encode_frame
from runtime.host.wire.session import (
    HEADER,
    LOG,
    NORMAL,
    START_INIT,
    START_REPLY,
    TERMINATE,
    Session,
    Timeouts,
)
from tests.support import traces
from tests.support.peers import NONCE, ScriptedDevice, ScriptedTransport

QUICK = Timeouts(0.05, 0.25, 0.2)


def opened(transport: ScriptedTransport, on_log: Optional[Callable[[str], None]] = None) -> Session:
    session = Session(transport, on_log=on_log)
    session.open()
    return session


def echo() -> ScriptedDevice:
    return ScriptedDevice(lambda body: body)


class SocketTransport:
    """Transport with real time: one end of a socket pair. The test holds the other end."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()

    def __enter__(self) -> SocketTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        self.near.settimeout(timeout_sec)
        try:
            data = self.near.recv(4096)
        except (TimeoutError, socket.timeout, BlockingIOError):
            raise TransportTimeout("Nothing came.", "Wait longer.") from None
        if not data:
            raise TransportClosed("It was closed.", "Open it again.")
        return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        self.near.settimeout(None)
        self.near.sendall(data)


def answer_once(far: socket.socket, device: ScriptedDevice) -> None:
    """Reply to the messages that open a session."""
    unframer = Unframer()
    while not device.session_id:
        for payload in unframer.feed(far.recv(4096)):
            far.sendall(device(payload))


class TestOpening:
    def test_says_terminate_and_init_and_takes_the_reply(self) -> None:
        transport = ScriptedTransport(ScriptedDevice())
        session = opened(transport)
        terminate, init = transport.sent
        assert terminate == HEADER.pack(0, TERMINATE)
        session_id, kind = HEADER.unpack_from(init)
        assert (kind, init[3:], session_id >> 8) == (START_INIT, b"\x01", 0)
        assert session.session_id == session_id | NONCE << 8

    @pytest.mark.parametrize("name", traces.NAMES)
    def test_first_bytes_on_the_wire_are_those_of_the_recordings(self, name: str) -> None:
        transport = ScriptedTransport(ScriptedDevice())
        opened(transport)
        # FE, terminate, start of init: all but its nonce and CRC, in one write.
        assert transport.written[0][:15] == traces.stream(name, traces.HOST)[:15]
        assert len(transport.written) == 1

    @pytest.mark.parametrize("name", traces.NAMES)
    def test_takes_the_recorded_reply(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        said = traces.turns(name)
        nonce = HEADER.unpack_from(said[0].payloads[1])[0]
        hello, reply = said[1].payloads
        monkeypatch.setattr("secrets.randbelow", lambda limit: nonce)
        transport = ScriptedTransport(
            lambda payload: encode_frame(reply) if payload[2] == START_INIT else b"",
            hello=b"\xfe" + encode_frame(hello),
        )
        assert opened(transport).session_id == HEADER.unpack_from(reply)[0]
        assert transport.sent == said[0].payloads

    def test_nonces_are_never_zero_and_differ(self) -> None:
        nonces = []
        session = Session(ScriptedTransport(ScriptedDevice()))
        for _ in range(600):
            session._new_nonce()
            nonces.append(session._nonce)
        assert 0 not in nonces
        assert all(one != next_one for one, next_one in zip(nonces, nonces[1:]))

    @pytest.mark.parametrize("piece", [1, 3, 7])
    def test_bytes_may_come_in_small_pieces(self, piece: int) -> None:
        transport = ScriptedTransport(echo(), piece=piece)
        session = opened(transport)
        session.send(b"\xff\xfd hello \xff")
        assert session.receive() == b"\xff\xfd hello \xff"

    def test_boot_text_and_garbage_before_the_first_frame_are_skipped(self) -> None:
        boot = b"*** Booting ***\r\n\x00\xff\xff\xff\x00\xff\xfd\xff\xff\xff\xff\xff\xff"
        hello = boot + b"\xfe" + encode_frame(HEADER.pack(0, TERMINATE))
        assert opened(ScriptedTransport(ScriptedDevice(), hello=hello)).session_id

    def test_a_device_that_was_running_already_says_nothing_first(self) -> None:
        assert opened(ScriptedTransport(ScriptedDevice(), hello=b"")).session_id

    def test_a_log_message_may_come_first(self) -> None:
        logs: List[str] = []
        device = ScriptedDevice()
        opened(ScriptedTransport(device, hello=device.log("booted")), logs.append)
        assert logs == ["booted"]

    def test_a_lost_init_is_sent_again_with_another_nonce(self) -> None:
        device = ScriptedDevice()
        inits: List[bytes] = []

        def deaf_once(payload: bytes) -> bytes:
            if payload[2] == START_INIT:
                inits.append(payload)
            return b"" if len(inits) < 2 else device(payload)

        assert opened(ScriptedTransport(deaf_once)).session_id
        assert inits[0] != inits[1]

    def test_a_reply_to_an_earlier_init_is_ignored(self) -> None:
        device = ScriptedDevice()
        replies: List[bytes] = []

        def late(payload: bytes) -> bytes:
            if payload[2] == START_INIT:
                replies.append(device(payload))
                return b"" if len(replies) == 1 else b"".join(replies)
            return device(payload)

        assert opened(ScriptedTransport(late)).session_id == device.session_id

    def test_a_restart_after_the_init_gets_another_init(self) -> None:
        device = ScriptedDevice()
        inits = 0

        def restarts_once(payload: bytes) -> bytes:
            nonlocal inits
            inits += payload[2] == START_INIT
            if payload[2] == START_INIT and inits == 1:
                return b"\xfe" + encode_frame(HEADER.pack(0, TERMINATE))
            return device(payload)

        assert opened(ScriptedTransport(restarts_once)).session_id == device.session_id
        assert inits == 2

    def test_a_second_session_on_the_same_transport(self) -> None:
        transport = ScriptedTransport(echo())
        session = opened(transport)
        first = session.session_id
        session.close()
        with pytest.raises(ProtocolError, match="no session"):
            session.send(b"too late")
        session.open()
        assert session.session_id not in (0, first)
        session.send(b"again")
        assert session.receive() == b"again"

    @pytest.mark.parametrize("version", [0, 2, 255])
    def test_another_version_is_refused_by_name(self, version: int) -> None:
        with pytest.raises(ProtocolError, match=f"speaks version {version} .* speak 1"):
            opened(ScriptedTransport(ScriptedDevice(version=version)))

    def test_a_closed_transport_is_reported_as_such(self) -> None:
        transport = ScriptedTransport(ScriptedDevice())
        transport.closed = True
        with pytest.raises(TransportClosed):
            opened(transport)


class TestBothSidesStart:
    """Both sides send an init at the same time: the lower nonce wins."""

    OURS = 0x40

    @pytest.fixture(autouse=True)
    def our_nonce(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nonces = iter([self.OURS, 0x41, 0x42])
        monkeypatch.setattr("secrets.randbelow", lambda limit: next(nonces))

    def start(self, their_nonce: int) -> ScriptedTransport:
        device = ScriptedDevice()
        inits = 0

        def both(payload: bytes) -> bytes:
            nonlocal inits
            if payload[2] != START_INIT:
                return device(payload)
            inits += 1
            crossing = encode_frame(HEADER.pack(their_nonce, START_INIT) + b"\x01") if inits == 1 else b""
            accepts = their_nonce > self.OURS or inits > 1
            return crossing + (device(payload) if accepts else b"")

        self.device = device
        return ScriptedTransport(both)

    def test_ours_is_lower(self) -> None:
        transport = self.start(0x50)
        assert opened(transport).session_id == self.OURS | NONCE << 8
        assert [payload[2] for payload in transport.sent] == [TERMINATE, START_INIT]

    def test_theirs_is_lower(self) -> None:
        transport = self.start(0x30)
        assert opened(transport).session_id == 0x30 | self.OURS << 8
        assert transport.sent[-1] == HEADER.pack(0x30 | self.OURS << 8, START_REPLY) + b"\x01"

    def test_equal_nonces_try_again(self) -> None:
        transport = self.start(self.OURS)
        assert opened(transport).session_id == 0x41 | NONCE << 8


class TestEstablished:
    def test_log_messages_go_to_the_callback(self) -> None:
        logs: List[str] = []
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport, logs.append)
        transport.to_host += device.log("id 0") + device.frame(LOG, b"this id \xff") + device.log("")
        session.send(b"ping")
        assert session.receive() == b"ping"
        assert logs == ["id 0", "this id �", ""]

    def test_messages_of_other_sessions_are_ignored(self) -> None:
        logs: List[str] = []
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport, logs.append)
        other = session.session_id ^ 0x0101
        transport.to_host += (
            device.frame(NORMAL, b"not for us", other)
            + device.frame(NORMAL, b"nor this", 0)
            + device.frame(LOG, b"nor this", other)
            + device.frame(TERMINATE, b"", other)
            + device.frame(START_REPLY, b"\x01")
            + encode_frame(b"\x01")
            + encode_frame(b"")
        )
        session.send(b"ping")
        assert session.receive() == b"ping"
        assert logs == []

    @pytest.mark.parametrize("with_id", [True, False])
    def test_a_restart_is_a_clear_error_and_ends_the_session(self, with_id: bool) -> None:
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport)
        transport.to_host += b"\xfe" + device.frame(TERMINATE, b"", None if with_id else 0)
        session.send(b"ping")
        with pytest.raises(ProtocolError, match="restarted in the middle"):
            session.receive()
        with pytest.raises(ProtocolError, match=r"no session .* has restarted"):
            session.send(b"ping")
        transport.to_host.clear()
        session.open()
        session.send(b"new session")
        assert session.receive() == b"new session"

    def test_an_init_of_the_device_is_a_restart_too(self) -> None:
        device = ScriptedDevice()
        transport = ScriptedTransport(device)
        session = opened(transport)
        transport.to_host += encode_frame(HEADER.pack(0x77, START_INIT) + b"\x01")
        with pytest.raises(ProtocolError, match="restarted"):
            session.receive()

    def test_an_answer_that_is_late_is_not_taken_for_the_next_one(self) -> None:
        device = ScriptedDevice()
        transport = ScriptedTransport(device)
        session = opened(transport)
        session.send(b"one")
        with pytest.raises(TransportTimeout, match="did not answer"):
            session.receive()
        transport.to_host += device.frame(NORMAL, b"answer to one")
        with pytest.raises(ProtocolError, match="did not come in time"):
            session.send(b"two")

    def test_an_interrupt_ends_the_session_because_the_answer_is_still_on_its_way(self) -> None:
        def interrupt(text: str) -> None:
            raise KeyboardInterrupt

        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport, interrupt)
        transport.to_host += device.log("computing")
        session.send(b"one")
        with pytest.raises(KeyboardInterrupt):
            session.receive()
        with pytest.raises(ProtocolError, match="was interrupted"):
            session.send(b"two")

    def test_the_end_of_the_link_ends_the_session(self) -> None:
        transport = ScriptedTransport(ScriptedDevice())
        session = opened(transport)
        transport.closed = True
        with pytest.raises(TransportClosed):
            session.receive()
        with pytest.raises(ProtocolError, match="no session"):
            session.receive()

    def test_an_answer_that_came_twice_is_not_taken_for_the_next(self) -> None:
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport)
        session.send(b"one")
        transport.to_host += device.frame(NORMAL, b"one")
        assert session.receive() == b"one"
        with pytest.raises(ProtocolError, match="nobody asked for"):
            session.send(b"two")

    def test_a_log_message_after_an_answer_is_shown_before_the_next_request(self) -> None:
        said: List[str] = []
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport, said.append)
        session.send(b"one")
        transport.to_host += device.log("done")
        assert session.receive() == b"one"
        session.send(b"two")
        assert said == ["done"]

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (
                lambda frame: frame[:-3] + bytes([frame[-3] ^ 1]) + frame[-2:],
                "1 packet with a wrong checksum",
            ),
            (lambda frame: frame[:-1], "stopped 1 bytes before its end"),
            (lambda frame: frame[:3], "stopped"),
            (lambda frame: frame[:2] + b"\x7f" + frame[3:], "stopped"),
            (lambda frame: frame[:2] + bytes([1, 2, 3, 4]) + frame[6:], "broke off or had a wrong form"),
            (lambda frame: frame[:8] + b"\xff\x01" + frame[8:], "broke off or had a wrong form"),
            (lambda frame: frame[1:], "bytes outside of a packet"),
            (lambda frame: b"\x7f" + frame[1:], "bytes outside of a packet"),
            (lambda frame: frame[5:], "bytes outside of a packet"),
        ],
        ids=[
            "flipped",
            "cut",
            "head only",
            "longer",
            "far longer",
            "escape",
            "no start",
            "other start",
            "tail",
        ],
    )
    def test_a_damaged_answer_ends_the_session_within_a_second(
        self, damage: Callable[[bytes], bytes], words: str
    ) -> None:
        timeouts = Timeouts(session_established_timeout_sec=60)
        device = ScriptedDevice()
        with SocketTransport() as transport:
            session = Session(transport, first_frame_sec=0.0, timeouts=timeouts)
            answering = threading.Thread(target=answer_once, args=(transport.far, device), daemon=True)
            answering.start()
            session.open()
            answering.join()
            transport.far.sendall(damage(device.frame(NORMAL, b"an answer of some length")))
            started = time.monotonic()
            with pytest.raises(ProtocolError, match="damaged on its way") as caught:
                session.receive()
            assert time.monotonic() - started < 1.0
            assert words in caught.value.what and "timeout" not in caught.value.next_step
            with pytest.raises(ProtocolError, match="an answer came damaged"):
                session.receive()

    def test_text_and_a_damaged_log_message_do_no_harm(self) -> None:
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device)
        session = opened(transport)
        damaged = bytearray(device.log("a message"))
        damaged[-3] ^= 1
        transport.to_host += damaged + "Grüße vom printf\r\n".encode() + device.frame(NORMAL, b"answer")
        assert session.receive() == b"answer"

    def test_reads_never_want_more_than_the_device_has_to_say(self) -> None:
        device = ScriptedDevice(lambda body: body)
        transport = ScriptedTransport(device, piece=1)
        session = opened(transport)
        transport.wanted.clear()
        session.send(bytes(20))
        session.receive()
        frame = len(device.frame(NORMAL, bytes(20)))
        assert all(want <= frame - index for index, want in enumerate(transport.wanted))


class TestSilence:
    """Timeouts, measured with wide bounds that only separate a hang from a normal wait."""

    def test_open_gives_up_in_time(self) -> None:
        with SocketTransport() as transport:
            started = time.monotonic()
            with pytest.raises(TransportTimeout, match=r"after 0.25 s and \d+ attempts: it sent nothing"):
                Session(transport, timeouts=QUICK, first_frame_sec=0.05).open()
            assert 0.2 < time.monotonic() - started < 2
            payloads = Unframer().feed(transport.far.recv(4096))
        assert [payload[2] for payload in payloads][:2] == [TERMINATE, START_INIT]
        assert 2 <= sum(payload[2] == START_INIT for payload in payloads) <= 6

    def test_endless_garbage_is_given_up_too(self) -> None:
        with SocketTransport() as transport:
            stop = threading.Event()

            def babble() -> None:
                transport.far.settimeout(0.05)
                while not stop.is_set():
                    try:
                        transport.far.send(os.urandom(256))
                    except (TimeoutError, socket.timeout):
                        continue

            thread = threading.Thread(target=babble)
            thread.start()
            try:
                started = time.monotonic()
                with pytest.raises(TransportTimeout, match=r"none of them in a packet|came damaged"):
                    Session(transport, timeouts=QUICK, first_frame_sec=0.05).open()
                assert time.monotonic() - started < 3
            finally:
                stop.set()
                thread.join()

    def test_receive_gives_up_in_time(self) -> None:
        device = ScriptedDevice()
        with SocketTransport() as transport:
            session = Session(transport, timeouts=QUICK, first_frame_sec=0)
            answering = threading.Thread(target=answer_start, args=(transport.far, device))
            answering.start()
            session.open()
            answering.join()
            started = time.monotonic()
            with pytest.raises(TransportTimeout, match=r"did not answer in 0.2 s"):
                session.receive()
            assert 0.15 < time.monotonic() - started < 2

    def test_zero_means_no_limit(self) -> None:
        transport = ScriptedTransport(echo(), hello=b"")
        session = Session(transport, timeouts=Timeouts(0, 0, 0))
        session.open()
        session.send(b"ping")
        session.receive()
        assert transport.timeouts[1:] == [None, None]


def answer_start(far: socket.socket, device: ScriptedDevice) -> None:
    """Reply to one init."""
    unframer = Unframer()
    while True:
        for payload in unframer.feed(far.recv(4096)):
            reply = device(payload)
            if reply:
                far.sendall(reply)
                return
