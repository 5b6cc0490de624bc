# SPDX-License-Identifier: Apache-2.0
"""The command that finds what is missing or wrong: check."""

from __future__ import annotations

import sys
from typing import Any, Dict, Iterable, Iterator, Tuple

from rich.text import Text

from runtime.host.boards.attachment import Attachment
from runtime.host.commands.app import (
    ProjectCommand,
    attachment_options,
    main,
    parse_options,
    platform_here,
    project_option_options,
    verbose_option,
)
from runtime.host.commands.check_steps import CheckResult, run_checks
from runtime.host.commands.console import out
from runtime.host.errors import PlatformError
from runtime.host.project.platform import Platform


@main.command(cls=ProjectCommand)
@project_option_options
@attachment_options
@verbose_option
def check(assignments: Tuple[str, ...], attachment: Attachment) -> None:
    """Find what is missing or wrong, and say what to do about it.

    In a platform: tools and packages, then the bundled model is built, flashed and run, and its answers are
    compared. In a project the same with its own model, whose answers are not known. What is still to be
    filled in for a board of your own is listed at the end, in the order in which to do it.
    """
    platform = platform_here()
    options = _options_for_check(platform, assignments)
    results = list(_shown(run_checks(platform, options, attachment)))
    if any(result.error for result in results):
        sys.exit(1)
    still_open = [result for result in results if result.is_open]
    missed = [result for result in results if result.is_missed]
    is_named = platform.is_project or bool(assignments) or any(attachment)
    if not still_open and (not missed or is_named):
        out.print("Everything works." if not missed else "The board that was named works.")
        return
    if not still_open:
        out.print("The real board was not checked.")
        out.print("next: name it with --board, or make it the default in boards.json")
        sys.exit(1)
    works_here = any(result.what == "answers" for result in results)
    out.print("Everything works on this machine." if works_here else "The board is not ready yet.")
    out.print(f"open: {len(still_open)}, from the top; README.md says how")
    out.print(f"next: {still_open[0].what}: {still_open[0].found}")
    if not works_here:
        sys.exit(1)


def _options_for_check(platform: Platform, assignments: Tuple[str, ...]) -> Dict[str, Any]:
    """Project options of a check; none where boards.json, which has the choices, is what is wrong."""
    if not assignments:
        return {}
    if platform.is_project:
        raise PlatformError(
            "This directory is a generated project: it has its options already.",
            "Leave -o out, or run the command in the platform's directory.",
        )
    return parse_options(platform, assignments)


def _shown(results: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """Print each result as it comes."""
    for result in results:
        if result.error is not None:
            out.print(Text.assemble(("FAILED ", "bold red"), f"{result.what}: {result.error.what}"))
            out.print(f"       next: {result.error.next_step}")
            if result.error.log:
                out.print(Text(result.error.log.rstrip(), "dim"))
        else:
            word, style = ("ok     ", "green")
            if result.is_open or result.is_missed:
                word, style = ("open   " if result.is_open else "       ", "yellow")
            out.print(Text.assemble((word, style), f"{result.what}: {result.found}"))
        yield result
