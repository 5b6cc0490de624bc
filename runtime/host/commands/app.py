# SPDX-License-Identifier: Apache-2.0
"""The command line of a platform or of a project: python -m runtime.host COMMAND.

Every command calls the functions that the API server calls. A failure that a person can act on is printed as
two sentences and the log's tail. Exit status: 1 a failure, 2 a wrong command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import functools
import importlib
import shlex
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Final, List, Optional, Tuple

import click
from rich.text import Text

from runtime import server
from runtime.host.archive.tar import read_packed
from runtime.host.boards.attachment import Attachment
from runtime.host.commands.console import err, show_error
from runtime.host.errors import PlatformError, explained, traceback_of
from runtime.host.project.lookup import find_or_generate, project_name
from runtime.host.project.options import project_options
from runtime.host.project.platform import BUNDLED_MODEL, PROJECT_FILE, Platform, load_platform
from runtime.host.project.project import Project, load_project
from runtime.host.system.leftovers import remove_leftovers, temporary_directory
from runtime.host.system.logs import show_commands

VERBOSE = "runtime.host.verbose"  # in the metadata of click's context

# Project options that the command line spells another way.
OWN_SWITCHES = {
    "verbose": "--verbose",
    "serial_number": "--serial-number of flash, run, bench and size",
    "port": "--port of flash, run, bench and size",
    "baud_rate": "--baud-rate of flash, run, bench and size",
}
PROJECTS = "projects"  # of a platform: those that the command line generates


COMMANDS: Final = {
    "bench": "project",
    "boards": "boards",
    "build": "project",
    "check": "check",
    "clean": "clean",
    "flash": "project",
    "monitor": "boards",
    "ports": "boards",
    "run": "project",
    "serve": "serve",
    "size": "project",
    "tvmc": "tvmc",
}
"""Command -> the module of this package that has it. Only the module of the command at hand is imported."""


class Commands(click.Group):
    """Imports the command that is called, and ends one that failed with what happened and what to do next."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name in COMMANDS:
            importlib.import_module(f"{__package__}.{COMMANDS[cmd_name]}")
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: List[str]
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        if args[0] not in COMMANDS:
            ctx.fail(f'There is no command "{args[0]}". {server.did_you_mean(args[0], COMMANDS)}')
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


def _note_commands(ctx: click.Context, parameter: click.Parameter, is_verbose: bool) -> bool:
    """Have commands logged, and remember -v for a failure."""
    if is_verbose:
        show_commands()
    return _note_verbose(ctx, parameter, is_verbose)


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
            f"Name one, for example: python -m runtime.host run {BUNDLED_MODEL}",
        )
    if not model.exists():
        raise PlatformError(
            f"There is no file {model}.", f"Check the path; a model to try is {BUNDLED_MODEL}."
        )
    packed = read_packed(model)
    options = parse_options(platform, assignments)
    remove_leftovers(platform.directory / PROJECTS)
    remove_leftovers(temporary_directory())
    if project_dir is not None and (project_dir / PROJECT_FILE).exists():
        raise PlatformError(
            f"{project_dir} is a project already.",
            f"Work on it from inside, without MODEL.tar (cd {shlex.quote(str(project_dir))}), or name "
            "another directory.",
        )
    place = project_dir or platform.directory / PROJECTS / project_name(platform, packed, options)
    return find_or_generate(platform, packed, place, options)


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


def verbose_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """-v of the commands that run other programs, whose command lines are then logged."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_note_commands,
        help="Print every command that is run, with its output.",
    )(function)


def project_option_options(function: Callable[..., Any]) -> Callable[..., Any]:
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
    def command(*args: Any, assignments: Tuple[str, ...], board: Optional[str], **others: Any) -> Any:
        named = () if board is None else (f"board={board}",)
        return function(*args, assignments=(*assignments, *named), **others)

    return command


def attachment_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How the board is attached: four options of a command, as one argument: attachment."""

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
        **others: Any,
    ) -> None:
        function(*args, attachment=Attachment(runner, port, serial_number, baud_rate), **others)

    return command


def project_command(function: Callable[..., None]) -> click.Command:
    """A command on a project. Its function takes the project, and options of its own."""

    @click.argument("model", type=click.Path(path_type=Path), required=False, metavar="[MODEL.tar]")
    @click.option(
        "--project-dir",
        metavar="DIRECTORY",
        type=click.Path(path_type=Path),
        help="Where to generate the project. The default is in projects/, the same place for the same model "
        "and options.",
    )
    @project_option_options
    @verbose_option
    @functools.wraps(function)
    def command(
        model: Optional[Path],
        project_dir: Optional[Path],
        assignments: Tuple[str, ...],
        **others: Any,
    ) -> None:
        function(project_for(model, project_dir, assignments), **others)

    return main.command(cls=ProjectCommand)(command)
