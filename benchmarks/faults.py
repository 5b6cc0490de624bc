# SPDX-License-Identifier: Apache-2.0
"""Sessions on a pseudo-terminal with faults of each kind: number of wrong results and hangs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import List

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT
from tests.support.faults import KINDS, Bench, FaultyBoard, Tally
from tests.support.firmware import build_firmware, compile_runtime

ARCHIVE = ROOT / "tests" / "data" / "archives" / "aot_c.tar"


def measure(sessions: int = 1000) -> List[Figure]:
    """Count wrong results, hangs, unexpected errors and failed next sessions, for each kind of fault."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        directory = Path(name)
        firmware = build_firmware(ARCHIVE, compile_runtime(directory / "runtime"), directory)
        with FaultyBoard(firmware, directory) as board:
            bench = Bench(ARCHIVE, firmware, board)
            return [_row(bench.run(kind, sessions)) for kind in KINDS]


def _row(tally: Tally) -> Figure:
    return figure(
        f"{tally.sessions:,} sessions, {tally.kind}",
        "wrong or hung",
        [len(tally.failures)],
        0,
        beside=f"{sum(tally.named.values()):,} errors named, {tally.right:,} right results; next session "
        f"in {1e3 * median(tally.recovery):.0f} ms, at most {1e3 * max(tally.recovery):.0f}",
    )
