# SPDX-License-Identifier: Apache-2.0
"""Platform directory, and the declarations of its owner in microtvm_api_server.py.

A platform and a generated project have the same layout; a project also has project.json. An API server
imports this module before its first reply: pathlib would double the time of that import.
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
PROJECT_FILE: Final = "project.json"  # in every project, and in no platform
BUILD_FILES: Final = {"make": "Makefile", "cmake": "CMakeLists.txt"}
RUNTIME: Final = "runtime"  # the host tools and the device runtime
OWN_PORT: Final = "port"  # the owner's C files, for the device port `custom`
EXTRA_DIRECTORY: Final = "extra"  # the owner's other C files
FROM_PLATFORM: Final = (
    API_SERVER,
    "mtvm.py",
    "launch_microtvm_api_server.sh",
    "launch_microtvm_api_server.bat",
    BOARDS_FILE,
    "requirements.txt",
    RUNTIME,
    OWN_PORT,
    EXTRA_DIRECTORY,
)
"""Files and folders that a project copies from its platform, if they exist there. The build file is added."""


class Platform:
    """Declarations of microtvm_api_server.py.

    Args:
        directory: Directory of that file.
        name: Name that TVM shows.
        build_system: "make" or "cmake".
        flash_command: Owner's command that flashes every real board, as argv with fields (see
            firmware/owner_flash.py); or a mapping from a board's name to the command of that board. None: the
            board's runner flashes it.
        build_command: Owner's command that builds the firmware, as argv with fields (see
            firmware/owner_build.py). None: the build system builds it.
        port: Serial port or HOST:PORT of the board, unless an option names one.
        baud_rate: Bits per second of the serial port. None: the value of the board.

    Raises:
        PlatformError: The build system is unknown, or a command is a string.
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
                f"Use one of: {', '.join(BUILD_FILES)}.",
            )
        commands = [("build_command", build_command)]
        if isinstance(flash_command, Mapping):
            commands += [(f"flash_command[{board!r}]", command) for board, command in flash_command.items()]
        else:
            commands.append(("flash_command", flash_command))
        for setting, command in commands:
            if isinstance(command, str):
                raise PlatformError(
                    f"{setting} in {API_SERVER} is a string: {command!r}.",
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
        """Return the owner's command that flashes a board, or None."""
        command = self.flash_command
        return _argv(command.get(board) if isinstance(command, Mapping) else command)

    def is_flashed_by_owner(self, board: str) -> bool:
        """Return whether flash_command names this board, which makes it a real board."""
        return isinstance(self.flash_command, Mapping) and board in self.flash_command

    def at(self, directory: Union[str, os.PathLike[str]]) -> Platform:
        """Return these declarations for another directory, such as a project of this platform."""
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
        """Directory of the platform or project."""
        from pathlib import Path

        return Path(self._directory)

    @property
    def model_archive(self) -> str:
        """Path of a project's model archive."""
        return os.path.join(self._directory, MODEL_ARCHIVE)  # noqa: PTH118

    @property
    def is_project(self) -> bool:
        """True for a generated project, False for the platform that projects are generated from."""
        return os.path.exists(os.path.join(self._directory, PROJECT_FILE))  # noqa: PTH110, PTH118

    def boards(self) -> Dict[str, Board]:
        """Return the boards of boards.json, in the order of the file."""
        return self.board_table().boards

    @property
    def boards_path(self) -> str:
        """Path of boards.json."""
        return os.path.join(self._directory, BOARDS_FILE)  # noqa: PTH118

    def board_table(self) -> BoardTable:
        """Return boards.json, read again after a change: an API server may run for days."""
        signature = _signature(self.boards_path)
        if self._boards is None or self._boards[0] != signature:
            table = read_table(self.boards_path)
            self._check_flash_command(table.boards)
            self._boards = (signature, table)
        return self._boards[1]

    def copy_boards(self, target: Path) -> None:
        """Write boards.json, as it was read, to `target`, with its time stamps (for share_boards)."""
        target.write_text(self.board_table().text, encoding="utf-8")
        times = os.stat(self.boards_path)  # noqa: PTH116
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))

    def share_boards(self, project: Platform) -> None:
        """Share the boards with a project whose boards.json has the size and time that copy_boards wrote."""
        if self._boards is not None and self._boards[0] == _signature(project.boards_path) != ():
            project._boards = self._boards

    def _check_flash_command(self, boards: Dict[str, Board]) -> None:
        """Raise PlatformError if flash_command names an unknown board."""
        unknown = set(self.flash_command if isinstance(self.flash_command, Mapping) else ()) - set(boards)
        if unknown:
            raise PlatformError(
                f"flash_command in {API_SERVER} names {min(unknown)!r}, which is not in boards.json.",
                f"Name one of its boards: {', '.join(boards)}.",
            )


def _signature(path: str) -> Tuple[int, ...]:
    """Return size and time of a file, which a write changes; an empty tuple without a file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


def _argv(command: Optional[Sequence[str]]) -> Optional[Tuple[str, ...]]:
    return None if command is None else tuple(command)


def check_is_platform(directory: Path) -> None:
    """Raise PlatformError for a directory that is neither a platform nor a project."""
    if not directory.is_dir():
        raise PlatformError(f"There is no directory {directory}.", "Check the path.")
    if not (directory / API_SERVER).is_file():
        raise PlatformError(
            f"{directory} is neither a platform nor a project: it has no {API_SERVER}.",
            "Change into the directory that Cookiecutter wrote or into a project, or name one with -C.",
        )


def load_platform(directory: Path) -> Platform:
    """Return the platform or project in a directory, as PLATFORM of its microtvm_api_server.py declares it.

    Raises:
        PlatformError: There is no such file, it fails, or it does not define PLATFORM.
    """
    import importlib.util
    import sys
    import traceback

    check_is_platform(directory)
    path = directory / API_SERVER
    spec = importlib.util.spec_from_file_location("microtvm_api_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except PlatformError:
        raise
    except Exception as error:  # the owner may have made any mistake
        raise PlatformError(
            f"{path} cannot be loaded: {type(error).__name__}: {error}",
            "Fix the last line of that file in the traceback below.",
            "".join(traceback.format_exception(type(error), error, error.__traceback__)),
        ) from error
    platform = getattr(module, "PLATFORM", None)
    if not isinstance(platform, Platform):
        raise PlatformError(
            f"{path} does not define PLATFORM.", "Keep the line `PLATFORM = Platform(...)` in that file."
        )
    return platform
