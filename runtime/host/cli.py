# SPDX-License-Identifier: Apache-2.0
"""The command line of a platform or of a project: python -m runtime.host COMMAND.

Every command calls the functions that the API server calls. A failure that a person can act on is printed as
two sentences and the log's tail; exit status 1 is a failure, 2 a wrong command line.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runtime import server
from runtime.host import build as builder
from runtime.host import checks
from runtime.host.errors import PlatformError
from runtime.host.flash import flash as flash_project
from runtime.host.flash import flash_argv
from runtime.host.options import project_options
from runtime.host.platform import Platform, load_platform
from runtime.host.project import BUILD_DIRECTORY, FROM_PLATFORM, Project, generate, load_project

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Commands(click.Group):
    """A group whose commands turn a PlatformError into its two sentences and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            err.print(f"[bold red]error:[/] {escape(error.what)}")
            if error.log:
                err.print(escape(error.log.rstrip()), style="dim", soft_wrap=True)
            err.print(f"[bold]next:[/]  {escape(error.next_step)}", soft_wrap=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Print every command that is run, with its output.")
@click.pass_context
def main(ctx: click.Context, verbose: bool) -> None:
    """Build, flash, run and measure models with this platform.

    Run it in a platform directory (give commands a MODEL.tar) or in a generated project.
    """
    ctx.obj = Workplace(Path.cwd(), verbose)


class Workplace:
    """Where the command line was started: a platform, or a project of one."""

    def __init__(self, directory: Path, verbose: bool) -> None:
        self.directory = directory
        self.verbose = verbose

    def platform(self) -> Platform:
        return load_platform(self.directory)

    def project(
        self, model: Optional[Path], project_dir: Optional[Path], assignments: Tuple[str, ...]
    ) -> Project:
        """The project meant by a command: the one here, or one generated for MODEL.tar (or found again)."""
        platform = self.platform()
        if platform.is_project:
            if model is not None or assignments:
                raise PlatformError(
                    "This directory is a generated project: it has its model and its options already.",
                    "Leave MODEL.tar and -o out here, or run the command in the platform's directory.",
                )
            return load_project(platform)
        if model is None:
            raise PlatformError(
                "This directory is a platform: it needs a model archive to work on.",
                "Name one, for example: python -m runtime.host run models/digits_aot.tar",
            )
        options = parse_options(platform, assignments)
        place = project_dir or platform.directory / "projects" / _project_name(platform, model, options)
        if project_dir is None and (place / "project.json").exists():
            return load_project(load_platform(place))
        return generate(platform, model, place.resolve(), options)


def parse_options(platform: Platform, assignments: Tuple[str, ...]) -> Dict[str, Any]:
    """Project options from NAME=VALUE texts, coerced by their declared type."""
    texts: Dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise PlatformError(f"-o {assignment} has no value.", "Write it as -o NAME=VALUE.")
        texts[name] = value
    try:
        return server.coerce_options(project_options(platform.boards()), texts)
    except server.JSONRPCError as error:
        raise PlatformError(
            error.message, "List the options with: python -m runtime.host build --help"
        ) from error


def _project_name(platform: Platform, model: Path, options: Dict[str, Any]) -> str:
    """A directory name that is the same for the same model, options and platform, and no other."""
    from runtime.host.cache import Digest

    digest = Digest()
    try:
        digest.add(hashlib.sha256(model.read_bytes()).hexdigest())
    except OSError as error:
        raise PlatformError(f"{model} cannot be read: {error.strerror}.", "Check the path.") from error
    digest.add(repr(sorted(options.items())))
    for name in FROM_PLATFORM:
        path = platform.directory / name
        files = (
            [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc"]
        )
        digest.add_files(platform.directory, files)
    return f"{model.name.split('.')[0]}-{digest.key()[:8]}"


model_argument = click.argument(
    "model", type=click.Path(path_type=Path), required=False, metavar="[MODEL.tar]"
)
project_option = click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    help="Where to generate the project; the default is projects/ in the platform, one for each model.",
)
options_option = click.option(
    "-o",
    "--option",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A project option, as tvmc's --project-option; repeat it for more. "
    "board, project_type, optimization, workspace_size_bytes, warning_as_error, compile_definitions, "
    "extra_files_tar, standalone_input.",
)


@main.command()
@click.pass_obj
def boards(place: Workplace) -> None:
    """List the boards of this platform."""
    table = Table("board", "what it is", "transport", "verified", "flash", "RAM")
    for board in place.platform().boards().values():
        table.add_row(
            board.name + (" (default)" if board.default else ""),
            board.label,
            board.transport,
            board.verified,
            _size(board.flash_bytes),
            _size(board.ram_bytes),
        )
    out.print(table)


@main.command()
@model_argument
@project_option
@options_option
@click.pass_obj
def build(
    place: Workplace, model: Optional[Path], project_dir: Optional[Path], assignments: Tuple[str, ...]
) -> None:
    """Generate a project for MODEL.tar and build its firmware."""
    project = place.project(model, project_dir, assignments)
    report = builder.build(project, verbose=place.verbose)
    for stage in report.stages:
        out.print(f"{stage.name:10} {'from the cache' if stage.cached else f'{stage.seconds:.2f} s'}")
    out.print(f"project    {project.directory}", soft_wrap=True)
    out.print(f"firmware   {report.firmware}", soft_wrap=True)


@main.command()
@model_argument
@project_option
@options_option
@click.option("--serial-number", default="", help="The board to flash, when several are attached.")
@click.option("--dry-run", is_flag=True, help="Print the command that would flash the board; run nothing.")
@click.pass_obj
def flash(
    place: Workplace,
    model: Optional[Path],
    project_dir: Optional[Path],
    assignments: Tuple[str, ...],
    serial_number: str,
    dry_run: bool,
) -> None:
    """Build the firmware and put it on the board."""
    project = place.project(model, project_dir, assignments)
    builder.build(project, verbose=place.verbose)
    argv = flash_argv(project, serial_number)
    if dry_run and argv:
        out.print(" ".join(argv), soft_wrap=True)
    elif not argv:
        out.print(
            "Nothing to flash: the firmware is a process on this machine, started when a session opens."
        )
    else:
        flash_project(project, serial_number=serial_number, verbose=place.verbose)
        out.print(f"Flashed {project.firmware}", soft_wrap=True)


@main.command()
@model_argument
@project_option
@options_option
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE.npy | NAME=FILE.npy | FILE.npz",
    help="An input tensor; an .npz holds one array an input, by the input's name. "
    "Without it the inputs count from 0 to 99, again and again.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the outputs to this .npz file.")
@click.pass_obj
def run(
    place: Workplace,
    model: Optional[Path],
    project_dir: Optional[Path],
    assignments: Tuple[str, ...],
    inputs: Tuple[str, ...],
    output: Optional[Path],
) -> None:
    """Build, flash and run a model once, and print its outputs."""
    from runtime.host import tensors

    project = place.project(model, project_dir, assignments)
    builder.build(project, verbose=place.verbose)
    flash_project(project, verbose=place.verbose)
    if project.project_type == "standalone":
        if inputs or output:
            raise PlatformError(
                "A standalone firmware runs on the input that was compiled into it.",
                f"Change {project.directory / 'src' / 'model_input.c'}, or use project_type=host_driven.",
            )
        sys.stdout.write(checks.run_standalone(project))
        return
    from runtime.host.device import running_model

    with running_model(project, on_log=_print_log) as executor:
        arrays = tensors.read_inputs(inputs, executor.inputs)
        for name, array in arrays.items():
            executor.set_input(name, array)
        executor.run()
        outputs = [executor.get_output(index) for index in range(executor.num_outputs)]
    for index, array in enumerate(outputs):
        out.print(f"output {index}: {array.dtype} {list(array.shape)}", soft_wrap=True)
        out.print(escape(str(array)), soft_wrap=True)
    if output is not None:
        tensors.write_outputs(output, outputs)
        out.print(f"written to {output}", soft_wrap=True)


@main.command()
@model_argument
@project_option
@options_option
@click.pass_obj
def size(
    place: Workplace, model: Optional[Path], project_dir: Optional[Path], assignments: Tuple[str, ...]
) -> None:
    """Show the flash and the RAM that the firmware takes, by part."""
    project = place.project(model, project_dir, assignments)
    builder.build(project, verbose=place.verbose)
    out.print(size_table(project))


def size_table(project: Project) -> Table:
    """Flash and RAM of a built project by part, in bytes, against the board's memory."""
    from runtime.host.size import part_sizes

    board = project.board()
    table = Table("part", "flash", "RAM")
    for column in table.columns[1:]:
        column.justify = "right"
    parts = part_sizes(project.directory / BUILD_DIRECTORY / "firmware.map")
    for part in parts:
        table.add_row(part.part, f"{part.flash:,}", f"{part.ram:,}")
    table.add_section()
    table.add_row("all", f"{sum(p.flash for p in parts):,}", f"{sum(p.ram for p in parts):,}")
    table.add_row(f"{board.name} has", _size(board.flash_bytes), _size(board.ram_bytes))
    return table


@main.command()
@model_argument
@project_option
@options_option
@click.option("--number", default=100, show_default=True, help="How many inferences to time.")
@click.pass_obj
def bench(
    place: Workplace,
    model: Optional[Path],
    project_dir: Optional[Path],
    assignments: Tuple[str, ...],
    number: int,
) -> None:
    """Time a model: on the device alone, and as seen from here."""
    from runtime.host.latency import measure

    if number < 1:
        raise click.BadParameter("want at least 1", param_hint="--number")
    project = place.project(model, project_dir, assignments)
    builder.build(project, verbose=place.verbose)
    flash_project(project, verbose=place.verbose)
    table = Table("milliseconds", "median", "p99", "least")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in measure(project, number):
        table.add_row(row.what, *(f"{1e3 * seconds:.3f}" for seconds in (row.median, row.p99, row.least)))
    out.print(table)


@main.command()
@click.pass_obj
def check(place: Workplace) -> None:
    """Find out what is missing or wrong, from the compiler to an answer of a bundled model."""
    failed = 0
    for result in checks.run_checks(place.platform(), place.verbose):
        mark = "[green]ok[/]    " if result.ok else "[red]FAILED[/]"
        out.print(f"{mark} {result.what}: {escape(result.found)}", soft_wrap=True)
        if not result.ok:
            failed += 1
            out.print(f"       next: {escape(result.next_step)}", soft_wrap=True)
            if result.log and place.verbose:
                out.print(escape(result.log), style="dim", soft_wrap=True)
    if failed:
        sys.exit(1)
    out.print("Everything works.")


def _print_log(text: str) -> None:
    err.print(f"device: {escape(text)}", style="dim", soft_wrap=True)


def _size(size: Optional[int]) -> str:
    return "no limit" if size is None else f"{size:,}"
