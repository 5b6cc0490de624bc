# SPDX-License-Identifier: Apache-2.0
"""A platform directory and what its owner declared in microtvm_api_server.py.

The same directory shape is a platform (no project.json in it) or a project (generated). What an
API server needs for its first reply comes without pathlib, whose import costs as much as all the rest.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Final, Mapping, Optional, Sequence, Tuple, Union

from runtime.host.boards.board import Board
from runtime.host.boards.table import BoardTable, read_table
from runtime.host.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path

BOARDS_FILE: Final = "boards.json"
API_SERVER: Final = "microtvm_api_server.py"  # the name that TVM looks for
MODEL_ARCHIVE: Final = "model.tar"
BUNDLED_MODEL: Final = "models/digits_aot.tar"  # of a platform: what check runs
PROJECT_FILE: Final = "project.json"  # what makes a directory a project
BUILD_FILES: Final = {"make": "Makefile", "cmake": "CMakeLists.txt"}
RUNTIME: Final = "runtime"  # the host tools and the device runtime
OWN_PORT: Final = "port"  # the owner's C files, for the device port `custom`
EXTRA_DIRECTORY: Final = "extra"  # the owner's other C files
FROM_PLATFORM: Final = (
    API_SERVER,
    "launch_microtvm_api_server.sh",
    "launch_microtvm_api_server.bat",
    BOARDS_FILE,
    "requirements.txt",
    RUNTIME,
    OWN_PORT,
    EXTRA_DIRECTORY,
)
"""What a project takes from its platform, where the platform has it. The build file comes on top."""


class Platform:
    """What microtvm_api_server.py says of itself.

    directory: where that file lies. name: what TVM shows. build_system: make or cmake.
    build_command, flash_command: the owner's own commands as argv, with fields to be filled in (see firmware/
    and runners/), or None for those that the board's entry and the build system lead to. flash_command as
    argv is for boards that are real; as a mapping, from a board's name to argv, it is for these boards.
    port: the serial port or HOST:PORT of the board when none is named; baud_rate: its speed.
    """

    def __init__(
        self,
        directory: Union[str, os.PathLike[str]],
        name: str,
        build_system: str,
        flash_command: Union[Sequence[str], Mapping[str, Sequence[str]], None] = None,
        build_command: Optional[Sequence[str]] = None,
        port: Optional[str] = None,
        baud_rate: Optional[int] = None,
    ) -> None:
        if build_system not in BUILD_FILES:
            raise PlatformError(
                f"build_system in {API_SERVER} is {build_system!r}.",
                f"want one of: {', '.join(BUILD_FILES)}.",
            )
        commands = [("build_command", build_command)]
        if isinstance(flash_command, Mapping):
            commands += [(f"flash_command[{board!r}]", command) for board, command in flash_command.items()]
        else:
            commands.append(("flash_command", flash_command))
        for setting, command in commands:
            if isinstance(command, str):
                raise PlatformError(
                    f"{setting} in {API_SERVER} is one text: {command!r}.",
                    f"Write it as a list of arguments: {command.split()}.",
                )
        self._directory = os.fspath(directory)
        self._boards: Optional[Tuple[Tuple[int, ...], BoardTable]] = None
        self.name = name
        self.build_system = build_system
        self.flash_command = flash_command
        self.build_command = _argv(build_command)
        self.port = port
        self.baud_rate = baud_rate

    def flash_command_of(self, board: str) -> Optional[Tuple[str, ...]]:
        """The owner's command that flashes a board: the board's own, or that for all; None without one."""
        command = self.flash_command
        return _argv(command.get(board) if isinstance(command, Mapping) else command)

    def is_flashed_by_owner(self, board: str) -> bool:
        """Whether flash_command names this board, which is a real one then, whatever boards.json says."""
        return isinstance(self.flash_command, Mapping) and board in self.flash_command

    def at(self, directory: Union[str, os.PathLike[str]]) -> Platform:
        """The same declarations for another directory: that of a project."""
        return Platform(
            directory,
            self.name,
            self.build_system,
            self.flash_command,
            self.build_command,
            self.port,
            self.baud_rate,
        )

    @property
    def directory(self) -> Path:
        """Where the platform or project lies."""
        from pathlib import Path

        return Path(self._directory)

    @property
    def model_archive(self) -> str:
        """Where a project has its model archive."""
        return os.path.join(self._directory, MODEL_ARCHIVE)  # noqa: PTH118

    @property
    def is_project(self) -> bool:
        """True for a generated project, False for the platform that projects are generated from."""
        return os.path.exists(os.path.join(self._directory, PROJECT_FILE))  # noqa: PTH110, PTH118

    def boards(self) -> Dict[str, Board]:
        """The boards of boards.json, in its order."""
        return self.board_table().boards

    @property
    def boards_path(self) -> str:
        """Where its boards.json lies."""
        return os.path.join(self._directory, BOARDS_FILE)  # noqa: PTH118

    def board_table(self) -> BoardTable:
        """boards.json, read once, and again when the file has changed: an API server may live long."""
        signature = _signature(self.boards_path)
        if self._boards is None or self._boards[0] != signature:
            table = read_table(self.boards_path)
            self._check_flash_command(table.boards)
            self._boards = (signature, table)
        return self._boards[1]

    def copy_boards(self, target: Path) -> None:
        """Write boards.json, as it was read, to another place, with its time; see share_boards."""
        target.write_text(self.board_table().text, encoding="utf-8")
        times = os.stat(self.boards_path)  # noqa: PTH116
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))

    def share_boards(self, project: Platform) -> None:
        """Let a project have the boards that were read here, where its boards.json is the copy that
        copy_boards wrote, by its size and time."""
        if self._boards is not None and self._boards[0] == _signature(project.boards_path) != ():
            project._boards = self._boards

    def _check_flash_command(self, boards: Dict[str, Board]) -> None:
        """Raise PlatformError where flash_command is for a board that there is not."""
        unknown = set(self.flash_command if isinstance(self.flash_command, Mapping) else ()) - set(boards)
        if unknown:
            raise PlatformError(
                f"flash_command in {API_SERVER} is for {min(unknown)!r}, which is no board of boards.json.",
                f"Name one of its boards: {', '.join(boards)}.",
            )


def _signature(path: str) -> Tuple[int, ...]:
    """Return what changes when a file is written: its size and time; nothing without a file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


def _argv(command: Optional[Sequence[str]]) -> Optional[Tuple[str, ...]]:
    return None if command is None else tuple(command)


def load_platform(directory: Path) -> Platform:
    """The platform or project in directory, as its microtvm_api_server.py declares it (PLATFORM)."""
    import importlib.util
    import sys
    import traceback

    path = directory / API_SERVER
    if not path.is_file():
        raise PlatformError(
            f"{directory} is neither a platform nor a project: it has no {API_SERVER}.",
            "Change into the directory that Cookiecutter wrote, or into a generated project.",
        )
    spec = importlib.util.spec_from_file_location("microtvm_api_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except PlatformError:
        raise
    except Exception as error:  # whatever its owner wrote there just now
        raise PlatformError(
            f"{path} cannot be loaded: {type(error).__name__}: {error}",
            "Mend the line of that file which the log below names last.",
            "".join(traceback.format_exception(type(error), error, error.__traceback__)),
        ) from error
    platform = getattr(module, "PLATFORM", None)
    if not isinstance(platform, Platform):
        raise PlatformError(
            f"{path} defines no PLATFORM.", "Keep the line `PLATFORM = Platform(...)` in that file."
        )
    return platform
