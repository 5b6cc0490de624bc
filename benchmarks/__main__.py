# SPDX-License-Identifier: Apache-2.0
"""make bench: every figure of the README, a table each. `python -m benchmarks NAME ...` runs only some.

Exit status 1 says that a figure missed what it must reach.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Dict, List

from rich.console import Console

from benchmarks.figures import Figure, print_figures

# Module -> title of its table.
TABLES: Dict[str, str] = {
    "bake": "Baking a platform",
    "start": "API server",
    "requests": "Requests a second through the API server",
    "device": "Device runtime on a Cortex-M3, no model, -Os",
    "inference": "Inference from this process, less the device's own compute time",
    "chain": "From a model archive to its first result",
    "soak": "Digits on an emulated Cortex-M3, for as long as is to spare",
    "session": "Inference through TVM's own session, less the device's own compute time",
    "tune": "Tuning with AutoTVM",
    "faults": "Sessions on a bad serial line",
}


def main(names: List[str]) -> int:
    """Run the named tables, or all; the exit status."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        print(f"error: there is no table {unknown[0]!r}; tables: {', '.join(TABLES)}", file=sys.stderr)
        return 2
    # As on a user's machine: an interpreter keeps its byte code, and the second start is the usual one.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    console = Console(width=150)
    missed: List[Figure] = []
    for name in names or TABLES:
        figures = importlib.import_module(f"benchmarks.{name}").measure()
        print_figures(console, TABLES[name], figures)
        missed += [item for item in figures if item.reached is False]
    for item in missed:
        console.print(f"missed: {item.what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
