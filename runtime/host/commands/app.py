# SPDX-License-Identifier: Apache-2.0
"""The command line: its group of commands, its global options, and the report of a failure.

Every command calls the functions that the API server calls. Exit status: 0 success, 1 failure, 2 invalid
command line, 130 stopped by Ctrl-C. A failure prints two sentences, and the tail of the tool's log where
there is one.

This module imports click and little more: `mtvm.py --help` and shell completion wait for it.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, List, NamedTuple, NoReturn, Optional, Tuple

import click

from runtime import server

if TYPE_CHECKING:
    from runtime.host.project.platform import Platform

VERBOSE: Final = "runtime.host.verbose"  # in click's ctx.meta: show the traceback of an unexpected failure
JSON: Final = "runtime.host.json"  # in click's ctx.meta: the command whose result is one JSON document
COMMAND_LINE: Final = "mtvm.py"  # in a platform and in each project


class Entry(NamedTuple):
    """Module of this package that defines a command, and the first line of its help."""

    module: str
    summary: str


COMMANDS: Final = {
    "bench": Entry("project", "Measure the latency of a model."),
    "boards": Entry("boards", "List the boards of this platform."),
    "build": Entry("project", "Generate a project and build its firmware."),
    "check": Entry("check", "Find what is missing or wrong, with the next step."),
    "clean": Entry("clean", "Remove projects, cached libraries and leftovers."),
    "compile": Entry("models", "Compile a model file to a verified model archive."),
    "completion": Entry("completion", "Print a script that completes commands in a shell."),
    "flash": Entry("project", "Build the firmware and flash the board."),
    "inspect": Entry("inspect", "Show inputs, operators, kernels and memory of a model."),
    "monitor": Entry("boards", "Show the output of a board."),
    "ports": Entry("boards", "List serial ports and the boards at them."),
    "run": Entry("project", "Run a model once on the board and print its outputs."),
    "serve": Entry("serve", "Lend a board to TVM's tuners, until Ctrl-C."),
    "size": Entry("project", "Show the memory that the firmware takes."),
    "tvmc": Entry("tvmc", "Run TVM's own tvmc, in a Python that has TVM."),
    "verify": Entry("verify", "Compare the answers of a model on the board with expected ones."),
}
"""Command -> where it is defined. Only the module of the command that runs is imported."""


class Commands(click.Group):
    """Group that imports the command that runs, and reports a failed command in two sentences."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Import and return one command, or None for an unknown name."""
        if cmd_name in COMMANDS:
            importlib.import_module(f"{__package__}.{COMMANDS[cmd_name].module}")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: List[str]
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        """Return the command that `args` names; with -C, continue in the host tools of that directory."""
        if "--json" in args:
            ctx.meta[JSON] = args[0]  # for a failure, also one before the command reads its options
        if ctx.params.get("directory") is not None and not ctx.resilient_parsing:
            _enter(ctx, Path(ctx.params["directory"]), args)
        if args[0] not in COMMANDS:
            ctx.fail(f'There is no command "{args[0]}". {server.did_you_mean(args[0], COMMANDS)}')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A failure ends with exit status 1, or 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # an invalid command line, or the normal end of one
        except ModuleNotFoundError:
            raise  # __main__.py names the package to install
        except Exception as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # the reader of the output is gone; click exits
                raise
            failure = error
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            sys.exit(130)
        return _fail(ctx, failure)


def _fail(ctx: click.Context, failure: Exception) -> NoReturn:
    """Report a failure on standard error, with --json also on standard output, and exit with status 1."""
    from rich.text import Text

    from runtime.host.commands.console import err, show_error
    from runtime.host.errors import explained, traceback_of

    reported = explained(failure)
    show_error(reported)
    if ctx.meta.get(VERBOSE):
        err.print(Text(traceback_of(failure).rstrip(), "dim"))
    if ctx.meta.get(JSON) and getattr(failure, "errno", None) != errno.ENOSPC:
        from runtime.host.commands.json_output import print_failure

        print_failure(ctx.meta[JSON], reported)
    sys.exit(1)


def _enter(ctx: click.Context, directory: Path, arguments: List[str]) -> None:
    """Work on the platform or project in `directory`. One with a runtime/ of its own continues in that.

    The host tools of one version never load the declarations of another. Paths stay relative to the current
    directory.
    """
    from runtime.host.errors import PlatformError
    from runtime.host.project.platform import RUNTIME, check_is_platform

    check_is_platform(directory)
    ours = Path(__file__).resolve().parents[2]
    if (directory / RUNTIME).resolve() == ours:
        ctx.find_root().obj = os.fspath(directory)
        return
    program = directory / COMMAND_LINE
    if not program.is_file():
        raise PlatformError(
            f"{directory} has no {COMMAND_LINE}: an older template wrote it.",
            "Update it with `cruft update`, or change into it and use `python -m runtime.host`.",
        )
    sys.stdout.flush()
    verbose = ["-v"] if ctx.meta.get(VERBOSE) else []
    os.execv(sys.executable, [sys.executable, os.fspath(program), *verbose, *arguments])


def _note_verbose(ctx: click.Context, _parameter: click.Parameter, is_verbose: bool) -> bool:
    """Remember -v for the report of a failure."""
    if is_verbose:
        ctx.meta[VERBOSE] = True
    return is_verbose


def _show_version(ctx: click.Context, _parameter: click.Parameter, is_asked: bool) -> None:
    """Print the version of the template, and exit."""
    if is_asked and not ctx.resilient_parsing:
        from runtime.host.system.version import version

        click.echo(f"microtvm-template {version()}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "directory",
    type=click.Path(),
    metavar="DIR",
    help="Platform or project to work on. Default: the one of this mtvm.py. Other paths stay relative to "
    "the current directory.",
)
@click.option(
    "-v",
    is_flag=True,
    expose_value=False,
    callback=_note_verbose,
    help="Show the traceback of an unexpected failure.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Print the version of the template that wrote the platform, and exit.",
)
def main(directory: Optional[str]) -> None:
    """Build, flash, run and measure models with this platform.

    In a platform, most commands take MODEL: a model archive (.tar), or a model file (.onnx, .tflite or
    .pt2), which is compiled first. A generated project has its own model.
    """


def directory_here() -> Path:
    """Directory of the platform or project that the command line works on."""
    return Path(click.get_current_context().find_root().obj)


def platform_here() -> Platform:
    """Load the platform or project that the command line works on."""
    from runtime.host.project.platform import load_platform

    return load_platform(directory_here())
