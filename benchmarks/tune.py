# SPDX-License-Identifier: Apache-2.0
"""AutoTVM's trials on served boards, with TVM's tracker and runner in TVM's interpreter.

MICROTVM_TVM_PYTHON names the interpreter. The time of a trial is the tuner's: from the model archive of a
candidate to its costs, with TVM's build of the candidate. With several boards, as many trials run at the same
time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT, bake
from benchmarks.tvm_programs import PROGRAMS, report_of, tvm_python

TRIALS = 8
LIMITS = {"host": 0.6, "mps2_an385": 1.2}  # seconds per trial
RACKS = (1, 2, 4)
MANY = 24
FAULTS = ("crashes", "overruns", "ends", "does not compile")
TIMEOUT_SEC = 10


def measure() -> List[Figure]:
    """Measure seconds per trial on each board, and trials per minute with more host boards."""
    return list(_measure())


def _measure() -> Iterator[Figure]:
    python = tvm_python()
    if python is None:
        return
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        platforms = {
            "host": bake(Path(name) / "host", board_family="host"),
            "mps2_an385": bake(Path(name) / "cortex_m", board_family="cortex_m"),
        }
        with _tracker(python) as tracker:
            for board, platform in platforms.items():
                with _serving(platform, tracker, "--board", board):
                    seconds = _tuned(python, platform, tracker, 1, TRIALS)["seconds"]  # of batches of one
                yield figure(f"trial on {board}", "s", seconds, LIMITS[board])
            for boards in RACKS:
                with _serving(platforms["host"], tracker, "--boards", str(boards)):
                    found = _tuned(python, platforms["host"], tracker, boards, MANY)
                minute = 60 * MANY / found["wall"]
                beside = f"on {os.cpu_count()} processors"
                yield figure(f"trials with {boards} host boards", "per minute", [minute], beside=beside)


def soak(trials: int) -> int:
    """Run trials on a host board, some of which must fail, and return the number of expected results.

    One in ten fails in one of the ways of FAULTS, which need no waiting. One in a hundred hangs.
    """
    python = os.environ["MICROTVM_TVM_PYTHON"]
    names = ["good"] * trials
    for index in range(9, trials, 10):
        names[index] = "hangs" if index % 100 == 99 else FAULTS[index // 10 % len(FAULTS)]
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name, _tracker(python) as tracker:
        platform = bake(Path(name), board_family="host")
        with _serving(platform, tracker):
            command = [tracker, "lab", TIMEOUT_SEC, "{}", *names]
            found: List[Dict[str, Any]] = report_of(python, platform, "trials.py", *command)["trials"]
    return sum((trial["error"] == "NO_ERROR") == (trial["name"] == "good") for trial in found)


def _tuned(python: str, platform: Path, tracker: int, boards: int, count: int) -> Dict[str, Any]:
    found = report_of(python, platform, "tune.py", tracker, "lab", count, boards)
    assert not any(found["errors"]), found
    return found


@contextmanager
def _tracker(python: str) -> Iterator[int]:
    process = _start([python, "-u", str(PROGRAMS / "tracker.py")], ROOT)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def _serving(platform: Path, tracker: int, *options: str) -> Iterator[None]:
    argv = [sys.executable, "-m", "runtime.host", "serve", "--tracker", f"127.0.0.1:{tracker}"]
    process = _start([*argv, "--key", "lab", *options], platform)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate()


def _start(argv: List[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":  # python -m benchmarks.tune TRIALS
    wanted = int(sys.argv[1])
    answered = soak(wanted)
    print(f"{answered} of {wanted} trials had the expected result.")
    sys.exit(answered != wanted)
