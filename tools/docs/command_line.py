# SPDX-License-Identifier: Apache-2.0
"""The sections of the command line, from a click application."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Iterator, List

import click

from runtime import server
from runtime.host.boards.table import load_boards
from runtime.host.commands import app
from runtime.host.commands.command_options import TargetCommand
from runtime.host.project.options import project_options
from tools.docs.includes import SLUG
from tools.docs.markdown import code, join, plain, sentence, table

PROGRAM = "python mtvm.py"
METHODS = ("generate_project", "build", "flash", "open_transport")  # of the Project API


def commands(_root: Path) -> str:
    """Return the description of the application, and a section for each command."""
    context = click.Context(app.main, info_name=PROGRAM)
    return join([*describe(app.main, context), *_commands(app.main, context, 2)])


def options(root: Path) -> str:
    """Return the table of project options."""
    return table(("option", "values", "default", "used by", "meaning"), _option_rows(root))


def describe(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the usage, the description and the table of options of a command."""
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {pieces}\n```"
    yield plain(inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0])
    rows = list(_parameter_rows(command, context))
    if rows:
        yield table(("option", "meaning"), rows)
    if isinstance(command, TargetCommand):
        yield "`-o` takes the [project options](#project-options)."


def _commands(group: click.Group, context: click.Context, level: int) -> Iterator[str]:
    """Yield a section for each command of a group, and for those of groups within it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield f"{'#' * level} {name}"
        yield from describe(command, inner)
        if isinstance(command, click.Group):
            yield from _commands(command, inner, level + 1)


def _parameter_rows(command: click.Command, context: click.Context) -> Iterator[List[str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in parameter.opts:
            words, meaning = record
            yield [code(words), plain(meaning)]


def _option_rows(root: Path) -> Iterator[List[str]]:
    boards = {
        name: board
        for path in sorted((root / SLUG / "families").glob("*/boards.json"))
        for name, board in load_boards(path).items()
    }
    for option in project_options(boards):
        methods = (*(option.required or ()), *(option.optional or ()))
        if option.name == "verbose":  # -v on the command line
            continue
        of_platform = option.name in ("board", "runner")
        yield [
            code(option.name),
            "a name in `boards.json`" if of_platform else _values(option),
            "" if of_platform or option.default is None else code(option.default),
            ", ".join(code(method) for method in METHODS if method in methods),
            plain(sentence(re.split("[:;.]", option.help)[0] if of_platform else option.help)),
        ]


def _values(option: server.ProjectOption) -> str:
    if option.choices:
        return ", ".join(map(code, option.choices))
    return {
        "int": "integer",
        "str": "string",
        "bool": "`true` or `false`",
        "list": "strings with commas between",
    }[option.type]
