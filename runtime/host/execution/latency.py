# SPDX-License-Identifier: Apache-2.0
"""How long a model takes: the device's own time, and the time seen from the host."""

from __future__ import annotations

import time
from typing import List, NamedTuple, Sequence

from runtime.host.archive.tensor_files import read_inputs
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.execution.running_model import running_model
from runtime.host.project.project import Project


class Latency(NamedTuple):
    """Seconds an inference."""

    what: str
    median: float
    p99: float
    least: float


def measure(project: Project, number: int, attachment: Attachment = BY_DEFAULT) -> List[Latency]:
    """Time number inferences on the project's device, one after another, in one session."""
    with running_model(project, attachment) as executor:
        inputs = read_inputs((), executor.inputs)
        executor.infer(inputs)
        compute = [executor.time_evaluator(1, 1)[0] for _ in range(number)]
        whole = []
        for _ in range(number):
            started = time.perf_counter()
            executor.infer(inputs)
            whole.append(time.perf_counter() - started)
    return [
        summarize("on the device", compute),
        summarize("inputs, run and outputs, from here", whole),
    ]


def summarize(what: str, seconds: Sequence[float]) -> Latency:
    """Median, 99th percentile (nearest rank) and least of a list of times."""
    ordered = sorted(seconds)
    return Latency(what, ordered[len(ordered) // 2], ordered[-(-99 * len(ordered) // 100) - 1], ordered[0])
