# SPDX-License-Identifier: Apache-2.0
"""The command line of a platform or of a project: python -m runtime.host COMMAND.

Every command calls the functions that the API server calls. A failure that a person can act on is printed as
two sentences and the log's tail. Exit status: 1 a failure, 2 a wrong command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import functools
import itertools
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Span, Text

from runtime import server
from runtime.host.archive.tar import check_file
from runtime.host.commands import check_steps
from runtime.host.errors import PlatformError, explained, traceback_of
from runtime.host.execution import connection
from runtime.host.execution.firmware_info import read_usage
from runtime.host.firmware import build as builder
from runtime.host.firmware import flash as flasher
from runtime.host.project.options import project_options
from runtime.host.project.platform import BUILD_FILES, PROJECT_FILE, Platform, load_platform
from runtime.host.project.project import (
    BUILD_DIRECTORY,
    FROM_PLATFORM,
    Project,
    find_or_generate,
    load_project,
)
from runtime.host.project.tvm_crt import chosen_crt
from runtime.host.system.cache import Digest
from runtime.host.system.leftovers import remove_leftovers, temporary_directory

# Lines are left to the terminal to wrap, so that a path can be copied; what is printed is text, not markup.
PLAIN: Dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}


class Terminal(Console):
    """Prints text of archives, boards.json and devices without what a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(_harmless, objects), **options)


def _harmless(shown: Any) -> Any:
    """Return text, or text with styles, with its control characters as escapes; anything else as it is."""
    if isinstance(shown, str):
        return server.printable(shown)
    if not isinstance(shown, Text) or server.printable(shown.plain) == shown.plain:
        return shown
    pieces = [server.printable(letter) for letter in shown.plain]
    starts = [0, *itertools.accumulate(map(len, pieces))]
    spans = [Span(starts[span.start], starts[span.end], span.style) for span in shown.spans]
    return Text("".join(pieces), shown.style, spans=spans, end=shown.end)


out = Terminal(**PLAIN)
err = Terminal(stderr=True, **PLAIN)
LONGEST_SENTENCE = 2_000  # characters: a name in it may have any length
VERBOSE = "runtime.host.verbose"  # in the metadata of click's context

# Project options that the command line spells another way.
OWN_SWITCHES = {
    "verbose": "--verbose",
    "serial_number": "--serial-number of flash, run, bench and size",
    "port": "--port of flash, run, bench and size",
    "baud_rate": "--baud-rate of flash, run, bench and size",
}
PROJECTS = "projects"  # of a platform: those that the command line generates
FILE_OPTIONS = ("extra_files_tar", "standalone_input")
LONGEST_STEM = 40

# runner, port, serial_number and baud_rate, as flash() and open_transport() take them.
Attached = Dict[str, Any]


class Commands(click.Group):
    """Ends a command that failed with what happened and what to do next."""

    def resolve_command(
        self, ctx: click.Context, args: List[str]
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        if args[0] not in self.commands:
            ctx.fail(f'There is no command "{args[0]}". {server.did_you_mean(args[0], self.commands)}')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # a wrong command line, or its end
        except ModuleNotFoundError:
            raise  # __main__.py says what to install
        except Exception as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # the reader of our output has gone; click ends
                raise
            failure = error
        except KeyboardInterrupt:
            err.print("Stopped.")
            sys.exit(130)
        show_error(explained(failure))
        if ctx.meta.get(VERBOSE):
            err.print(Text(traceback_of(failure).rstrip(), "dim"))
        sys.exit(1)


class ProjectCommand(click.Command):
    """A command whose help lists the project options of the platform at hand."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Project options, each as -o NAME=VALUE"):
            try:
                rows = [(option.name, _option_help(option)) for option in _options(platform_here())]
            except PlatformError as error:
                formatter.write_text(f"They cannot be listed: {error.what}")
            else:
                formatter.write_dl(rows)


def _note_verbose(ctx: click.Context, _parameter: click.Parameter, is_verbose: bool) -> bool:
    """Remember -v for a failure."""
    if is_verbose:
        ctx.meta[VERBOSE] = True
    return is_verbose


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-v",
    is_flag=True,
    expose_value=False,
    callback=_note_verbose,
    help="Show where in the host tools an unexpected failure happened.",
)
def main() -> None:
    """Build, flash, run and measure models with this platform.

    Run it in a platform's directory, where commands take a model archive, MODEL.tar, or in a generated
    project, which has its own.
    """


def show_error(error: PlatformError) -> None:
    """Print what happened, what to do next, and the log that belongs to it."""
    err.print(Text.assemble(("error: ", "bold red"), server.shortened(error.what, LONGEST_SENTENCE)))
    err.print(Text.assemble(("next:  ", "bold"), server.shortened(error.next_step, LONGEST_SENTENCE)))
    if error.log:
        err.print(Text(error.log.rstrip(), "dim"))


def platform_here() -> Platform:
    """The platform or project in the working directory."""
    return load_platform(Path.cwd())


def project_for(model: Optional[Path], project_dir: Optional[Path], assignments: Tuple[str, ...]) -> Project:
    """The project meant by a command: the one here, or one generated for MODEL.tar (or found again)."""
    platform = platform_here()
    if platform.is_project:
        if model is not None or project_dir is not None or assignments:
            raise PlatformError(
                "This directory is a generated project: it has its model and its options already.",
                "Leave MODEL.tar, --project-dir and -o out, or run the command in the platform's directory.",
            )
        return load_project(platform)
    if model is None:
        raise PlatformError(
            "This directory is a platform: it needs a model archive to work on.",
            f"Name one, for example: python -m runtime.host run {check_steps.BUNDLED_MODEL}",
        )
    if not model.exists():
        raise PlatformError(
            f"There is no file {model}.", f"Check the path; a model to try is {check_steps.BUNDLED_MODEL}."
        )
    check_file(model)
    options = parse_options(platform, assignments)
    remove_leftovers(platform.directory / PROJECTS)
    remove_leftovers(temporary_directory())
    place = project_dir or platform.directory / PROJECTS / _project_name(platform, model, options)
    if project_dir is not None and (place / PROJECT_FILE).exists():
        raise PlatformError(
            f"{project_dir} is a project already.",
            f"Work on it from inside, without MODEL.tar (cd {shlex.quote(str(project_dir))}), or name "
            "another directory.",
        )
    find_or_generate(platform, model, place, options)
    return load_project(load_platform(place))


def parse_options(platform: Platform, assignments: Tuple[str, ...]) -> Dict[str, Any]:
    """Project options from NAME=VALUE texts, coerced by their declared type."""
    texts: Dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise PlatformError(f"-o {assignment} has no value.", f"Write it as -o {assignment}=VALUE.")
        if name in OWN_SWITCHES:
            raise PlatformError(f"-o {name} is not taken here.", f"Use {OWN_SWITCHES[name]}.")
        if name in texts:
            raise PlatformError(f"-o {name} is given twice.", "Give it once.")
        texts[name] = value
    try:
        return server.coerce_options(_options(platform), texts)
    except server.OptionError as error:
        raise PlatformError(error.what, error.next_step) from error


def _options(platform: Platform) -> List[server.ProjectOption]:
    """What -o may name: the options that a project is generated with."""
    return [
        option
        for option in project_options(platform.boards())
        if option.name not in OWN_SWITCHES
        and "generate_project" in (*(option.required or ()), *(option.optional or ()))
    ]


def _option_help(option: server.ProjectOption) -> str:
    return option.help if option.default is None else f"{option.help}  [default: {option.default}]"


def _project_name(platform: Platform, model: Path, options: Dict[str, Any]) -> str:
    """A directory name that is the same for the same model, options and platform, and no other."""
    digest = Digest()
    digest.add(repr(sorted(options.items())))
    for file in (model, *(Path(options[name]) for name in FILE_OPTIONS if options[name])):
        digest.add_files(file.parent, [file])  # of a bounded size
    crt = chosen_crt(options["crt"], options["standalone_crt_dir"])
    if crt is not None:
        digest.add(crt.key())
    if options["cmsis_path"]:
        from runtime.host.project.cmsis import tree_key

        digest.add(tree_key(options["cmsis_path"]))
    for name in (*FROM_PLATFORM, BUILD_FILES[platform.build_system]):
        path = platform.directory / name
        files = path.rglob("*") if path.is_dir() else [path]
        digest.add_files(
            platform.directory, [file for file in files if file.is_file() and file.suffix != ".pyc"]
        )
    stem = re.sub(r"[^A-Za-z0-9_]", "_", model.name.split(".")[0])[:LONGEST_STEM]
    return f"{stem}-{digest.key()[:8]}"


def verbose_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """-v of the commands that run other programs."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_note_verbose,
        help="Print every command that is run, with its output.",
    )(function)


def option_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """-o and --board of the commands that generate a project, as one argument: assignments."""

    @click.option(
        "-o",
        "--option",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="A project option, listed below, as tvmc's --project-option; repeat it for more.",
    )
    @click.option("--board", metavar="NAME", help="The same as -o board=NAME.")
    @functools.wraps(function)
    def command(*args: Any, assignments: Tuple[str, ...], board: Optional[str], **own: Any) -> Any:
        named = () if board is None else (f"board={board}",)
        return function(*args, assignments=(*assignments, *named), **own)

    return command


def attached_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How the board is attached: the arguments runner, port, serial_number and baud_rate of a command, as one
    dict named attached."""

    @click.option("--runner", metavar="NAME", help="The flash tool or emulator; the board's own by default.")
    @click.option("--port", metavar="PORT", help="The board's serial port, or HOST:PORT.")
    @click.option("--serial-number", metavar="NUMBER", help="The board, when several are attached.")
    @click.option("--baud-rate", type=click.IntRange(min=1), metavar="BAUD", help="The board's by default.")
    @functools.wraps(function)
    def command(
        *args: Any,
        runner: Optional[str],
        port: Optional[str],
        serial_number: Optional[str],
        baud_rate: Optional[int],
        **own: Any,
    ) -> None:
        attached = {"runner": runner, "port": port, "serial_number": serial_number, "baud_rate": baud_rate}
        function(*args, attached=attached, **own)

    return command


def project_command(function: Callable[..., None]) -> click.Command:
    """A command on a project. Its function takes the project, verbose, and options of its own."""

    @click.argument("model", type=click.Path(path_type=Path), required=False, metavar="[MODEL.tar]")
    @click.option(
        "--project-dir",
        metavar="DIRECTORY",
        type=click.Path(path_type=Path),
        help="Where to generate the project. The default is in projects/, the same place for the same model "
        "and options.",
    )
    @option_option
    @verbose_option
    @functools.wraps(function)
    def command(
        model: Optional[Path],
        project_dir: Optional[Path],
        assignments: Tuple[str, ...],
        verbose: bool,
        **own: Any,
    ) -> None:
        function(project_for(model, project_dir, assignments), verbose, **own)

    return main.command(cls=ProjectCommand)(command)


@main.command(cls=ProjectCommand)
@option_option
@attached_options
@verbose_option
def check(assignments: Tuple[str, ...], attached: Attached, verbose: bool) -> None:
    """Find what is missing or wrong, and say what to do about it.

    In a platform: tools and packages, then the bundled model is built, flashed and run, and its answers are
    compared. In a project the same with its own model, whose answers are not known. What is still to be
    filled in for a board of your own is listed at the end, in the order in which to do it.
    """
    platform = platform_here()
    options = _options_for_check(platform, assignments)
    results = list(_shown(check_steps.run_checks(platform, verbose, options, attached)))
    if any(result.error for result in results):
        sys.exit(1)
    still_open = [result for result in results if result.is_open]
    missed = [result for result in results if result.is_missed]
    is_named = platform.is_project or bool(assignments) or any(attached.values())
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


def _shown(results: Iterable[check_steps.CheckResult]) -> Iterator[check_steps.CheckResult]:
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


@main.command()
def boards() -> None:
    """List the boards of this platform."""
    for board in platform_here().boards().values():
        out.print(Text.assemble((board.name, "bold"), " (default)" if board.default else ""))
        out.print(f"    {board.label}")
        out.print(
            f"    transport {board.transport}, flash {_size(board.flash_bytes)}, "
            f"RAM {_size(board.ram_bytes)}, verified: {board.verified}"
        )


@project_command
def build(project: Project, verbose: bool) -> None:
    """Generate a project for MODEL.tar and build its firmware."""
    report = builder.build(project, verbose=verbose)
    for stage in report.stages:
        out.print(f"{stage.name:10} {'from the cache' if stage.cached else f'{stage.seconds:.2f} s'}")
    if report.note:
        out.print(f"cache      {report.note}")
    out.print(f"project    {project.directory}")
    out.print(f"firmware   {report.firmware}")


@project_command
@attached_options
@click.option("--dry-run", is_flag=True, help="Print the commands that would flash the board; build nothing.")
def flash(project: Project, verbose: bool, attached: Attached, dry_run: bool) -> None:
    """Build the firmware and put it on the board."""
    commands = flasher.flash_commands(project, **attached)
    if dry_run:
        for argv in [["cd", str(project.directory)], *commands] if commands else []:
            out.print(shlex.join(argv))
    else:
        builder.build(project, verbose=verbose)
        flasher.flash(project, **attached, verbose=verbose)
    if not commands:
        out.print(
            "Nothing to flash: the firmware is started on this machine each time that the model is run."
            + (" --runner names the tool that flashes the real board." if project.board().is_emulated else "")
        )
    elif not dry_run:
        out.print(f"Flashed {project.firmware}")


@project_command
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]FILE",
    help="An input tensor: an .npy file, or an .npz with an array for each input, by its name. "
    "Without any the inputs count from 0 to 99, again and again.",
)
@click.option("--fill", is_flag=True, help="Run although inputs have no file: those count from 0 to 99.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the outputs to this .npz file, as output_0, output_1 and so on.",
)
@attached_options
def run(
    project: Project,
    verbose: bool,
    attached: Attached,
    inputs: Tuple[str, ...],
    fill: bool,
    output: Optional[Path],
) -> None:
    """Build, flash and run a model once, and print its outputs."""
    if project.project_type == "standalone":
        if inputs or output:
            raise PlatformError(
                "A standalone firmware runs on the input that was compiled into it.",
                f"Change {project.directory / 'src' / 'model_input.c'}, or use project_type=host_driven.",
            )
        _bring_up(project, verbose, attached)
        sys.stdout.write(server.printable(connection.run_standalone(project, **attached)))
        return
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    tensor_files.check_readable(inputs)
    _bring_up(project, verbose, attached)
    with running_model(project, on_log=_print_log, **attached) as executor:
        given = tensor_files.read_given(inputs, executor.inputs)
        arrays = tensor_files.complete(given, executor.inputs, fill=fill or not inputs)
        for name in arrays:
            if name not in given:
                out.print(f"input {name}: no file, so it counts from 0 to 99 again and again")
        outputs = executor.infer(arrays)
        usage = read_usage(executor.rpc)
    for index, array in enumerate(outputs):
        out.print(f"output {index}: {array.dtype} {list(array.shape)}")
        out.print(str(array))
    for what, used in [*(usage.rows() if usage else ()), *_memory_rows(project)]:
        out.print(f"{what:9} {used}")
    if output is not None:
        tensor_files.write_outputs(output, outputs)
        out.print(f"written to {output}")


@project_command
@attached_options
@click.option("--no-run", is_flag=True, help="Leave out what only a run of the model can tell.")
def size(project: Project, verbose: bool, attached: Attached, no_run: bool) -> None:
    """Show the memory that the firmware takes.

    Flash and RAM by part, against the board's. Where the firmware runs on this machine, also the stack and
    the workspace that a run of the model used; nothing is flashed.
    """
    from runtime.host.firmware.link_map import size_rows

    builder.build(project, verbose=verbose)
    board = project.board()
    link_map = builder.link_map(project)
    if link_map is None:
        out.print(
            f"No link map: let build_command write one to {BUILD_DIRECTORY}/{builder.LINK_MAP} "
            f"(-Wl,-Map={BUILD_DIRECTORY}/{builder.LINK_MAP}), and this tells the flash and the RAM it takes."
        )
    else:
        table = _number_table("bytes", "flash", "RAM")
        *parts, total = size_rows(link_map)
        for row in parts:
            table.add_row(*row)
        table.add_section()
        table.add_row(*total)
        table.add_row(f"{board.name} has", _size(board.flash_bytes), _size(board.ram_bytes))
        out.print(table, soft_wrap=False, crop=False)
    if project.project_type != "host_driven" or no_run:
        return
    if not connection.starts_here(project, **attached):
        out.print("The stack and the workspace that the model uses: see `run`, which flashes the board.")
    else:
        for what, used in _usage_rows(project, attached):
            out.print(f"{what:9} {used}")


def _usage_rows(project: Project, attached: Attached) -> List[Tuple[str, str]]:
    """What the device has used after one inference."""
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    with running_model(project, on_log=_print_log, **attached) as executor:
        executor.infer(tensor_files.read_inputs((), executor.inputs))
        usage = read_usage(executor.rpc)
    return usage.rows() if usage else []


def _memory_rows(project: Project) -> List[Tuple[str, str]]:
    """The memory of its board that the firmware takes."""
    from runtime.host.firmware.link_map import part_sizes

    board = project.board()
    link_map = builder.link_map(project)
    parts = [] if link_map is None else part_sizes(link_map)
    return [
        (what, f"{sum(getattr(part, kind) for part in parts):,} of {limit:,} bytes of {board.name}")
        for what, kind, limit in (("flash", "flash", board.flash_bytes), ("RAM", "ram", board.ram_bytes))
        if limit is not None and parts
    ]


@project_command
@click.option(
    "--number",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="How many inferences to time.",
)
@attached_options
def bench(project: Project, verbose: bool, attached: Attached, number: int) -> None:
    """Time a model: on the device alone, and as seen from here."""
    from runtime.host.execution.latency import measure

    _bring_up(project, verbose, attached)
    table = _number_table("milliseconds", "median", "p99", "least")
    for row in measure(project, number, **attached):
        table.add_row(row.what, *(f"{1e3 * seconds:.3f}" for seconds in (row.median, row.p99, row.least)))
    out.print(table, soft_wrap=False, crop=False)


def _bring_up(project: Project, verbose: bool, attached: Attached) -> None:
    builder.build(project, verbose=verbose)
    for argv in flasher.flash_commands(project, **attached)[-1:] if err.is_terminal else ():
        err.print(Text(f"Flashing {project.board().name} with {Path(argv[0]).name}.", "dim"))
    flasher.flash(project, **attached, verbose=verbose)
    _note_unopened_port(project, attached)


def _note_unopened_port(project: Project, attached: Attached) -> None:
    """Say that the port of the platform is not opened, where the firmware runs on this machine."""
    port = project.platform.port
    if port and not attached["port"] and connection.starts_here(project, **attached):
        board = project.board().name
        err.print(Text(f"Port {port} is not opened: the board {board} runs on this machine.", "dim"))


def _number_table(what: str, *numbers: str) -> Table:
    """A table whose numbers are never cut; a narrow terminal wraps the words before them."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column(what, min_width=len(what))
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _print_log(text: str) -> None:
    err.print(Text(f"device: {text}", "dim"))


def _size(size: Optional[int]) -> str:
    return "no limit" if size is None else f"{size:,}"
