# SPDX-License-Identifier: Apache-2.0
"""Serial ports: pseudo-terminals as boards."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest
import serial

from runtime.host.errors import PlatformError, ToolMissing, TransportClosed, TransportError, TransportTimeout
from runtime.host.system.open_files import holders
from runtime.host.transports import serial as serial_module
from runtime.host.transports.serial import SerialTransport
from tests.support.pty_board import PtyBoard, pty_board


@pytest.fixture
def board() -> Iterator[PtyBoard]:
    with pty_board() as board:
        yield board


@pytest.fixture
def port(board: PtyBoard) -> Iterator[SerialTransport]:
    """Yield the host's open end."""
    transport = SerialTransport(board.path, 115200)
    transport.open()
    yield transport
    transport.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[str, bool]]:
    """Return the list of changes of DTR and RTS.

    A pseudo-terminal has neither line, so that pyserial's last step is replaced.
    """
    changes: List[Tuple[str, bool]] = []

    def changed(name: str) -> Callable[[serial.Serial], None]:
        return lambda self: changes.append((name, getattr(self, f"_{name}_state")))

    monkeypatch.setattr(serial.Serial, "_update_dtr_state", changed("dtr"))
    monkeypatch.setattr(serial.Serial, "_update_rts_state", changed("rts"))
    return changes


def refusal(transport: SerialTransport) -> TransportError:
    with pytest.raises(TransportError) as caught:
        transport.open()
    assert not transport.is_open
    return caught.value


class TestBytes:
    def test_every_byte_goes_there_and_back(self, board: PtyBoard, port: SerialTransport) -> None:
        every = bytes(range(256))
        port.write(every, 1)
        assert board.hear(256) == every
        board.say(every)
        data = b""
        while len(data) < 256:
            data += port.read(256 - len(data), 5)
        assert data == every

    def test_one_read_takes_all_that_is_there(self, board: PtyBoard, port: SerialTransport) -> None:
        board.say(bytes(500))
        assert len(port.read(1, 5)) == 500

    def test_silence_is_a_timeout(self, port: SerialTransport) -> None:
        started = time.monotonic()
        with pytest.raises(TransportTimeout, match=r"/dev/\S+ sent nothing in 0\.05 s"):
            port.read(1, 0.05)
        assert 0.04 < time.monotonic() - started < 2
        with pytest.raises(TransportTimeout):
            port.read(1, 0)

    def test_a_board_that_does_not_read_is_a_timeout(self, port: SerialTransport) -> None:
        with pytest.raises(TransportTimeout, match=r"accepted only \d+ of 1000000 bytes in 0\.05 s"):
            port.write(bytes(1000000), 0.05)

    def test_a_slow_reader_gets_everything(self, board: PtyBoard, port: SerialTransport) -> None:
        data = os.urandom(30000)
        with ThreadPoolExecutor(1) as pool:
            hearing = pool.submit(board.hear, len(data))
            port.write(data, 10)
            assert hearing.result() == data

    def test_use_before_open_and_after_close(self, board: PtyBoard) -> None:
        transport = SerialTransport(board.path, 115200)
        for _ in range(2):
            with pytest.raises(TransportClosed, match="is not open"):
                transport.read(1, 0)
            with pytest.raises(TransportClosed, match="is not open"):
                transport.write(b"x", 0)
            transport.open()
            with pytest.raises(TransportError, match="already"):
                transport.open()
            transport.close()
            transport.close()

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count open files")
    def test_no_file_is_left_open(self, board: PtyBoard) -> None:
        def open_files() -> int:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (one directory entry is the scan's own)

        before = open_files()
        for _ in range(2):
            transport = SerialTransport(board.path, 115200)
            transport.open()
            transport.close()
            refusal(SerialTransport("/dev/no-such-port", 115200))
        assert open_files() == before


class TestSettings:
    def test_the_line_is_raw_at_its_speed(self, board: PtyBoard, port: SerialTransport) -> None:
        iflag, oflag, cflag, lflag, ispeed, ospeed, _ = board.settings()
        assert (ispeed, ospeed) == (termios.B115200, termios.B115200)
        assert not iflag & (termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.ISTRIP)
        assert not oflag & termios.OPOST
        assert not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)
        assert cflag & termios.CSIZE == termios.CS8 and not cflag & (termios.PARENB | termios.CSTOPB)

    def test_a_close_leaves_the_lines_of_the_board_alone(
        self, board: PtyBoard, port: SerialTransport
    ) -> None:
        assert not board.settings()[2] & termios.HUPCL

    @pytest.mark.parametrize("baud", [0, -1, 10**12])
    def test_an_impossible_speed(self, board: PtyBoard, baud: int) -> None:
        assert f"{baud} baud" in refusal(SerialTransport(board.path, baud)).what


class TestReset:
    def test_stale_input_is_dropped(self, board: PtyBoard) -> None:
        board.say(b"of an earlier run")
        transport = SerialTransport(board.path, 115200)
        transport.open()
        try:
            board.say(b"new")
            assert transport.read(3, 5) == b"new"
        finally:
            transport.close()

    @pytest.mark.parametrize("reset", ["none", "debug_probe"])
    def test_no_line_changes_unless_the_board_wants_it(
        self, board: PtyBoard, lines: List[Tuple[str, bool]], reset: str
    ) -> None:
        transport = SerialTransport(board.path, 115200, reset=reset)
        transport.open()
        transport.close()
        assert set(lines) == {("dtr", True), ("rts", True)}, "as the kernel itself sets them"

    def test_a_pulse(self, board: PtyBoard, lines: List[Tuple[str, bool]]) -> None:
        transport = SerialTransport(board.path, 115200, reset="dtr_rts")
        transport.open()
        transport.close()
        pulse = [("dtr", False), ("rts", True), ("rts", False), ("dtr", True), ("rts", True)]
        assert lines[-5:] == pulse

    def test_what_the_board_says_after_a_reset_is_kept(
        self, board: PtyBoard, lines: List[Tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def restart(self: serial.Serial) -> None:
            if not self.rts:
                board.say(b"booted")

        board.say(b"before")
        monkeypatch.setattr(serial.Serial, "_update_rts_state", restart)
        transport = SerialTransport(board.path, 115200, reset="dtr_rts")
        transport.open()
        try:
            assert transport.read(6, 5) == b"booted"
        finally:
            transport.close()

    def test_a_port_without_lines_cannot_reset_its_board(self, board: PtyBoard) -> None:
        error = refusal(SerialTransport(board.path, 115200, reset="dtr_rts"))
        assert "no lines DTR and RTS" in error.what
        assert '"reset"' in error.next_step

    def test_a_touch_shows_1200_baud_and_waits_for_the_board(
        self, board: PtyBoard, tmp_path: Path, lines: List[Tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = tmp_path / "port"
        link.symlink_to(board.path)
        speeds = []

        def lowered(self: serial.Serial) -> None:
            speeds.append((board.settings()[4], self.dtr))
            if not self.dtr:
                link.unlink()  # the board restarts

        def waits(_: float) -> None:
            if not link.is_symlink():
                link.symlink_to(board.path)

        monkeypatch.setattr(serial.Serial, "_update_dtr_state", lowered)
        monkeypatch.setattr(time, "sleep", waits)
        transport = SerialTransport(str(link), 115200, reset="touch_1200")
        transport.open()
        transport.close()
        assert speeds == [(termios.B1200, True), (termios.B1200, False), (termios.B115200, True)]

    def test_a_board_that_does_not_come_back_after_a_touch(
        self, board: PtyBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = tmp_path / "port"
        link.symlink_to(board.path)

        def lowered(self: serial.Serial) -> None:
            if not self.dtr:
                link.unlink()

        monkeypatch.setattr(serial_module, "RETURN_SEC", 0.05)
        monkeypatch.setattr(serial.Serial, "_update_dtr_state", lowered)
        assert "did not reappear" in refusal(SerialTransport(str(link), 115200, reset="touch_1200")).what

    def test_an_unknown_method_is_refused(self) -> None:
        with pytest.raises(ValueError, match="expected one of none, dtr_rts, touch_1200, debug_probe"):
            SerialTransport("/dev/null", 115200, reset="kick")


class TestFailures:
    def test_unplugged_while_reading_and_writing(self, board: PtyBoard, port: SerialTransport) -> None:
        board.unplug()
        with pytest.raises(TransportClosed, match="is gone: the board was unplugged"):
            port.read(1, 10)
        with pytest.raises(TransportClosed, match="is gone"):
            port.write(b"x", 10)
        port.close()
        assert "does not exist" in refusal(port).what

    def test_unplugged_while_a_read_waits(self, board: PtyBoard, port: SerialTransport) -> None:
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(port.read, 1, 10)
            board.unplug()
            with pytest.raises(TransportClosed, match="is gone"):
                reading.result()

    def test_what_was_sent_before_is_lost_or_read_but_never_a_hang(
        self, board: PtyBoard, port: SerialTransport
    ) -> None:
        board.say(b"last words")
        board.unplug()
        with pytest.raises(TransportClosed):
            while True:
                port.read(1, 10)

    def test_a_link_to_a_port_that_changes_is_followed(self, tmp_path: Path) -> None:
        link = tmp_path / "by-id"
        transport = SerialTransport(str(link), 115200)
        for _ in range(2):
            with pty_board() as board:
                link.symlink_to(board.path)
                transport.open()
                transport.write(b"x", 1)
                assert board.hear(1) == b"x"
                transport.close()
                link.unlink()

    def test_no_such_port(self) -> None:
        error = refusal(SerialTransport("/dev/no-such-port", 115200))
        assert "Serial port /dev/no-such-port does not exist" in error.what
        assert "mtvm.py ports" in error.next_step

    def test_what_is_no_serial_port(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        assert "cannot be used as a serial port" in refusal(SerialTransport(str(file), 115200)).what

    @pytest.mark.parametrize(
        ("number", "what", "next_step"),
        [
            (errno.EACCES, "Permission denied", "sudo usermod -aG "),
            (errno.EBUSY, "is in use by", "End the process"),
            (errno.EIO, "has no connected device", "Plug the board in again"),
        ],
    )
    def test_what_the_system_says_is_explained(
        self, board: PtyBoard, monkeypatch: pytest.MonkeyPatch, number: int, what: str, next_step: str
    ) -> None:
        """Simulate the system's errors: root has every permission, and a pseudo-terminal cannot fail."""
        system_open = os.open

        def refuse(path: object, *arguments: int, **named: int) -> int:
            if path == board.path:
                raise OSError(number, os.strerror(number), path)
            return system_open(path, *arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "open", refuse)
        error = refusal(SerialTransport(board.path, 115200))
        assert what in error.what and next_step in error.next_step

    def test_without_pyserial(self, board: PtyBoard, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "serial", None)
        with pytest.raises(ToolMissing, match="pyserial is not installed") as caught:
            SerialTransport(board.path, 115200).open()
        assert "pip install -r requirements.txt" in caught.value.next_step


class TestOneUser:
    def test_a_second_transport_of_this_process(self, board: PtyBoard, port: SerialTransport) -> None:
        assert "is already open in this process" in refusal(SerialTransport(board.path, 115200)).what

    def test_another_process_is_named_with_its_command(self, board: PtyBoard) -> None:
        with board.held_by_another() as holder:
            error = refusal(SerialTransport(board.path, 115200))
            holder.communicate("")
        assert f"in use by process {holder.pid}: " in error.what
        assert "from runtime.host.transports.serial import" in error.what
        assert f"kill {holder.pid}" in error.next_step

    def test_the_same_port_by_another_name(self, board: PtyBoard, tmp_path: Path) -> None:
        link = tmp_path / "by-id"
        link.symlink_to(board.path)
        with board.held_by_another() as holder:
            assert f"process {holder.pid}" in refusal(SerialTransport(str(link), 115200)).what
            holder.communicate("")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_a_holder_that_is_killed_frees_the_port(self, board: PtyBoard, number: signal.Signals) -> None:
        with board.held_by_another() as holder:
            holder.send_signal(number)
        transport = SerialTransport(board.path, 115200)
        transport.open()
        transport.close()

    def test_waiting_for_the_holder(self, board: PtyBoard) -> None:
        with board.held_by_another() as holder:
            transport = SerialTransport(board.path, 115200, lock_timeout_sec=30)
            assert holder.stdin is not None
            holder.stdin.close()
            transport.open()
            transport.close()

    def test_a_terminal_program_that_has_the_port_open(self, board: PtyBoard) -> None:
        """Check a terminal program that ignores the locks and would read the device's bytes."""
        command = ["sh", "-c", "exec 3<>$0; echo; read x", board.path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as terminal:
            assert terminal.stdout is not None
            terminal.stdout.readline()
            assert [each.pid for each in holders(board.path)] == [terminal.pid]
            error = refusal(SerialTransport(board.path, 115200))
            terminal.communicate(b"\n")
        assert f"in use by process {terminal.pid}: sh -c exec 3<>$0" in error.what

    def test_a_refused_open_leaves_the_port_free(self, board: PtyBoard) -> None:
        refusal(SerialTransport(board.path, 0))
        transport = SerialTransport(board.path, 115200)
        transport.open()
        transport.close()

    def test_no_lock_when_none_is_wanted(self, board: PtyBoard, port: SerialTransport) -> None:
        """Check that the lock of the port itself remains."""
        with pytest.raises(PlatformError, match="is in use by"):
            SerialTransport(board.path, 115200, lock=False).open()
