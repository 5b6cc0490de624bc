# SPDX-License-Identifier: Apache-2.0
"""Emulated boards as devices: real emulators where needed, a script where only the process matters."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List

import pytest

from runtime.host.errors import ToolMissing, TransportClosed, TransportError
from runtime.host.transports.emulator import EmulatorTransport

ROOT = Path(__file__).resolve().parents[2]
QEMU = "qemu-system-arm"

# Prints the emulator's process id. The test then kills it.
HOST = """
import signal, sys
from runtime.host.transports.emulator import EmulatorTransport
transport = EmulatorTransport(lambda uart: {argv})
transport.open()
print(transport.pid, flush=True)
signal.pause()
"""

needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"needs {QEMU}")


def qemu(uart: int, machine: str = "mps2-an385") -> List[str]:
    """Return the command of a board that is stopped before its first instruction."""
    return [
        *(QEMU, "-M", machine, "-S", "-nodefaults", "-nographic", "-monitor", "none"),
        *("-chardev", f"socket,id=uart,fd={uart}", "-serial", "chardev:uart"),
    ]


def python(program: str) -> Callable[[int], List[str]]:
    """Return a function that makes the command of a program with its UART end as the socket `uart`."""
    start = "import os, socket, sys, time\nuart = socket.socket(fileno={})\n"
    return lambda uart: [sys.executable, "-S", "-c", start.format(uart) + program]


def command_of(pid: int) -> str:
    """Return the command line of a process; empty for no process or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_bytes_go_there_and_back() -> None:
    transport = EmulatorTransport(python("while data := uart.recv(99): uart.sendall(data.upper())"))
    transport.open()
    try:
        transport.write(b"hello", 1)
        assert transport.read(5, 10) == b"HELLO"
    finally:
        transport.close()


def test_it_runs_in_the_directory_that_was_named(tmp_path: Path) -> None:
    transport = EmulatorTransport(python("uart.sendall(os.getcwd().encode()); uart.recv(1)"), cwd=tmp_path)
    transport.open()
    try:
        assert transport.read(1, 10).decode() == str(tmp_path.resolve())
    finally:
        transport.close()


def test_use_before_open_and_after_close() -> None:
    transport = EmulatorTransport(python("uart.recv(1)"))
    for _ in range(2):
        with pytest.raises(TransportClosed, match="is not running"):
            transport.read(1, 0)
        transport.open()
        with pytest.raises(TransportError, match="already"):
            transport.open()
        transport.close()
        transport.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count open files")
def test_no_file_is_left_open() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (one directory entry is the scan's own)

    before = open_files()
    for argv_for in (python("uart.recv(1)"), python(""), lambda _: ["no-such-emulator"]):
        transport = EmulatorTransport(argv_for)
        try:
            transport.open()
        except ToolMissing:
            continue
        transport.close()
    assert open_files() == before


class TestItsEnd:
    def ended(self, argv_for: Callable[[int], List[str]]) -> TransportClosed:
        transport = EmulatorTransport(argv_for)
        transport.open()
        try:
            with pytest.raises(TransportClosed) as caught:
                transport.read(1, 10)
            return caught.value
        finally:
            transport.close()

    @needs_qemu
    def test_a_machine_that_it_does_not_know_is_told_in_its_words(self) -> None:
        error = self.ended(lambda uart: qemu(uart, "no-such-machine"))
        assert f"The emulator {QEMU} ended with exit status 1: {QEMU}: " in error.what
        assert "unsupported machine type" in error.what
        assert "boards.json" in error.next_step
        assert "-machine help" in error.log

    def test_an_end_without_a_word(self) -> None:
        assert "ended with exit status 3 and said nothing" in self.ended(python("sys.exit(3)")).what

    def test_a_crash(self) -> None:
        assert "was ended by SIGABRT" in self.ended(python("os.abort()")).what

    def test_a_uart_that_is_closed_while_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("runtime.host.transports.emulator.END_SEC", 0.05)
        error = self.ended(python("uart.close(); time.sleep(60)"))
        assert "closed the board's UART but runs on" in error.what

    def test_only_the_end_of_a_long_output_is_kept(self) -> None:
        error = self.ended(python("print('x\\n' * 100000 + 'emulator: no'); sys.exit(1)"))
        assert error.what.endswith("emulator: no")
        assert len(error.log) < 20000

    def test_one_that_is_not_installed(self) -> None:
        with pytest.raises(ToolMissing, match="no-such-emulator is not installed"):
            EmulatorTransport(lambda _: ["no-such-emulator"]).open()

    def test_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(TransportError, match="cannot be started"):
            EmulatorTransport(python(""), cwd=tmp_path / "no").open()


@needs_qemu
class TestNothingIsLeft:
    def test_close_takes_milliseconds(self) -> None:
        transport = EmulatorTransport(qemu)
        transport.open()
        pid = transport.pid
        assert pid is not None
        wait_until(lambda: command_of(pid).startswith(QEMU))
        started = time.monotonic()
        transport.close()
        assert time.monotonic() - started < 0.25
        assert command_of(pid) == ""

    @pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
    def test_a_host_that_is_killed_takes_it_along(self) -> None:
        argv = repr(qemu(77)).replace("fd=77", "fd=' + str(uart) + '")
        with subprocess.Popen(
            [sys.executable, "-c", HOST.format(argv=argv)], stdout=subprocess.PIPE, cwd=ROOT
        ) as host:
            assert host.stdout is not None
            pid = int(host.stdout.readline())
            wait_until(lambda: command_of(pid).startswith(QEMU))
            host.send_signal(signal.SIGKILL)
        wait_until(lambda: command_of(pid) == "")

    @pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
    def test_one_whose_host_died_before_it_started_does_not_start(self, tmp_path: Path) -> None:
        """Simulate a host that died first: the kernel would end the child only with its current parent."""
        from runtime.host.system.programs import dies_with_us

        words = dies_with_us()
        words[-1] = "1" if os.getppid() != 1 else "2"  # this process is not the expected parent
        note = tmp_path / "started"
        result = subprocess.run([*words, "touch", str(note)], check=False)
        assert result.returncode != 0
        assert not note.exists()

    def test_without_setpriv_it_is_started_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "setpriv" else find(name))
        transport = EmulatorTransport(python("uart.sendall(b'x'); uart.recv(1)"))
        transport.open()
        try:
            assert transport.read(1, 10) == b"x"
        finally:
            transport.close()
