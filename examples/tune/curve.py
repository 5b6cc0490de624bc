# SPDX-License-Identifier: Apache-2.0
"""Curve of a tuning: the time of each trial and the best so far, in the terminal and as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import matplotlib.figure
import plotext

Times = Sequence[Optional[float]]  # microseconds or instructions; None for a failed trial, but not for all

COLUMNS, ROWS = 78, 16  # characters of the curve in the terminal
TRIAL, BEST, FAILED = "trial", "the best so far", "failed trial"


def best_so_far(times: Times) -> List[Optional[float]]:
    """Return the smallest time up to each trial; None before the first successful trial."""
    best: List[Optional[float]] = []
    for time in times:
        known = [value for value in (time, best[-1] if best else None) if value is not None]
        best.append(min(known, default=None))
    return best


def in_terminal(times: Times, unit: str) -> str:
    """Return the curve as lines of text."""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(COLUMNS, ROWS)
    plotext.plot(*_known(best_so_far(times)), label=BEST, marker="hd")
    plotext.scatter(*_known(times), label=TRIAL, marker="o")
    if None in times:
        plotext.scatter(*_failed(times), label=FAILED, marker="x")
    plotext.xlabel(TRIAL)
    plotext.ylabel(unit)
    plotext.ylim(lower=0)
    return str(plotext.uncolorize(plotext.build()))


def as_png(times: Times, unit: str, path: Path) -> None:
    """Write the curve as a picture."""
    figure = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.step(*_known(best_so_far(times)), where="post", label=BEST)
    axes.plot(*_known(times), "o", markersize=3, label=TRIAL)
    if None in times:
        axes.plot(*_failed(times), "x", label=FAILED)
    axes.set(xlabel=TRIAL, ylabel=unit, ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=100)


def _known(times: Times) -> Tuple[List[int], List[float]]:
    """Return the numbers and times of the trials that have a time."""
    pairs = [(number, time) for number, time in enumerate(times, 1) if time is not None]
    return [number for number, _ in pairs], [time for _, time in pairs]


def _failed(times: Times) -> Tuple[List[int], List[float]]:
    """Return the numbers of the failed trials, and 0 for each, the position of their marks."""
    numbers = [number for number, time in enumerate(times, 1) if time is None]
    return numbers, [0.0] * len(numbers)
