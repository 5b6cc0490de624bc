# SPDX-License-Identifier: Apache-2.0
"""Target of a command: platform or project, project options, and how the board is attached.

One rule serves every command. A project option is given as -o NAME=VALUE; board, runner, port,
serial_number and baud_rate also have a switch, which means the same. --env NAME adds the named settings of
mtvm.toml: a value on the command line precedes them. A command refuses an option that it does not use.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple

import click

from runtime import server
from runtime.host.archive.tar import PackedTar
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.app import platform_here
from runtime.host.errors import PlatformError
from runtime.host.project.named_settings import read_named_settings
from runtime.host.project.options import project_options
from runtime.host.project.platform import PROJECT_FILE, Platform
from runtime.host.project.project import Project, load_project

Progress = Callable[[str], ContextManager[Any]]

PROJECTS: Final = "projects"  # of a platform: the projects that the command line generates
ATTACHMENT: Final = Attachment._fields
GENERATE: Final = "generate"  # kind of options: all options of generate_project
BOARD: Final = "board"  # only this one of them
ATTACH: Final = "attachment"  # how the board is attached
SOURCE: Final = "source"  # not options: the command takes the model of its line too


class Words(NamedTuple):
    """Options of a command line as they were typed.

    Attributes:
        assignments: NAME=VALUE of each -o.
        switches: Project option -> value of its switch. Without the switches that were not given.
        env: NAME of --env.
    """

    assignments: Tuple[str, ...]
    switches: Tuple[Tuple[str, Any], ...]
    env: Optional[str]


class ModelSource(NamedTuple):
    """Model of a command.

    Attributes:
        path: Model archive or model file; None in a project.
        input_shapes: Input -> extents, for a model file that leaves dimensions open.
        verify: Compare the answers of a compiled model file with a reference.
    """

    path: Optional[Path]
    input_shapes: Mapping[str, Tuple[int, ...]] = {}
    verify: bool = True


class Target(NamedTuple):
    """Target of a command.

    Attributes:
        platform: Platform or project.
        options: Project options for generate_project, with defaults. Empty if the line names none.
        attachment: How the board is attached.
    """

    platform: Platform
    options: Dict[str, Any]
    attachment: Attachment

    @property
    def board(self) -> Board:
        """Board of the project, else the one that the options name, else the default."""
        if self.platform.is_project:
            return load_project(self.platform).board
        return choose_board(self.platform.boards(), self.options.get("board"))


def read_target(words: Words, used: Tuple[str, ...]) -> Target:
    """Return the target of a command line.

    Args:
        words: Options as typed.
        used: Kinds of options that the command uses: GENERATE, BOARD, ATTACH.

    Raises:
        PlatformError: An option is unknown, invalid, a duplicate or not used by the command.
    """
    platform = platform_here()
    given = _given(words)
    named = {} if words.env is None else read_named_settings(platform, words.env)
    if not given and not named:
        return Target(platform, {}, BY_DEFAULT)
    declared = {option.name: option for option in project_options(platform.boards())}
    names = _names_used(declared, used)
    _check_given(given, declared, names)
    _check_board(words, given, named)
    # Named settings are defaults of all commands: each command takes what it uses.
    texts = {**{name: value for name, value in named.items() if name in names}, **given}
    values = _coerced(declared, texts)
    if values["verbose"]:
        from runtime.host.system.logs import show_commands

        show_commands()
    attachment = Attachment.from_options(values)
    if set(texts) <= {*ATTACHMENT, "verbose"}:
        return Target(platform, {}, attachment)
    if platform.is_project:
        raise PlatformError(
            "This directory is a generated project: its options were chosen when it was generated.",
            "Leave out -o, --board and --env, or run the command on the platform.",
        )
    options = {name: values[name] for name, option in declared.items() if _is_used_to_generate(option)}
    return Target(platform, options, attachment)


def _names_used(declared: Mapping[str, server.ProjectOption], used: Tuple[str, ...]) -> List[str]:
    """Return the names of the project options that a command uses."""
    names: List[str] = []
    if GENERATE in used:
        names = ["verbose", *(name for name, option in declared.items() if _is_used_to_generate(option))]
    elif BOARD in used:
        names = [BOARD]
    return [*names, *(ATTACHMENT if ATTACH in used else ())]


def _check_given(
    given: Mapping[str, Any], declared: Mapping[str, server.ProjectOption], names: List[str]
) -> None:
    """Raise PlatformError for an option that the command does not use, or an attachment without a value."""
    for name, value in given.items():
        if name in declared and name not in names:
            command = click.get_current_context().info_name
            raise PlatformError(
                f"The command {command} does not use the project option {name}.",
                "Leave the option out of this command line.",
            )
        if name in ATTACHMENT and value == "":
            raise PlatformError(f"The value of {name} is empty.", "Give a value, or leave the option out.")


def _coerced(declared: Mapping[str, server.ProjectOption], texts: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the values of all project options, of the types that they declare."""
    # Any string is a runner: "custom" names the owner's flash_command, which is not in boards.json.
    options = [
        option.replace({"choices": None}) if option.name == "runner" else option
        for option in declared.values()
    ]
    try:
        values = server.coerce_options(options, texts)
    except server.OptionError as error:
        raise PlatformError(error.what, error.next_step) from error
    if values["baud_rate"] is not None and values["baud_rate"] < 1:
        raise PlatformError(
            f"baud_rate is {values['baud_rate']}; expected at least 1.", "Give bits per second."
        )
    return values


def project_of(target: Target, source: ModelSource, project_dir: Optional[Path]) -> Project:
    """Return the project of a command: the current one, or one generated for a model (or found again).

    Raises:
        PlatformError: A platform without a model, or a project with a model or `project_dir`.
    """
    platform = target.platform
    model = source.path
    if platform.is_project:
        if project_dir is not None:
            raise _has_model("MODEL and --project-dir")
        check_no_model(source)
        return load_project(platform)
    model = model_here(platform, model)
    from runtime.host.project.lookup import find_or_generate, project_name
    from runtime.host.system.leftovers import remove_leftovers, temporary_directory

    packed = archive_of(source, model)
    options = target.options or server.coerce_options(generate_options(platform), {})
    remove_leftovers(platform.directory / PROJECTS)
    remove_leftovers(temporary_directory())
    if project_dir is not None and (project_dir / PROJECT_FILE).exists():
        raise PlatformError(
            f"{project_dir} is a project already.",
            f"Work on it without MODEL: python mtvm.py -C {shlex.quote(str(project_dir))} COMMAND; "
            "or name another directory.",
        )
    place = project_dir or platform.directory / PROJECTS / project_name(platform, packed, options)
    return find_or_generate(platform, packed, place, options)


def check_no_model(source: ModelSource) -> None:
    """Raise PlatformError for a command line that names a model or its compilation, in a project."""
    if source.path is not None:
        raise _has_model("MODEL")
    check_no_compilation(source, "The model of this project")


def _has_model(words: str) -> PlatformError:
    return PlatformError(
        "This directory is a generated project: it has its model and its options already.",
        f"Leave out {words}, or run the command on the platform.",
    )


def model_here(platform: Platform, model: Optional[Path]) -> Path:
    """Return the model of a command on a platform.

    Raises:
        PlatformError: The command line names no model, or one that does not exist.
    """
    if model is not None and model.exists():
        return model
    from runtime.host.commands.bundled import bundled_model

    bundled = os.path.relpath(platform.directory / bundled_model(platform).model)
    if model is None:
        raise PlatformError(
            "This directory is a platform: the command needs a model file or a model archive.",
            f"Name one, for example: python mtvm.py run {shlex.quote(bundled)}",
        )
    raise PlatformError(f"There is no file {model}.", f"Check the path. A model to try is {bundled}.")


def archive_of(source: ModelSource, model: Path, progress: Optional[Progress] = None) -> PackedTar:
    """Return the model archive of a command, compiled if the model is a model file.

    Args:
        source: Options of the compilation.
        model: Model archive or model file.
        progress: Context manager for each stage of a compilation, with its name. Default: show the stage.
    """
    from runtime.host.archive.tar import read_packed
    from runtime.host.compile.stored import compiled_archive, is_model_file

    if is_model_file(model):
        from runtime.host.commands import console

        return compiled_archive(
            model,
            input_shapes=source.input_shapes,
            verify=source.verify,
            progress=progress or console.progress,
        ).packed
    check_no_compilation(source, str(model))
    return read_packed(model)


def check_no_compilation(source: ModelSource, what: str) -> None:
    """Raise PlatformError for options of a compilation where nothing is compiled."""
    if source.input_shapes or not source.verify:
        raise PlatformError(
            f"{what} is a compiled model archive: --input-shape and --no-verify do not apply.",
            "Leave out --input-shape and --no-verify.",
        )


def check_names_model(source: ModelSource) -> None:
    """Raise PlatformError for options of a compilation on a command line that names no model."""
    if source.path is None and (source.input_shapes or not source.verify):
        raise PlatformError(
            "--input-shape and --no-verify apply to a model file, and the command line has no MODEL.",
            "Name a model file, or leave out --input-shape and --no-verify.",
        )


def generate_options(platform: Platform) -> List[server.ProjectOption]:
    """Return the project options that a project is generated with."""
    return [option for option in project_options(platform.boards()) if _is_used_to_generate(option)]


def attachment_options(platform: Platform) -> List[server.ProjectOption]:
    """Return the project options that describe how the board is attached."""
    return [option for option in project_options(platform.boards()) if option.name in ATTACHMENT]


def _is_used_to_generate(option: server.ProjectOption) -> bool:
    """Return whether a project is generated with this option. An attachment belongs to the command."""
    methods = (*(option.required or ()), *(option.optional or ()))
    return option.name not in (*ATTACHMENT, "verbose") and "generate_project" in methods


def _given(words: Words) -> Dict[str, Any]:
    """Return the project options on the command line: name -> value."""
    given: Dict[str, Any] = {}
    for assignment in words.assignments:
        name, separator, value = assignment.partition("=")
        if not name:
            raise PlatformError(f"-o {assignment!r} has no name.", "Write it as -o NAME=VALUE.")
        if not separator:
            raise PlatformError(f"-o {assignment} has no value.", f"Write it as -o {assignment}=VALUE.")
        if name in given:
            raise PlatformError(f"-o {name} is a duplicate.", "Give the option one time.")
        given[name] = value
    for name, value in words.switches:
        if name in given:
            raise PlatformError(
                f"-o {name} is a duplicate of --{name.replace('_', '-')}.", "Give one of the two."
            )
        given[name] = value
    return given


def _check_board(words: Words, given: Dict[str, Any], named: Dict[str, Any]) -> None:
    """Raise PlatformError for a board with the named settings of another one: the port would be wrong."""
    board = given.get("board")
    if board is not None and named.get("board", board) != board:
        raise PlatformError(
            f"--env {words.env} is for the board {named['board']}, and the command line names {board}.",
            "Leave out --env or the board.",
        )
