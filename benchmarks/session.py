# SPDX-License-Identifier: Apache-2.0
"""What an inference through TVM's own session costs beside the device's own compute time.

TVM runs the graph, and the device its kernels: each is a call, and so are the copies of input and output.
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
    """Milliseconds of an inference, of the device's own time and between them."""
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
        figure("kws_i8_graph: on the device alone", "ms", device),
        figure("kws_i8_graph: beside the device's time", "ms", beside, LIMIT_MS),
    ]
