# SPDX-License-Identifier: Apache-2.0
"""Latency of a model: measured by the device, and as seen by the host."""

from __future__ import annotations

import time
from typing import List, NamedTuple, Sequence

from runtime.host.archive.tensor_files import read_inputs
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.execution.running_model import running_model
from runtime.host.project.project import Project


class Latency(NamedTuple):
    """Seconds per inference; `what` names the measured part."""

    what: str
    median: float
    p99: float
    least: float


def measure(project: Project, number: int, attachment: Attachment = BY_DEFAULT) -> List[Latency]:
    """Time inferences on the project's device, one after another, in one session.

    Args:
        project: Project with a built firmware.
        number: Number of inferences per measurement.
        attachment: How the board is attached.
    """
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
        summarize("inputs, run and outputs, from the host", whole),
    ]


def summarize(what: str, seconds: Sequence[float]) -> Latency:
    """Compute the median, 99th percentile (nearest rank) and minimum of a list of times."""
    ordered = sorted(seconds)
    return Latency(what, ordered[len(ordered) // 2], ordered[-(-99 * len(ordered) // 100) - 1], ordered[0])
