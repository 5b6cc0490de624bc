# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, as decorators of their functions. target.py interprets them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

import click

from runtime.host.boards.board import Board
from runtime.host.commands.app import VERBOSE, directory_here, main
from runtime.host.commands.model_options import Shapes, compile_options
from runtime.host.commands.target import (
    ATTACH,
    ATTACHMENT,
    BOARD,
    GENERATE,
    SOURCE,
    ModelSource,
    Target,
    Words,
    attachment_options,
    generate_options,
    project_of,
    read_target,
)
from runtime.host.errors import PlatformError
from runtime.host.project.platform import Platform, load_platform
from runtime.server import ProjectOption

Function = Callable[..., Any]


class TargetCommand(click.Command):
    """Command whose help lists the project options of the current platform."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the project options that -o takes."""
        super().format_options(ctx, formatter)
        with formatter.section("Project options, each as -o NAME=VALUE"):
            try:
                platform = load_platform(directory_here())
                used = getattr(self.callback, "used", ())
                options = [
                    option
                    for option in generate_options(platform)
                    if GENERATE in used or option.name == BOARD
                ]
                options += attachment_options(platform) if ATTACH in used else []
            except PlatformError as error:
                formatter.write_text(f"They cannot be listed: {error.what}")
            else:
                formatter.write_dl([(option.name, _option_help(option)) for option in options])


def _option_help(option: ProjectOption) -> str:
    return option.help if option.default is None else f"{option.help}  [default: {option.default}]"


def _note_verbose(ctx: click.Context, _parameter: click.Parameter, is_verbose: bool) -> bool:
    """Log the commands that run, and remember -v for the report of a failure."""
    if is_verbose and not ctx.resilient_parsing:
        from runtime.host.system.logs import show_commands

        show_commands()
        ctx.meta[VERBOSE] = True
    return is_verbose


def verbose_option(function: Function) -> Function:
    """Add -v, which logs the programs that a command runs."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_note_verbose,
        help="Print every program of a build or a flash, with its output.",
    )(function)


def json_option(function: Function) -> Function:
    """Add --json, as the argument as_json of the function. Commands notes the option for a failure."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as one JSON document on standard output, also for a failure.",
    )(function)


def target_options(*used: str) -> Callable[[Function], Function]:
    """Add the options that choose a target, as the argument `target` of the function.

    Args:
        *used: Kinds of options that the command uses, see read_target().
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def command(*args: Any, assignments: Tuple[str, ...], env: Optional[str], **others: Any) -> Any:
            switches = {name: others.pop(name, None) for name in ("board", *ATTACHMENT)}
            given = tuple((name, value) for name, value in switches.items() if value is not None)
            return function(*args, target=read_target(Words(assignments, given, env), used), **others)

        options: List[Callable[[Function], Function]] = [
            click.option(
                "-o",
                "--option",
                "assignments",
                multiple=True,
                metavar="NAME=VALUE",
                shell_complete=_complete_assignment,
                help="Project option, listed below, like tvmc's --project-option. Repeat -o for more.",
            ),
            click.option(
                "--env",
                metavar="NAME",
                shell_complete=_complete_environment,
                help="Take the project options of the table [env.NAME] in mtvm.toml.",
            ),
            click.option(
                "--board", metavar="NAME", shell_complete=complete_board, help="Board, like -o board=NAME."
            ),
        ]
        if ATTACH in used:
            options += _attachment_switches()
        decorated: Function = command
        for option in reversed(options):
            decorated = option(decorated)
        decorated.used = used  # type: ignore[attr-defined]  # for the help
        return decorated

    return decorate


def _attachment_switches() -> List[Callable[[Function], Function]]:
    return [
        click.option(
            "--runner",
            metavar="NAME",
            shell_complete=_complete_runner,
            help="Flash tool or emulator. Default: the runner of the board.",
        ),
        click.option("--port", metavar="PORT", help="Serial port of the board, or HOST:PORT."),
        click.option(
            "--serial-number",
            metavar="NUMBER",
            help="Serial number of the board, when several are connected.",
        ),
        click.option("--baud-rate", metavar="BAUD", help="Bits per second. Default: those of the board."),
    ]


def model_argument(function: Function) -> Function:
    """Add the argument [MODEL], as `model`: a path or None."""
    return click.argument(
        "model",
        type=click.Path(path_type=Path),
        required=False,
        metavar="[MODEL]",
    )(function)


def project_command(
    *used: str, before: Callable[..., None] = lambda **_options: None
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command on one project of a function that takes `project`, and options of its own.

    Args:
        *used: ATTACH, if the command connects to the board; the function then takes `attachment` too. SOURCE,
            if it takes the model of the command line as `source`.
        before: Function that checks `source` and the options of the command, before a project is generated.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @model_argument
        @click.option(
            "--project-dir",
            metavar="DIRECTORY",
            type=click.Path(path_type=Path),
            help="Directory to generate the project in. Default: a directory in projects/, which depends on "
            "model and options.",
        )
        @compile_options
        @target_options(GENERATE, *used)
        @verbose_option
        @functools.wraps(function)
        def command(
            model: Optional[Path],
            project_dir: Optional[Path],
            input_shapes: Shapes,
            verify: bool,
            target: Target,
            **others: Any,
        ) -> None:
            source = ModelSource(model, input_shapes, verify)
            before(source=source, **others)
            if ATTACH in used:
                others["attachment"] = target.attachment
            if SOURCE in used:
                others["source"] = source
            function(project_of(target, source, project_dir), **others)

        return main.command(cls=TargetCommand)(command)

    return decorate


def _platform(ctx: click.Context) -> Optional[Platform]:
    """Return the current platform for shell completion, or None for one that does not load."""
    root = ctx.find_root()
    try:
        return load_platform(Path(root.params.get("directory") or root.obj))
    except Exception:
        return None


def _boards(ctx: click.Context) -> List[Board]:
    """Return the boards for shell completion; none where boards.json is wrong."""
    platform = _platform(ctx)
    try:
        return [] if platform is None else list(platform.boards().values())
    except PlatformError:
        return []


def _matching(names: List[str], incomplete: str) -> List[str]:
    return [name for name in names if name.startswith(incomplete)]


def complete_board(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> List[str]:
    """Return the names of boards that begin with a word."""
    return _matching([board.name for board in _boards(ctx)], incomplete)


def _complete_runner(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> List[str]:
    return _matching(sorted({name for board in _boards(ctx) for name in board.runners}), incomplete)


def _complete_environment(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> List[str]:
    from runtime.host.project.named_settings import environment_names

    platform = _platform(ctx)
    try:
        return [] if platform is None else _matching(environment_names(platform), incomplete)
    except PlatformError:
        return []


def _complete_assignment(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> List[str]:
    platform = _platform(ctx)
    if platform is None or not _boards(ctx):
        return []
    name, separator, _ = incomplete.partition("=")
    options = [*generate_options(platform), *attachment_options(platform)]
    if not separator:
        return _matching([f"{option.name}=" for option in options], name)
    values = [
        f"{name}={choice}" for option in options if option.name == name for choice in option.choices or ()
    ]
    return _matching(values, incomplete)
