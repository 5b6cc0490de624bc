# SPDX-License-Identifier: Apache-2.0
"""Command that compares the answers of a board with expected ones: verify."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import click

from runtime.host.boards.attachment import Attachment
from runtime.host.commands.app import directory_here
from runtime.host.commands.command_options import json_option, project_command
from runtime.host.commands.console import number_table, out, print_log, progress
from runtime.host.commands.json_output import finite, print_document
from runtime.host.commands.project import bring_up, project_fields
from runtime.host.commands.target import ATTACH, SOURCE, ModelSource
from runtime.host.errors import PlatformError
from runtime.host.project.platform import PROJECT_FILE
from runtime.host.project.project import Project


def _read_tolerance(
    _ctx: click.Context, _parameter: click.Parameter, value: Optional[float]
) -> Optional[float]:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise click.BadParameter("expected a number of at least 0.")
    return value


def _check(source: ModelSource, inputs: Optional[Path], outputs: Optional[Path], **_others: Any) -> None:
    """Raise PlatformError for files that cannot be compared, before anything is built."""
    from runtime.host.archive.tensor_files import read_arrays
    from runtime.host.compile.device_check import check_sources

    if source.path is None and not (directory_here() / PROJECT_FILE).exists():
        return  # a platform without a model, which project_of() reports
    check_sources(source.path, inputs, outputs)
    for path in (inputs, outputs):
        if path is not None:
            read_arrays(path)


@project_command(ATTACH, SOURCE, before=_check)
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Inputs: an .npz file with an array per input, by the input's name. An array has the shape of the "
    "input, or a leading axis for several sets. Default for a model file: random inputs and edges.",
)
@click.option(
    "--outputs",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Expected outputs: an .npz file with an array per output, by the output's name or as output_0, "
    "output_1 and so on. Default for a model file: the answers of onnxruntime.",
)
@click.option(
    "--tolerance",
    type=float,
    callback=_read_tolerance,
    metavar="X",
    help="Largest error of a floating-point output, as a part of its largest value. Default: 1e-4 of the "
    "largest value and 1e-3 of the value itself. Integers must be equal.",
)
@json_option
def verify(
    project: Project,
    attachment: Attachment,
    source: ModelSource,
    inputs: Optional[Path],
    outputs: Optional[Path],
    tolerance: Optional[float],
    as_json: bool,
) -> None:
    """Compare the answers of a model on the board with expected ones.

    The expected answers are in a file, or those of onnxruntime for a model file. The command builds the
    project and flashes the board first, as far as this is needed. The exit status is 1 if an output is
    outside of the tolerance.
    """
    from runtime.host.compile.comparison import DEFAULT, Tolerance
    from runtime.host.compile.device_check import compare_with_device, read_expected

    if project.settings.project_type == "standalone":
        raise PlatformError(
            "A standalone firmware runs on the input that was compiled into it: it cannot be verified.",
            "Use project_type=host_driven.",
        )
    allowed = DEFAULT if tolerance is None else Tolerance(0.0, tolerance)
    with progress("Running the reference"):
        expected = read_expected(project.archive, source.path, source.input_shapes, inputs, outputs)
    if tolerance is not None:
        expected = expected._replace(allowances=None)
    bring_up(project, attachment)
    count = len(expected.inputs)
    with progress("Running the model") as show:
        found, specs = compare_with_device(
            project,
            attachment,
            expected,
            allowed,
            print_log,
            lambda number: show(f"Running set {number + 1} of {count}"),
        )
    is_ok = not any(difference.wrong for difference in found)
    if as_json:
        print_document(
            "verify",
            {
                **project_fields(project),
                "ok": is_ok,
                "reference": expected.reference,
                "sets_of_inputs": count,
                "tolerance": {"relative": allowed.relative, "largest": allowed.largest},
                "outputs": [
                    {**_fields(difference), "dtype": spec.dtype, "shape": list(spec.shape or ())}
                    for difference, spec in zip(found, specs)
                ],
            },
        )
    else:
        _print(project, expected.reference, count, found)
    if not is_ok:
        sys.exit(1)


def _fields(difference: Any) -> Dict[str, Any]:
    return {name: finite(value) for name, value in difference._asdict().items()}


def _print(project: Project, reference: str, count: int, found: Sequence[Any]) -> None:
    table = number_table("output", "largest error", "mean error", "largest value", "outside", "same first")
    for each in found:
        table.add_row(*_row(each, count))
    out.print(table, soft_wrap=False, crop=False)
    wrong = [each for each in found if each.wrong]
    sets = f"{count} set{'s' if count > 1 else ''} of inputs"
    if not wrong:
        out.print(f"{project.board.name} agrees with {reference} on {sets}.")
        return
    for each in wrong:
        out.print(
            f"FAILED {each.name}: {each.wrong:,} of {each.elements:,} elements differ from {reference}."
        )
    out.print(
        "next: Compare the model file with its archive, or raise --tolerance if the error is acceptable."
    )


def _row(each: Any, count: int) -> List[str]:
    numbers: Tuple[float, ...] = (each.largest_error, each.mean_error, each.largest_value)
    return [
        each.name,
        *(f"{number:.3g}" for number in numbers),
        f"{each.wrong:,} of {each.elements:,}",
        "-" if each.same_first is None else f"{each.same_first} of {count}",
    ]
