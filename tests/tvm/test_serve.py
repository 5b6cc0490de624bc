# SPDX-License-Identifier: Apache-2.0
"""TVM's own tracker and the stock runner of AutoTVM, with served boards."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List

import pytest

from tests.conftest import Baker
from tests.tvm.conftest import DEADLINE_SEC, PROGRAMS, Tvm

pytestmark = pytest.mark.slow

TIMEOUT_SEC = 10
# Candidate -> result expected from the runner, start of its message.
OUTCOMES = {
    "good": ("NO_ERROR", ""),
    "crashes": ("RUNTIME_DEVICE", "The device "),
    "overruns": ("RUNTIME_DEVICE", "The device "),
    "ends": ("RUNTIME_DEVICE", "The device "),
    "hangs": ("RUN_TIMEOUT", f"The session timeout of {TIMEOUT_SEC} s expired while running on the board"),
    "does not compile": ("COMPILE_DEVICE", "BuildError: The build failed while compiling the model"),
}


@contextmanager
def started(argv: List[str], cwd: Path, env: Dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a process for the block, then end it with its children: TVM's tracker leaves children behind."""
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=DEADLINE_SEC)


@pytest.fixture
def tracker_port(tvm_python: str, tmp_path: Path) -> Iterator[int]:
    """Yield the port of TVM's tracker."""
    argv = [tvm_python, "-u", str(PROGRAMS / "tracker.py")]
    with started(argv, tmp_path, dict(os.environ)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def serving(tvm: Tvm, tracker_port: int, *options: str) -> Iterator[str]:
    """Serve a board in the tracker's queue "lab", and yield the first line of output."""
    argv = [sys.executable, "-m", "runtime.host", "serve", "--tracker", f"127.0.0.1:{tracker_port}"]
    with started([*argv, "--key", "lab", *options], tvm.platform.path, dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline()


def trials(tvm: Tvm, tracker_port: int, names: List[str], **options: str) -> List[Dict[str, Any]]:
    found = tvm.report("trials.py", tracker_port, "lab", TIMEOUT_SEC, json.dumps(options), *names)
    trials: List[Dict[str, Any]] = found["trials"]
    return trials


def check(found: List[Dict[str, Any]], names: List[str]) -> None:
    """Assert the expected result of every trial. The time limit allows for a busy machine."""
    assert [trial["name"] for trial in found] == names
    for trial in found:
        error, message = OUTCOMES[trial["name"]]
        assert (trial["error"], trial["message"][: len(message)]) == (error, message)
        assert not trial["costs"] or min(trial["costs"]) > 0
        assert trial["seconds"] < 2 * TIMEOUT_SEC


def test_every_trial_is_answered_on_a_host_board(tvm: Tvm, tracker_port: int) -> None:
    names = ["good", "crashes", "good", "overruns", "does not compile", "good", "ends", "hangs", "good"]
    with serving(tvm, tracker_port) as line:
        assert re.match(r"host is served as lab on 127\.0\.0\.1:\d+", line)
        check(trials(tvm, tracker_port, names, board="host"), names)


def test_every_trial_is_answered_on_an_emulated_board(tvm_with_cortex_m: Tvm, tracker_port: int) -> None:
    names = ["good", "crashes", "good", "hangs", "overruns", "good"]
    with serving(tvm_with_cortex_m, tracker_port, "--board", "mps2_an385"):
        check(trials(tvm_with_cortex_m, tracker_port, names, board="mps2_an385"), names)


def test_a_tuner_tunes_on_a_rack(tvm: Tvm, tracker_port: int) -> None:
    with serving(tvm, tracker_port, "--boards", "2"):
        found = tvm.report("tune.py", tracker_port, "lab", 4, 2)
    assert found["errors"] == [0] * 6
    assert found["best"] == min(found["costs"]) > 0


def test_the_page_about_tuning_works(tvm_python: str, bake: Baker) -> None:
    """Run the commands of the page, with a free port in place of a busy one."""
    tvm = Tvm(tvm_python, bake())
    section = tvm.platform.text("docs/tuning.md").replace("9190", str(free_port(range(9190, 9199))))
    commands = re.findall(r"^python (.*)$", section, re.MULTILINE)
    programs = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert [command.split()[:2] for command in commands] == [
        ["-m", "tvm.exec.rpc_tracker"],
        *[["mtvm.py", "serve"]] * 2,
    ]
    with ExitStack() as processes:
        for command in commands:
            argv = [tvm_python, "-u", *shlex.split(command)]
            process = processes.enter_context(started(argv, tvm.platform.path, tvm.environment()))
            assert process.stdout is not None
            assert re.search(r"bind to|is served as lab", process.stdout.readline())
        for program in programs:
            ran = tvm.run("-c", program)
            assert ran.returncode == 0, ran.stderr
    log = (tvm.platform.path / "tuning.log").read_text().splitlines()
    assert [json.loads(line)["result"][1] for line in log] == [0] * 8  # no error
    ran = tvm.run("-m", "runtime.host", "run", "models/tuned.tar")
    assert ran.returncode == 0, ran.stderr


def free_port(ports: Iterable[int]) -> int:
    for port in ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError(f"All ports of {ports} are in use.")
