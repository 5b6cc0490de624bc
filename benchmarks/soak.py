# SPDX-License-Identifier: Apache-2.0
"""Digits at full speed on the emulated board of the cortex_m family, extrapolated to a day.

One device serves many sessions of SESSION inferences each, and every answer is compared with the host's. A
lost byte loses a packet, which ends the session with an error. A leak increases the memory of the host tools,
or moves the peak of the device's workspace or stack. A drift makes the last inferences slower than the first.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import List, NamedTuple, Optional

import numpy

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT, bake
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.execution import connection
from runtime.host.execution.firmware_info import Usage, read_usage
from runtime.host.execution.running_model import connected_executor
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform

SECONDS = 120.0
DAY_SEC = 86400.0
SESSION = 200
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GROWTH_LIMIT = 64.0  # KiB: some pages of the interpreter, but no byte per inference
STACK_LIMIT = 128  # an interrupt at the deepest call
DRIFT_LIMIT = 1.5  # spread of the machine's own speed


class Soak(NamedTuple):
    """Result of a run; lists have one item per session.

    Attributes:
        seconds: Duration of the run.
        wrong: Number of wrong answers.
        latencies: Median seconds of an inference in the session.
        resident: Bytes of this process after the session.
        usages: Memory use that the device reported after the session.
    """

    seconds: float
    wrong: int
    latencies: List[float]
    resident: List[int]
    usages: List[Optional[Usage]]


def measure(seconds: float = SECONDS) -> List[Figure]:
    """Measure a run of that many seconds."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        soak = run(Path(name), seconds)
    count = len(soak.latencies) * SESSION
    tenth = max(1, len(soak.latencies) // 10)
    # The first sessions fill caches of the interpreter.
    settled = len(soak.resident) // 4
    grown = (soak.resident[-1] - soak.resident[settled]) / 1024
    peaks = {usage.workspace.most for usage in soak.usages if usage}
    stacks = [usage.stack.most for usage in soak.usages if usage and usage.stack]
    return [
        figure("inferences", "", [count], beside=f"in {soak.seconds:.0f} s, {len(soak.usages)} sessions"),
        figure("extrapolated to a day", "", [count / soak.seconds * DAY_SEC]),
        figure("wrong answers", "", [soak.wrong], 0),
        figure("growth of the host tools", "KiB", [grown], GROWTH_LIMIT),
        figure("different peaks of the workspace", "", [len(peaks)], 1, beside=_words(soak.usages[-1])),
        figure("growth of the stack's peak", "B", [stacks[-1] - stacks[0]], STACK_LIMIT),
        figure(
            "time of the last tenth / of the first tenth",
            "times",
            [median(soak.latencies[-tenth:]) / median(soak.latencies[:tenth])],
            DRIFT_LIMIT,
        ),
    ]


def run(scratch: Path, seconds: float) -> Soak:
    """Bake, build and classify digits for `seconds`."""
    platform = load_platform(bake(scratch / "platform", board_family="cortex_m"))
    archive = ROOT / "examples/digits/digits_aot.tar"
    project = generate(platform, archive, scratch / "project", {})
    build(project)
    digits = numpy.load(ROOT / "examples/digits/digits_test.npz")
    pairs = list(zip(digits["images"], digits["expected"]))
    soak = Soak(0.0, 0, [], [], [])
    wrong = 0
    transport = connection.open_transport(project)
    started = time.monotonic()
    try:
        while time.monotonic() - started < seconds:
            with connected_executor(ModelArchive.open(archive), transport) as executor:
                latencies = []
                for index in range(SESSION):
                    image, expected = pairs[index % len(pairs)]
                    before = time.perf_counter()
                    answer = executor.infer({0: image[numpy.newaxis]})[0]
                    latencies.append(time.perf_counter() - before)
                    wrong += not numpy.array_equal(answer.ravel(), expected.ravel())
                soak.latencies.append(median(latencies))
                soak.usages.append(read_usage(executor.rpc))
            soak.resident.append(_resident_bytes())
    finally:
        transport.close()
    return soak._replace(seconds=time.monotonic() - started, wrong=wrong)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def _words(usage: Optional[Usage]) -> str:
    return "; ".join(f"{what} {used}" for what, used in usage.rows()) if usage else ""
