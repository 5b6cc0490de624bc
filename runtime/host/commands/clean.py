# SPDX-License-Identifier: Apache-2.0
"""Command that removes projects, cached libraries and leftovers: clean."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import List, Optional, Tuple

import click

from runtime.host.commands.app import main, platform_here
from runtime.host.commands.console import out, progress
from runtime.host.errors import PlatformError
from runtime.host.project.cleaning import Item, find_items, remove

DAY_SEC = 86_400.0


def _days(_ctx: click.Context, _parameter: click.Parameter, days: Optional[float]) -> Optional[float]:
    if days is not None and not math.isfinite(days):
        raise click.BadParameter("expected a finite number of days")
    return days


@main.command()
@click.option("--yes", is_flag=True, help="Remove without a question.")
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    callback=_days,
    metavar="DAYS",
    help="Remove only items that were not used for this number of days.",
)
@click.option("--dry-run", is_flag=True, help="List the items, and remove nothing.")
@click.option(
    "--edited", is_flag=True, help="Remove also projects that were edited after they were generated."
)
def clean(yes: bool, days: Optional[float], dry_run: bool, edited: bool) -> None:
    """Remove projects, cached libraries and leftovers.

    The projects are those in projects/. Leftovers are unfinished files of killed processes. The command
    keeps items that a running process uses, and projects whose files were edited. It lists all items before
    it asks.
    """
    platform = platform_here()
    if platform.is_project:
        raise PlatformError(
            "This directory is a generated project.", "Run clean on the platform of the project."
        )
    before = None if days is None else time.time() - days * DAY_SEC
    with progress("Measuring projects and cache"):
        found = find_items(platform.directory, before)
    chosen = [item for item in found if item.in_the_way is None and (edited or not item.is_edited)]
    for item in found:
        if item not in chosen:
            out.print(
                f"kept     {item.path}: {item.in_the_way or 'edited; --edited removes edited projects'}"
            )
    _list(chosen)
    if not chosen:
        out.print("Nothing to remove.")
        return
    what = f"{len(chosen)} items, {_size(sum(item.size for item in chosen))}"
    if dry_run:
        out.print(f"Would remove {what}.")
        return
    if not yes and not click.confirm(f"Remove {what}?"):
        out.print("Nothing was removed.")
        return
    with progress("Removing"):
        kept: List[Tuple[Path, str]] = remove(chosen)
    for path, why in kept:
        out.print(f"kept     {path}: {why}")
    out.print(f"Removed {len(chosen) - len(kept)} of {len(chosen)} items.")


def _list(items: List[Item]) -> None:
    """Print one line for each item, and one for all entries of the cache."""
    cached = [item for item in items if item.kind == "cache"]
    for item in items:
        if item.kind != "cache":
            out.print(f"{item.kind:8} {item.path}  {_size(item.size)}, used {_age(item.used)} ago")
    if cached:
        size = _size(sum(item.size for item in cached))
        oldest = _age(min(item.used for item in cached))
        place = cached[0].path.parent
        out.print(f"cache    {place}: {len(cached)} entries, {size}, the oldest used {oldest} ago")


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _age(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for name, length in (("days", DAY_SEC), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} seconds"
