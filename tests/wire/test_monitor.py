# SPDX-License-Identifier: Apache-2.0
"""Output of a device: separation of frames and other bytes, and a device that disconnects."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable, List, Tuple

import pytest

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.wire import monitor
from runtime.host.wire.framing import encode_frame
from runtime.host.wire.monitor import Separator, watch
from runtime.host.wire.session import HEADER, LOG, NORMAL, START_INIT, START_REPLY, TERMINATE
from runtime.server import printable
from tests.conftest import Baker, Platform
from tests.support.pty_board import PtyBoard, pty_board

STARTED = encode_frame(HEADER.pack(0, TERMINATE))


def log(text: str) -> bytes:
    return encode_frame(HEADER.pack(0, LOG) + text.encode())


def separated(data: bytes, piece: int = 1 << 16) -> List[Tuple[str, bytes]]:
    """Return payloads and raw bytes in order, with adjacent raw bytes joined.

    Args:
        data: Bytes from the device.
        piece: Number of bytes in each read.
    """
    parts: List[Tuple[str, bytes]] = []

    def raw(data: bytes) -> None:
        if parts and parts[-1][0] == "raw":
            data = parts.pop()[1] + data
        parts.append(("raw", data))

    separator = Separator(lambda payload: parts.append(("frame", payload)), raw)
    for start in range(0, len(data), piece):
        separator.feed(data[start : start + piece])
    separator.flush()
    return parts


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 16])
class TestSeparator:
    def test_text_around_frames(self, piece: int) -> None:
        one, two, three = (encode_frame(payload) for payload in (b"one", b"two\xff", b"three"))
        data = b"boot\r\n\xfe" + one + two + b"printf" + three
        assert separated(data, piece) == [
            ("raw", b"boot\r\n"),
            ("frame", b"one"),
            ("frame", b"two\xff"),
            ("raw", b"printf"),
            ("frame", b"three"),
        ]

    def test_a_damaged_frame_is_raw(self, piece: int) -> None:
        bad = encode_frame(b"first").replace(b"first", b"worst")
        assert separated(bad + encode_frame(b"next"), piece) == [("raw", bad), ("frame", b"next")]

    def test_a_frame_that_is_abandoned_for_another(self, piece: int) -> None:
        bad = encode_frame(b"a long first one")[:12]
        assert separated(bad + encode_frame(b"next"), piece) == [("raw", bad), ("frame", b"next")]

    def test_a_frame_that_never_ends(self, piece: int) -> None:
        cut = encode_frame(b"a long first one")[:12]
        assert separated(b"x" + cut, piece) == [("raw", b"x" + cut)]

    def test_noise_that_looks_like_a_start(self, piece: int) -> None:
        noise = b"\xff\xfd\xff\x00 \xff \xfe \xfe\xff"
        assert separated(noise + encode_frame(b"one"), piece) == [("raw", noise), ("frame", b"one")]

    def test_no_byte_is_lost(self, piece: int) -> None:
        generator = random.Random(piece)
        for _ in range(50):
            noise = bytes(generator.choice(b"\xff\xfd\xfe\x00\x03ab") for _ in range(generator.randrange(40)))
            frames = [part for part in separated(noise, piece) if part[0] == "frame"]
            assert not frames
            assert b"".join(part for _, part in separated(noise, piece)) in (
                noise,
                # a nop before bytes that looked like the start of the first packet
                noise.replace(b"\xfe\xff\xfd", b"\xff\xfd"),
            )


class Script:
    """Transport that returns these pieces, then raises `end`."""

    def __init__(self, pieces: List[bytes], end: BaseException) -> None:
        self._pieces = list(pieces)
        self._end = end
        self.is_closed = False

    def open(self) -> None: ...

    def write(self, data: bytes, timeout_sec: object) -> None:
        raise AssertionError("A monitor must not write.")

    def read(self, want: int, timeout_sec: object) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        raise self._end

    def close(self) -> None:
        self.is_closed = True


def watched(*ways: object, **options: object) -> List[Tuple[str, object]]:
    """Return all events of a monitor.

    Args:
        ways: For each opening, a transport or the error that it raises.
        options: Options of the monitor.
    """
    heard: List[Tuple[str, object]] = []
    left = list(ways)

    def open_transport() -> Script:
        way = left.pop(0)
        if isinstance(way, BaseException):
            raise way
        assert isinstance(way, Script)
        return way

    def hears(what: str) -> Callable[[object], None]:
        return lambda value: heard.append((what, value))

    try:
        watch(open_transport, hears("log"), hears("frame"), hears("raw"), hears("link"), **options)  # type: ignore[arg-type]
    except (KeyboardInterrupt, TransportError) as error:
        heard.append(("end", type(error)))
    return heard


GONE = TransportClosed("It is gone.", "Plug it in.")
SILENT = TransportTimeout("Nothing came.", "Wait.")


class TestWatch:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(monitor, "RETRY_SEC", 0.001)

    def test_each_kind_of_frame(self) -> None:
        pieces = [
            b"hello\n\xfe" + STARTED + log("ready"),
            encode_frame(HEADER.pack(0x0042, START_INIT) + b"\1"),
            encode_frame(HEADER.pack(0x1142, START_REPLY) + b"\1"),
            encode_frame(HEADER.pack(0x1142, NORMAL) + bytes(20)),
            encode_frame(HEADER.pack(0x1142, TERMINATE)),
            encode_frame(HEADER.pack(0x1142, 0x77)),
            encode_frame(b"\1"),
        ]
        assert watched(Script(pieces, KeyboardInterrupt())) == [
            ("raw", b"hello\n"),
            ("frame", "the device has started"),
            ("log", "ready"),
            ("frame", "session start, session 0x0042, 1 bytes"),
            ("frame", "session start, reply, session 0x1142, 1 bytes"),
            ("frame", "message, session 0x1142, 20 bytes"),
            ("frame", "session end, session 0x1142, 0 bytes"),
            ("frame", "unknown type 0x77, session 0x1142, 0 bytes"),
            ("frame", "a frame of 1 bytes, too short for a session"),
            ("end", KeyboardInterrupt),
        ]

    def test_what_is_held_back_is_shown_when_nothing_more_comes(self) -> None:
        script = Script([b"\xff\xfd\x03\0\0"], SILENT)
        assert watched(script, seconds=0.01) == [("raw", b"\xff\xfd\x03\0\0")]
        assert script.is_closed

    def test_a_device_that_vanishes_and_comes_back(self) -> None:
        no_port = TransportError("There is no port.", "Plug it in.")
        first, second = Script([b"a\xff"], GONE), Script([b"b"], KeyboardInterrupt())
        assert watched(first, no_port, no_port, second) == [
            ("raw", b"a"),
            ("raw", b"\xff"),
            ("link", "It is gone."),
            ("link", "The device is connected again."),
            ("raw", b"b"),
            ("end", KeyboardInterrupt),
        ]
        assert first.is_closed and second.is_closed

    def test_one_that_stays_away_ends_with_its_time(self) -> None:
        no_port = TransportError("There is no port.", "Plug it in.")
        assert watched(Script([], GONE), *[no_port] * 1000, seconds=0.02) == [("link", "It is gone.")]

    def test_one_that_cannot_come_back(self) -> None:
        assert watched(Script([b"a"], GONE), reconnect=False) == [("raw", b"a"), ("end", TransportClosed)]

    def test_one_that_was_never_there(self) -> None:
        assert watched(TransportError("There is no port.", "Plug it in.")) == [("end", TransportError)]


def test_a_terminal_is_not_told_what_to_do() -> None:
    assert printable("a\tb\r\nc\x1b[2J\0\x9b\r") == "a\tb\nc\\x1b[2J\\x00\\x9b\\r"


class TestCommand:
    def start(self, platform: Platform, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "runtime.host", *arguments],
            cwd=platform.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def listening(self, platform: Platform, board: PtyBoard, *arguments: str) -> subprocess.Popen[str]:
        """Start a monitor and wait until it has opened its port.

        The board repeats a line until the monitor prints it.
        """
        process = self.start(platform, "monitor", "--port", board.path, *arguments)
        assert process.stdout is not None
        board.say_until_heard(b"ready\n", process.stdout)
        return process

    def test_what_a_board_says(self, default_platform: Platform) -> None:
        with pty_board() as board, self.listening(default_platform, board) as process:
            board.say(b"printf\x1b" + log("over") + b"\n")
            assert process.stdout is not None
            lines: List[str] = []
            while not lines or "over" not in lines[-1]:
                lines.append(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=30)
        assert process.returncode == 130
        assert complaint == "Stopped.\n"
        assert [line for line in lines if line != "ready\n"] == ["printf\\x1b\n", "log: over\n"]

    def test_so_many_seconds(self, default_platform: Platform) -> None:
        with pty_board() as board, self.start(
            default_platform, "monitor", "--port", board.path, "--seconds", "0.1"
        ) as process:
            assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0

    def test_no_such_port(self, default_platform: Platform) -> None:
        with self.start(default_platform, "monitor", "--port", "/dev/no-such-port") as process:
            _, complaint = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "Serial port /dev/no-such-port does not exist" in complaint

    def test_a_board_of_this_machine_needs_a_firmware(self, default_platform: Platform) -> None:
        with self.start(default_platform, "monitor") as process:
            _, complaint = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "Name a model (monitor MODEL)" in complaint

    @pytest.mark.slow
    def test_a_process_of_this_machine_is_started_with_its_firmware(self, bake: Baker) -> None:
        archive = str(Path(__file__).resolve().parents[1] / "data" / "archives" / "aot_c.tar")
        with self.start(bake(), "monitor", archive) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "[the device has started]\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == ("", "Stopped.\n")
        assert process.returncode == 130

    def test_a_socket(self, default_platform: Platform) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = f"127.0.0.1:{listener.getsockname()[1]}"
            with self.start(default_platform, "monitor", "--port", port) as process:
                device, _ = listener.accept()
                device.sendall(b"hello\n")
                assert process.stdout is not None and process.stdout.readline() == "hello\n"
                device.close()
                assert process.stderr is not None
                assert "closed the connection" in process.stderr.readline()
                device, _ = listener.accept()
                assert process.stderr.readline() == "The device is connected again.\n"
                device.sendall(b"again\n")
                assert process.stdout.readline() == "again\n"
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
                device.close()
        assert process.returncode == 130

    def test_ports(self, default_platform: Platform) -> None:
        with self.start(default_platform, "ports") as process:
            said, complaint = process.communicate(timeout=30)
        assert (process.returncode, complaint) == (0, "")
        assert "/dev/" in said or "This machine has no serial port" in said
