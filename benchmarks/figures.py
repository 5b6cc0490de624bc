# SPDX-License-Identifier: Apache-2.0
"""Measured figures with their limits, and the tables that show them."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from rich.console import Console
from rich.table import Table


class Figure(NamedTuple):
    """Measured figure.

    Attributes:
        what: Label.
        unit: Unit of the numbers.
        median: Median of the runs.
        least: Smallest value of the runs.
        most: Largest value of the runs.
        limit: Largest accepted median, or smallest with at_least. None: no limit.
        at_least: The limit is a lower bound.

    The last field is a remark, such as a subtracted time.
    """

    what: str
    unit: str
    median: float
    least: float
    most: float
    limit: Optional[float] = None
    at_least: bool = False
    beside: str = ""

    @property
    def reached(self) -> Optional[bool]:
        """Result of the comparison of the median with the limit, or None without a limit."""
        if self.limit is None:
            return None
        return self.median >= self.limit if self.at_least else self.median <= self.limit


def figure(
    what: str,
    unit: str,
    samples: Sequence[float],
    limit: Optional[float] = None,
    *,
    at_least: bool = False,
    beside: str = "",
) -> Figure:
    """Return a figure of several runs. The median of an even number of runs is the upper one."""
    ordered = sorted(samples)
    return Figure(what, unit, ordered[len(ordered) // 2], ordered[0], ordered[-1], limit, at_least, beside)


def print_figures(console: Console, title: str, figures: List[Figure]) -> None:
    """Print one table of figures."""
    table = Table("figure", "median", "min to max", "target", "", "remark", title=title, title_justify="left")
    for item in figures:
        wanted = ""
        if item.limit is not None:
            wanted = f"{'>=' if item.at_least else '<='} {_number(item.limit)} {item.unit}"
        table.add_row(
            item.what,
            f"{_number(item.median)} {item.unit}",
            f"{_number(item.least)} to {_number(item.most)}",
            wanted,
            {True: "[green]reached[/]", False: "[red]missed[/]", None: ""}[item.reached],
            item.beside,
        )
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
