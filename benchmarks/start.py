# SPDX-License-Identifier: Apache-2.0
"""Milliseconds from the start of an API server to its first reply."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import List

from benchmarks.figures import Figure, figure
from benchmarks.platforms import bake
from runtime.host.wire.api_client import ProjectApiClient

LIMIT_MS = 70.0


def measure(runs: int = 30) -> List[Figure]:
    """Measure from the start of the process to the reply to server_info_query."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        platform = bake(Path(name))
        for _ in range(runs + 1):
            started = time.perf_counter()
            with ProjectApiClient(platform) as server:
                server.server_info_query()
                samples.append(1e3 * (time.perf_counter() - started))
    return [figure("API server, start to first reply", "ms", samples[1:], LIMIT_MS)]
