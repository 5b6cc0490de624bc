# SPDX-License-Identifier: Apache-2.0
"""All figures of the README, one table each: make bench. `python -m benchmarks NAME ...` runs some.

Exit status 1 means that at least one figure missed its target.
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
    "requests": "Requests per second through the API server",
    "device": "Device runtime on a Cortex-M3, no model, -Os",
    "inference": "Inference from this process, minus the device's compute time",
    "chain": "From a model archive to its first result",
    "models": "Nets of today, on an emulated Cortex-M4F",
    "quantized": "Quantized nets of today, on emulated boards",
    "soak": "Digits on an emulated Cortex-M3 over many sessions",
    "session": "Inference through TVM's own session, minus the device's compute time",
    "tune": "Tuning with AutoTVM",
    "faults": "Sessions on a faulty serial line",
}


def main(names: List[str]) -> int:
    """Run the named tables, or all, and return the exit status."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        print(
            f"error: Unknown table {unknown[0]!r}.\nnext:  Choose from: {', '.join(TABLES)}.", file=sys.stderr
        )
        return 2
    # As on a user's machine: the interpreter keeps compiled files, and the second start is the usual one.
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
