# SPDX-License-Identifier: Apache-2.0
"""TVM's own tracker and the stock runner of AutoTVM, on boards that are lent to them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from tests.tvm.conftest import DEADLINE_SEC, PROGRAMS, Tvm

pytestmark = pytest.mark.slow

TIMEOUT_SEC = 10
# Candidate -> what the runner is to report, and what its message begins with.
OUTCOMES = {
    "good": ("NO_ERROR", ""),
    "crashes": ("RUNTIME_DEVICE", "The device "),
    "overruns": ("RUNTIME_DEVICE", "The device "),
    "ends": ("RUNTIME_DEVICE", "The device "),
    "hangs": ("RUNTIME_DEVICE", f"The {TIMEOUT_SEC} s of this session ended while running on the board"),
    "does not compile": ("RUNTIME_DEVICE", "BuildError: The build failed while compiling the model"),
}


@contextmanager
def started(argv: List[str], cwd: Path, env: Dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block."""
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SEC)


@pytest.fixture
def tracker_port(tvm_python: str, tmp_path: Path) -> Iterator[int]:
    """TVM's tracker."""
    argv = [tvm_python, "-u", str(PROGRAMS / "tracker.py")]
    with started(argv, tmp_path, dict(os.environ)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def serving(tvm: Tvm, tracker_port: int, *options: str) -> Iterator[str]:
    """A board in the tracker's queue "lab"."""
    argv = [sys.executable, "-m", "runtime.host", "serve", "--tracker", f"127.0.0.1:{tracker_port}"]
    with started([*argv, "--key", "lab", *options], tvm.platform.path, dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline()


def trials(tvm: Tvm, tracker_port: int, names: List[str], **options: str) -> List[Dict[str, Any]]:
    found = tvm.report("trials.py", tracker_port, "lab", TIMEOUT_SEC, json.dumps(options), *names)
    trials: List[Dict[str, Any]] = found["trials"]
    return trials


def check(found: List[Dict[str, Any]], names: List[str]) -> None:
    """Every trial is answered, and as it should be. The time allowed is that of a busy machine."""
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
