# SPDX-License-Identifier: Apache-2.0
"""Programs run under a deadline, and none of their children stays behind."""

import os
import time
from pathlib import Path

import pytest

from runtime.host.errors import ToolMissing
from runtime.host.tools import find_tool, run_tool


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def test_output_and_exit_code_are_kept(tmp_path):
    result = run_tool(["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path, timeout_sec=10)
    assert (result.exit_code, result.output, result.timed_out) == (3, "out\nerr\n", False)


def test_a_hanging_program_is_ended_with_its_children(tmp_path):
    script = "sleep 100 & echo $! > child; wait"
    result = run_tool(["sh", "-c", script], cwd=tmp_path, timeout_sec=0.3)
    assert result.timed_out
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child))


def test_an_exception_in_the_caller_ends_the_group(tmp_path, monkeypatch):
    import subprocess

    real = subprocess.Popen.communicate

    def interrupted(self, *args, **kwargs):
        wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tool(["sh", "-c", "sleep 100 & echo $! > child; wait"], cwd=tmp_path, timeout_sec=10)
    monkeypatch.setattr(subprocess.Popen, "communicate", real)
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child))


def test_a_missing_program_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ToolMissing) as caught:
        find_tool("cmake", "build the firmware")
    assert "cmake is not installed; it is needed to build the firmware" in str(caught.value)
    assert "apt-get install cmake" in str(caught.value)
