# SPDX-License-Identifier: Apache-2.0
"""Waiting for child processes with a deadline, and ending them with their own children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from runtime.host.system import processes
from runtime.host.system.processes import end_fork, end_process, ends_within, kill_group, kill_tree

DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"
"""A shell that survives SIGTERM; so does its child, a sleep."""


@pytest.fixture(params=["woken by the system", "polling"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with and without a process file descriptor."""

    def refuse(_process_id: int) -> int:
        raise OSError("not here")

    if request.param == "polling":
        monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts a shell script in a new process group and reads its first line."""
    started = []

    def start_(script: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start_
    for process in started:
        kill_group(process)
        assert process.stdout is not None
        process.stdout.close()


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def await_end(process_id: int) -> None:
    deadline = time.monotonic() + 5.0  # on a busy machine a killed process may run a little longer
    while is_running(process_id):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fork(program: Callable[[int], None]) -> int:
    """Fork a process that runs program(fd), and wait until it has written to fd."""
    reading, writing = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        try:
            program(writing)
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)
    return process_id


class TestWaiting:
    def test_for_a_process_that_ends(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start("echo ready; sleep 0.1; exit 3")
        assert ends_within(process, 10.0)
        assert process.returncode == 3
        assert ends_within(process, 0.0)

    def test_for_one_that_runs_on(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start("echo ready; sleep 100")
        before = time.monotonic()
        assert not ends_within(process, 0.1)
        assert 0.1 <= time.monotonic() - before < 5.0

    def test_leaves_no_descriptor_open(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start("echo ready; sleep 100")
        before = sorted(Path("/proc/self/fd").iterdir())
        assert not ends_within(process, 0.01)
        assert sorted(Path("/proc/self/fd").iterdir()) == before


class TestEndProcess:
    def test_first_waits(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start("echo ready; sleep 0.2; exit 3")
        end_process(process, 10.0)
        assert process.returncode == 3

    def test_then_asks(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start("echo ready; exec sleep 100")
        end_process(process, 0.05)
        assert process.returncode == -signal.SIGTERM

    def test_then_kills(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        process = start(DEAF)
        end_process(process, 0.05)
        assert process.returncode == -signal.SIGKILL

    def test_of_its_whole_group(self, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
        child = tmp_path / "child"
        process = start(f"sleep 100 & echo $! > {child}; echo ready; wait")
        end_process(process, 0.05, whole_group=True)
        await_end(int(child.read_text(encoding="ascii")))

    def test_waits_as_it_is_told(self, start: Callable[..., subprocess.Popen[bytes]]) -> None:
        waits = []

        def ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
            waits.append(seconds)
            return ends_within(process, 0.05)

        process = start(DEAF)
        end_process(process, 4.0, ends=ends)
        assert waits == [4.0, 4.0]
        assert process.returncode == -signal.SIGKILL


class TestKillGroup:
    def test_ends_what_a_process_has_left(
        self, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
    ) -> None:
        child = tmp_path / "child"
        process = start(f"sleep 100 > {os.devnull} & echo $! > {child}; echo ready")
        assert ends_within(process, 10.0)
        kill_group(process)
        await_end(int(child.read_text(encoding="ascii")))
        kill_group(process)  # the group has no process left


class TestForks:
    def test_are_asked_to_end(self) -> None:
        def ends_on_request(ready: int) -> None:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
            os.write(ready, b".")
            time.sleep(100)

        process_id = fork(ends_on_request)
        before = time.monotonic()
        end_fork(process_id, 10.0)
        assert time.monotonic() - before < 5.0
        assert not is_running(process_id)
        end_fork(process_id, 10.0)  # the process has already ended

    def test_are_killed_with_their_children(self, tmp_path: Path) -> None:
        child = tmp_path / "child"

        def is_deaf(ready: int) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            program = [sys.executable, "-c", "import time; time.sleep(100)"]
            below = subprocess.Popen(program, start_new_session=True)
            child.write_text(str(below.pid), encoding="ascii")
            os.write(ready, b".")
            time.sleep(100)

        process_id = fork(is_deaf)
        end_fork(process_id, 0.05)
        assert not Path(f"/proc/{process_id}").exists()
        await_end(int(child.read_text(encoding="ascii")))

    def test_a_tree_that_is_gone_is_no_error(self) -> None:
        process_id = fork(lambda ready: (os.write(ready, b"."), None)[1])
        os.waitpid(process_id, 0)
        kill_tree(process_id)


def test_the_functions_of_the_server_are_the_same_here() -> None:
    from runtime import server

    assert processes.end_children is server.end_children
    assert processes.child_processes is server.child_processes
