# SPDX-License-Identifier: Apache-2.0
"""Locks of boards: one user at a time; the error for a second user names the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.host.errors import TransportError
from runtime.host.system.locks import BoardLock, port_lock, serial_number_lock

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from runtime.host.system.locks import BoardLock
with BoardLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def name(tmp_path: Path) -> str:
    """Return the name of a board that no other test uses."""
    return str(tmp_path)


def holder_of(name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_process_is_told_at_once_who_holds_it(name: str) -> None:
    with holder_of(name) as holder:
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            BoardLock(name).acquire()
        assert time.monotonic() - started < 0.5
        holder.communicate("")
    assert f"{name} is in use by process {holder.pid}: " in caught.value.what
    assert "from runtime.host.system.locks import BoardLock" in caught.value.what
    assert f"kill {holder.pid}" in caught.value.next_step


def test_the_second_process_may_wait(name: str) -> None:
    with holder_of(name) as holder:
        lock = BoardLock(name)
        with pytest.raises(TransportError, match=f"process {holder.pid}"):
            lock.acquire(timeout_sec=0.05)
        assert holder.stdin is not None
        holder.stdin.close()
        lock.acquire(timeout_sec=30)
        lock.release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_holder_frees_the_board(name: str, number: signal.Signals) -> None:
    with holder_of(name) as holder:
        holder.send_signal(number)
    with BoardLock(name):
        pass


def test_a_second_user_in_the_same_process(name: str) -> None:
    with BoardLock(name), pytest.raises(TransportError, match="is already open in this process"):
        BoardLock(name).acquire()


def test_release_twice_and_without_a_lock(name: str) -> None:
    lock = BoardLock(name)
    lock.release()
    with lock:
        lock.release()
        with BoardLock(name):
            pass


def test_a_holder_that_has_not_said_who_it_is(name: str) -> None:
    with holder_of(name) as holder:
        for file in Path(f"/tmp/microtvm-locks-{os.getuid()}").iterdir():
            if file.read_text().startswith(f"{holder.pid}\n"):
                os.truncate(file, 0)
        with pytest.raises(TransportError, match="in use by another process"):
            BoardLock(name).acquire()
        holder.communicate("")


def test_boards_do_not_stand_in_each_others_way(name: str) -> None:
    with BoardLock(f"{name}/a"), BoardLock(f"{name}/b"), serial_number_lock(f"{name}/a"):
        pass


def test_a_port_has_one_lock_by_all_its_names(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(tmp_path / "ttyACM0")
    with port_lock(str(link)), pytest.raises(TransportError, match="ttyACM0 is already open"):
        port_lock(str(tmp_path / "ttyACM0")).acquire()


def test_locks_are_nobody_elses_business() -> None:
    with BoardLock("/dev/x"):
        assert Path(f"/tmp/microtvm-locks-{os.getuid()}").stat().st_mode & 0o777 == 0o700
