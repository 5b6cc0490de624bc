# SPDX-License-Identifier: Apache-2.0
"""Overhead of an inference over the device's compute time, through TVM's own session.

TVM runs the graph on the host and calls a kernel on the device for each node. Copies of inputs and outputs
are calls too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import List

from benchmarks.figures import Figure, figure
from benchmarks.platforms import bake
from benchmarks.tvm_programs import report_of, tvm_python

MODEL = "models/kws_i8_graph"
LIMIT_MS = 8.0
ROUNDS = 20


def measure() -> List[Figure]:
    """Measure an inference, the device's compute time, and their difference, in milliseconds."""
    python = tvm_python()
    if python is None:
        return []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        platform = bake(Path(name) / "platform", board_family="host")
        found = report_of(python, platform, "inference.py", platform, name, MODEL, ROUNDS)
    wall, device = ([1e3 * seconds for seconds in found[key]] for key in ("session", "device"))
    beside = [one - other for one, other in zip(wall, device)]
    return [
        figure("kws_i8_graph: inference", "ms", wall),
        figure("kws_i8_graph: compute time of the device", "ms", device),
        figure("kws_i8_graph: overhead", "ms", beside, LIMIT_MS),
    ]
