# SPDX-License-Identifier: Apache-2.0
"""A measured figure beside what it must reach, and how figures are printed."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from rich.console import Console
from rich.table import Table


class Figure(NamedTuple):
    """median, least and most of the runs, in unit; limit: the most (with at_least the least) it may be.

    beside: a remark that belongs to the figure, such as what was subtracted.
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
        """Whether the median is inside the limit; None without a limit."""
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
    """A figure of some runs; the median is the upper one of an even number."""
    ordered = sorted(samples)
    return Figure(what, unit, ordered[len(ordered) // 2], ordered[0], ordered[-1], limit, at_least, beside)


def print_figures(console: Console, title: str, figures: List[Figure]) -> None:
    """One table of figures."""
    table = Table(
        "what", "median", "least to most", "wanted", "", "beside", title=title, title_justify="left"
    )
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
