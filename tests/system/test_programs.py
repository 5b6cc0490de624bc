# SPDX-License-Identifier: Apache-2.0
"""Programs with a deadline: none of their children outlives them."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from runtime.host.errors import ToolMissing
from runtime.host.system.programs import find_tool, run_tool

ROOT = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "Timeout: the condition is still false."
        time.sleep(0.01)


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    result = run_tool(["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path, timeout_sec=10)
    assert (result.exit_code, result.output, result.timed_out) == (3, "out\nerr\n", False)


def test_a_hanging_program_is_ended_with_its_children(tmp_path: Path) -> None:
    script = "sleep 100 & echo $! > child; wait"
    result = run_tool(["sh", "-c", script], cwd=tmp_path, timeout_sec=0.3)
    assert result.timed_out
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child))


def test_an_exception_in_the_caller_ends_the_group(tmp_path: Path) -> None:
    program = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from runtime.host.system.programs import run_tool\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "script = 'sleep 100 & sleep 1; echo $! > child; wait'\n"
        "run_tool(['sh', '-c', script], cwd=Path(sys.argv[1]), timeout_sec=60)\n"
    )
    child = tmp_path / "child"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT) as caller:
        wait_until(lambda: child.exists() and child.read_text().endswith("\n"))
        caller.terminate()
    assert caller.returncode == 1
    wait_until(lambda: not alive(int(child.read_text())))


def test_a_daemon_that_a_program_leaves_behind_does_not_hold_the_caller(tmp_path: Path) -> None:
    started = time.monotonic()
    result = run_tool(["sh", "-c", "setsid sleep 5 & exit 0"], cwd=tmp_path, timeout_sec=10)
    assert result.exit_code == 0
    assert time.monotonic() - started < 4


def test_a_missing_program_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ToolMissing) as caught:
        find_tool("cmake", "build the firmware")
    assert "cmake is not installed; it is needed to build the firmware" in str(caught.value)
    assert "apt-get install cmake" in str(caught.value)
