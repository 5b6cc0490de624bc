# SPDX-License-Identifier: Apache-2.0
"""How long an API server takes from its start to its first reply."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import List

from cookiecutter.main import cookiecutter

from benchmarks.figures import Figure, figure
from runtime.host.client import ProjectApiClient

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MS = 70.0


def measure(runs: int = 30) -> List[Figure]:
    """Milliseconds from starting the process to the reply of server_info_query."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        platform = Path(cookiecutter(str(ROOT), no_input=True, output_dir=name, quiet=True))
        for _ in range(runs + 1):
            started = time.perf_counter()
            with ProjectApiClient(platform) as server:
                server.server_info_query()
                samples.append(1e3 * (time.perf_counter() - started))
    return [figure("API server, start to first reply", "ms", samples[1:], LIMIT_MS)]
