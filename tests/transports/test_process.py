# SPDX-License-Identifier: Apache-2.0
"""Transports: a process as a device, and exact reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports import process as process_module
from runtime.host.transports.process import ProcessTransport

ECHO = "import os\nwhile (d := os.read(0, 65536)): os.write(1, d)"
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready")
while True: time.sleep(60)
"""


def python(program: str) -> ProcessTransport:
    return ProcessTransport([sys.executable, "-S", "-c", program])


@pytest.fixture
def device() -> Iterator[ProcessTransport]:
    """Yield a transport to an echo program."""
    transport = python(ECHO)
    transport.open()
    yield transport
    transport.close()


def read_all(transport: ProcessTransport, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += transport.read(count - len(data), 10)
    return data


def is_gone(pid: int) -> bool:
    """Return whether the process has ended, including as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"


class TestProcess:
    def test_bytes_go_there_and_back(self, device: ProcessTransport) -> None:
        device.write(b"hello", 1)
        assert read_all(device, 5) == b"hello"

    def test_one_read_takes_what_one_write_gave(self, device: ProcessTransport) -> None:
        device.write(bytes(4096), 1)
        assert len(device.read(11, 10)) == 4096

    def test_more_than_a_pipe_holds_is_written_in_parts(self, device: ProcessTransport) -> None:
        data = os.urandom(1 << 20)
        received: List[bytes] = []
        reader = threading.Thread(target=lambda: received.append(read_all(device, len(data))))
        reader.start()
        device.write(data, 10)
        reader.join()
        assert received == [data]

    def test_silence_is_a_timeout(self, device: ProcessTransport) -> None:
        started = time.monotonic()
        with pytest.raises(TransportTimeout, match=r"sent nothing in 0\.05 s"):
            device.read(1, 0.05)
        assert 0.04 < time.monotonic() - started < 2
        with pytest.raises(TransportTimeout):
            device.read(1, 0)

    def test_a_device_that_does_not_read_is_a_timeout(self) -> None:
        transport = python("import time; time.sleep(60)")
        transport.open()
        try:
            with pytest.raises(TransportTimeout, match=r"took only \d+ of 1048576 bytes in 0\.05 s"):
                transport.write(bytes(1 << 20), 0.05)
        finally:
            transport.close()

    @pytest.mark.parametrize(
        ("program", "message"),
        [
            ("raise SystemExit(3)", "ended with exit status 3"),
            ("pass", "ended with exit status 0"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
            ("import os; os.abort()", "ended by SIGABRT"),
        ],
    )
    def test_the_end_of_a_device_says_how_it_ended(self, program: str, message: str) -> None:
        transport = python(program)
        transport.open()
        try:
            with pytest.raises(TransportClosed, match=message):
                transport.read(1, 10)
            with pytest.raises(TransportClosed, match=message):
                transport.write(bytes(1 << 20), 10)
        finally:
            transport.close()

    def test_a_device_that_closes_its_output_but_lives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_module, "GRACE_SEC", 0.05)
        transport = python("import os, time; os.close(1); time.sleep(60)")
        transport.open()
        try:
            with pytest.raises(TransportClosed, match="closed its end of the link but runs on"):
                transport.read(1, 10)
        finally:
            transport.close()

    def test_what_was_sent_before_the_end_is_read_first(self) -> None:
        transport = python("import os; os.write(1, b'last words')")
        transport.open()
        try:
            assert read_all(transport, 10) == b"last words"
            with pytest.raises(TransportClosed):
                transport.read(1, 10)
        finally:
            transport.close()

    @pytest.mark.parametrize("name", ["no/such/program", __file__])
    def test_a_program_that_cannot_be_started(self, name: str) -> None:
        transport = ProcessTransport([name])
        with pytest.raises(TransportError, match="cannot be started"):
            transport.open()
        transport.close()

    def test_directory_and_environment(self, tmp_path: Path) -> None:
        program = "import os; os.write(1, (os.getcwd() + os.environ['WORD']).encode())"
        command = [sys.executable, "-S", "-c", program]
        transport = ProcessTransport(command, cwd=tmp_path, env={"WORD": " word"})
        transport.open()
        expected = f"{tmp_path.resolve()} word".encode()
        assert read_all(transport, len(expected)) == expected
        transport.close()

    def test_use_before_open_and_after_close(self) -> None:
        transport = python(ECHO)
        for _ in range(2):
            with pytest.raises(TransportClosed, match="not running"):
                transport.read(1, 0)
            with pytest.raises(TransportClosed, match="not running"):
                transport.write(b"x", 0)
            transport.open()
            with pytest.raises(TransportError, match="running already"):
                transport.open()
            transport.close()
            transport.close()

    def test_it_can_be_opened_again(self) -> None:
        transport = python(ECHO)
        for _ in range(2):
            transport.open()
            transport.write(b"again", 1)
            assert read_all(transport, 5) == b"again"
            transport.close()


class TestNothingIsLeft:
    def test_close_ends_a_device_at_once(self, device: ProcessTransport) -> None:
        device.write(b"x", 1)
        read_all(device, 1)
        pid = device.pid
        assert pid is not None
        started = time.monotonic()
        device.close()
        assert time.monotonic() - started < 0.5
        assert is_gone(pid)

    def test_a_device_that_is_held_back_by_a_full_pipe_ends_too(self) -> None:
        transport = python("import os\nos.write(1, bytes(1 << 20))\nos.read(0, 1)")
        transport.open()
        pid = transport.pid
        assert pid is not None
        transport.read(1, 10)
        transport.close()
        assert is_gone(pid)

    def test_a_stubborn_device_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_module, "GRACE_SEC", 0.05)
        transport = python(STUBBORN)
        transport.open()
        pid = transport.pid
        assert pid is not None
        assert read_all(transport, 5) == b"ready"
        transport.close()
        assert is_gone(pid)

    def test_what_the_device_has_started_is_ended_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_module, "GRACE_SEC", 0.05)
        program = (
            "import os, subprocess, sys\n"
            "child = subprocess.Popen(['sleep', '60'])\n"
            "os.write(1, b'%8d' % child.pid)\n"
            "os.read(0, 1)"
        )
        transport = python(program)
        transport.open()
        child = int(read_all(transport, 8))
        transport.close()
        deadline = time.monotonic() + 5
        while not is_gone(child) and time.monotonic() < deadline:
            os.sched_yield()
        assert is_gone(child)

    def test_a_host_that_is_killed_takes_its_device_along(self) -> None:
        program = (
            "import signal, sys\n"
            "from runtime.host.transports.process import ProcessTransport\n"
            f"transport = ProcessTransport([sys.executable, '-S', '-c', {ECHO!r}])\n"
            "transport.open()\n"
            "print(transport.pid, flush=True)\n"
            "signal.pause()\n"
        )
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as host:
            assert host.stdout is not None
            device_pid = int(host.stdout.readline())
            host.send_signal(signal.SIGKILL)
            host.wait()
        deadline = time.monotonic() + 5
        while not is_gone(device_pid) and time.monotonic() < deadline:
            os.sched_yield()
        assert is_gone(device_pid)

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count open files")
    def test_no_file_is_left_open(self) -> None:
        def open_files() -> int:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (one directory entry is the scan's own)

        before = open_files()
        for program in (ECHO, "raise SystemExit(3)"):
            for _ in range(3):
                transport = python(program)
                transport.open()
                transport.close()
        missing = ProcessTransport(["no/such/program"])
        with pytest.raises(TransportError):
            missing.open()
        assert open_files() == before
