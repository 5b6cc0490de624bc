# SPDX-License-Identifier: Apache-2.0
"""Command that finds what is missing or wrong: check."""

from __future__ import annotations

import platform as this_machine
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from rich.text import Text

from runtime.host.commands.app import main
from runtime.host.commands.check_steps import PACKAGES, CheckResult, run_checks
from runtime.host.commands.command_options import (
    TargetCommand,
    json_option,
    model_argument,
    target_options,
    verbose_option,
)
from runtime.host.commands.console import out, progress
from runtime.host.commands.json_output import error_fields, print_document
from runtime.host.commands.model_options import Shapes, compile_options
from runtime.host.commands.target import (
    ATTACH,
    GENERATE,
    ModelSource,
    Target,
    check_names_model,
    check_no_model,
    model_here,
)
from runtime.host.compile.packages import PACKAGES as OF_COMPILE


@main.command(cls=TargetCommand)
@model_argument
@compile_options
@target_options(GENERATE, ATTACH)
@json_option
@verbose_option
def check(model: Optional[Path], input_shapes: Shapes, verify: bool, target: Target, as_json: bool) -> None:
    """Find what is missing or wrong, with the next step.

    In a platform, the command looks for tools and packages, then builds, flashes and runs the bundled model
    and compares its answers. With a model file as MODEL, it compares the answers of that model with those of
    its reference runtime. It only runs a model archive, and the model of a project: they have no reference.
    At the end it lists what the owner of a board still has to fill in, in order.
    """
    source = ModelSource(model, input_shapes, verify)
    if target.platform.is_project:
        check_no_model(source)
    check_names_model(source)
    if model is not None:
        model_here(target.platform, model)
    results = []
    for result in _checks(target, source):
        results.append(result)
        if not as_json:
            _print_result(result)
    is_ok, summary = _summary(target, results)
    if as_json:
        print_document(
            "check",
            {
                "ok": is_ok,
                "summary": summary,
                "platform": {
                    "name": target.platform.name,
                    "directory": str(target.platform.directory),
                    "is_project": target.platform.is_project,
                    "build_system": target.platform.build_system,
                },
                "machine": _machine(),
                "steps": [_fields(result) for result in results],
            },
        )
    else:
        for line in summary:
            out.print(line)
    if not is_ok:
        sys.exit(1)


def _checks(target: Target, source: ModelSource) -> Iterator[CheckResult]:
    """Run the checks, and show on a terminal the step that runs."""
    show: Callable[[str], None]

    def starting(what: str) -> None:
        show(f"Checking: {what}")

    steps = run_checks(target.platform, target.options, target.attachment, starting, source)
    while True:
        with progress("Checking") as show:
            result = next(steps, None)
        if result is None:
            return
        yield result


def _summary(target: Target, results: List[CheckResult]) -> Tuple[bool, List[str]]:
    """Return whether the check passed, and the lines that sum it up."""
    if any(result.error for result in results):
        return False, []
    still_open = [result for result in results if result.is_open]
    missed = [result for result in results if result.is_missed]
    is_named = target.platform.is_project or bool(target.options) or any(target.attachment)
    if not still_open and (not missed or is_named):
        return True, ["Everything works." if not missed else "The board that was named works."]
    if not still_open:
        return False, [
            "The real board was not checked.",
            "next: Name the board with --board, or make it the default in boards.json.",
        ]
    works_here = any(result.what == "answers" for result in results)
    count = f"{len(still_open)} setting{'s are' if len(still_open) > 1 else ' is'} left to fill in"
    return works_here, [
        "Everything works on this machine." if works_here else "The board is not ready yet.",
        f"{count}, in the order above. docs/how-to/add-a-board.md explains them.",
        f"next: {still_open[0].what}: {still_open[0].found}",
    ]


def _print_result(result: CheckResult) -> None:
    if result.error is not None:
        out.print(Text.assemble(("FAILED ", "bold red"), f"{result.what}: {result.error.what}"))
        out.print(f"       next: {result.error.next_step}")
        if result.error.log:
            out.print(Text(result.error.log.rstrip(), "dim"))
        return
    word, style = ("ok     ", "green")
    if result.is_absent:
        word, style = ("none   ", "dim")
    if result.is_open or result.is_missed:
        word, style = ("open   " if result.is_open else "       ", "yellow")
    out.print(Text.assemble((word, style), f"{result.what}: {result.found}"))


def _fields(result: CheckResult) -> Dict[str, Any]:
    if result.error is not None:
        return {"step": result.what, "status": "failed", "found": None, "error": error_fields(result.error)}
    status = "open" if result.is_open else "not_reached" if result.is_missed else "ok"
    if result.is_absent:
        status = "not_installed"
    return {"step": result.what, "status": status, "found": result.found, "error": None}


def _machine() -> Dict[str, Any]:
    """Return what a report of a fault needs: system, interpreter and versions of the packages."""
    return {
        "system": this_machine.platform(),
        "python": sys.version.split()[0],
        "packages": {name: _version_of(name) for name in (*PACKAGES.values(), *OF_COMPILE)},
    }


def _version_of(package: str) -> Any:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
