# SPDX-License-Identifier: Apache-2.0
"""Seconds to bake a platform, with Cookiecutter in this process: questions, hooks, copies of runtime/."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from cookiecutter.main import cookiecutter

from benchmarks.figures import Figure, figure

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 0.3


def measure(runs: int = 15) -> List[Figure]:
    """Measure the platform with all defaults, without the first run, which also imports modules."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name, _hooks_are_quiet():
        scratch = Path(name)
        config = scratch / "cookiecutter.yaml"
        config.write_text(f"replay_dir: {scratch / 'replay'}\ncookiecutters_dir: {scratch / 'clones'}\n")
        for run in range(runs + 1):
            started = time.perf_counter()
            cookiecutter(
                str(ROOT), no_input=True, output_dir=str(scratch / str(run)), config_file=str(config)
            )
            samples.append(time.perf_counter() - started)
    return [figure("bake a platform", "s", samples[1:], LIMIT_SECONDS)]


@contextmanager
def _hooks_are_quiet() -> Iterator[None]:
    """Discard the hooks' output. Hooks are processes and write to file descriptor 1."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
