# SPDX-License-Identifier: Apache-2.0
"""Latency of a model: measured or counted by the device, and as seen by the host."""

from __future__ import annotations

import time
from typing import NamedTuple, Optional, Sequence

from runtime.host.archive.tensor_files import read_inputs
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.execution.connection import instruction_ns
from runtime.host.execution.running_model import running_model
from runtime.host.project.project import Project


class Latency(NamedTuple):
    """Seconds per inference; `what` names the measured part."""

    what: str
    median: float
    p99: float
    least: float


class Measurement(NamedTuple):
    """Latency of a model on one device, which reports either its own time or instructions.

    Attributes:
        device: Seconds that the device measured; None for an emulated board that counts instructions.
        instructions: Instructions of one inference, of the same calls as `device`; None for a device that
            runs in real time.
        whole: Seconds of inputs, run and outputs, measured by the host.
    """

    device: Optional[Latency]
    instructions: Optional[int]
    whole: Latency


def measure(project: Project, number: int, attachment: Attachment = BY_DEFAULT) -> Measurement:
    """Time inferences on the project's device, one after another, in one session.

    Instructions are counted once, because every count of the same inference is equal.

    Args:
        project: Project with a built firmware.
        number: Number of inferences per measurement.
        attachment: How the board is attached.
    """
    rate = instruction_ns(project, attachment)
    with running_model(project, attachment) as executor:
        inputs = read_inputs((), executor.inputs)
        executor.infer(inputs)
        instructions = None if rate is None else executor.instructions(rate)
        compute = [executor.time_evaluator(1, 1)[0] for _ in range(number)] if rate is None else []
        whole = []
        for _ in range(number):
            started = time.perf_counter()
            executor.infer(inputs)
            whole.append(time.perf_counter() - started)
    return Measurement(
        device=summarize("on the device", compute) if compute else None,
        instructions=instructions,
        whole=summarize("inputs, run and outputs, from the host", whole),
    )


def summarize(what: str, seconds: Sequence[float]) -> Latency:
    """Compute the median, 99th percentile (nearest rank) and minimum of a list of times."""
    ordered = sorted(seconds)
    return Latency(what, ordered[len(ordered) // 2], ordered[-(-99 * len(ordered) // 100) - 1], ordered[0])
