# SPDX-License-Identifier: Apache-2.0
"""What `check` looks at, in the order in which an owner would; each step says what was found."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Callable, Final, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import CUSTOM, EMULATOR, PROCESS, Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.open_items import open_items
from runtime.host.errors import DeviceError, PlatformError, ToolMissing, explained, is_input_error
from runtime.host.execution.connection import wants_emulator
from runtime.host.execution.standalone_run import run_standalone
from runtime.host.firmware.build import build
from runtime.host.firmware.compilers import find_compiler
from runtime.host.firmware.flash import OWN_COMMAND, flash, flash_commands
from runtime.host.project.board_support import PortConfig, port_config
from runtime.host.project.generate import generate
from runtime.host.project.platform import API_SERVER, BUNDLED_MODEL, Platform
from runtime.host.project.project import Project, load_project
from runtime.host.runners.table import find_runner
from runtime.host.system.leftovers import CHECK, scratch_directory, temporary_directory
from runtime.host.system.packages import how_to_install, how_to_install_requirements
from runtime.host.system.programs import find_tool, run_tool

BUNDLED_IMAGES: Final = "models/digits_test.npz"  # images, and expected: the host's answer to each
IMAGES: Final = 32  # so many of them are tried
# The name of its module -> that of the package.
PACKAGES: Final = {"click": "click", "rich": "rich", "numpy": "numpy", "serial": "pyserial"}
COMPILER_ANSWERS_SEC: Final = 30.0
SPECS: Final = "--specs="  # of a cross compiler: the file that brings its C library


class CheckResult(NamedTuple):
    """One step of a check: what it found, or the error that it ended with.

    is_open: no step, but a place that the owner still has to fill in; found says with what. is_missed: no
    step, but what is configured for a real board and was not reached.
    """

    what: str
    found: str
    error: Optional[PlatformError] = None
    is_open: bool = False
    is_missed: bool = False


def run_checks(
    platform: Platform,
    options: Optional[Mapping[str, Any]] = None,
    attachment: Attachment = BY_DEFAULT,
) -> Iterator[CheckResult]:
    """Check a platform (with its bundled model, in a temporary directory) or a project (with its own).

    options: project options. What has to be installed is looked at whole; after that the first step that
    fails is the last. What an owner still has to fill in comes at the end. Where that is needed to reach the
    board, the check goes no further than a build.
    """
    requirements = _Requirements(platform, options or {}, attachment)
    packages = _try("Python packages", _packages)
    boards = _try("board", requirements.choose_board)
    yield packages
    yield boards
    if boards.error is not None:
        return
    complete = packages.error is None
    for what, action in requirements.tools():
        result = _try(what, action)
        complete = complete and result.error is None
        yield result
    if not complete:
        return
    still_open = open_items(platform, requirements.board, attachment)
    with scratch_directory(temporary_directory(), CHECK) as scratch:
        self_test = _SelfTest(platform, scratch, options or {}, attachment)
        steps = [
            ("project", self_test.prepare_project),
            ("build", self_test.build),
            ("flash", self_test.flash),
            ("answers", self_test.answers),
        ]
        if still_open and requirements.board.transport != PROCESS:
            steps = steps[:2] if requirements.can_build else []
        for what, action in steps:
            result = _try(what, action)
            yield result
            if result.error is not None:
                break
        else:
            if steps and steps[-1][0] == "answers":
                yield CheckResult("reached", requirements.reached())
                for missed in requirements.not_reached():
                    yield CheckResult("not reached", missed, is_missed=True)
    for item in still_open:
        yield CheckResult(item.where, item.what, is_open=True)


def _try(what: str, action: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(what, action())
    except Exception as error:
        if not isinstance(error, PlatformError) and not is_input_error(error):
            raise  # a fault of ours
        return CheckResult(what, "", explained(error))


def _packages() -> str:
    for module, name in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ToolMissing(
                f"The Python package {name} is not installed.",
                how_to_install_requirements(),
            ) from error
    return ", ".join(PACKAGES.values())


class _Requirements:
    """The board that is checked, and the programs of this machine that it needs."""

    def __init__(self, platform: Platform, options: Mapping[str, Any], attachment: Attachment) -> None:
        self._platform = platform
        self._options = options
        self._attachment = attachment
        self._config: PortConfig
        self.board: Board

    def choose_board(self) -> str:
        boards = self._platform.boards()
        name = self._options.get("board")
        if self._platform.is_project:
            name = load_project(self._platform).board.name
        self.board = choose_board(boards, name)
        self._config = port_config(self._platform.directory, self.board, {})
        others = f", one of {len(boards)}" if len(boards) > 1 else ""
        return f"{self.board.name}{others}: {self.board.label}"

    @property
    def can_build(self) -> bool:
        """Whether anything is there that compiles for this board, and not for this machine."""
        return self.board.device_port != CUSTOM or self._platform.build_command is not None

    def tools(self) -> Iterator[Tuple[str, Callable[[], str]]]:
        """What has to be installed: its name, and what finds it."""
        platform, board = self._platform, self.board
        if platform.build_command is not None:
            yield "build_command", lambda: self._find_own(platform.build_command, "build the firmware")
        elif self.can_build or board.transport == PROCESS:
            yield "C compiler", self._compiler
            yield "build system", lambda: find_tool(platform.build_system, "build the firmware")
        own = platform.flash_command_of(board.name) if self._is_flashed_by_owner() else None
        if self._is_emulated():
            program = str(board.runners[EMULATOR].get("program"))
            yield "emulator", lambda: find_tool(program, "run the firmware in an emulator")
        elif own is not None:
            yield "flash_command", lambda: self._find_own(own, "flash the board")
        elif self._attachment.runner or board.runner:
            yield "flash tool", self._flash_tool

    def _is_emulated(self) -> bool:
        is_own = not self._attachment.runner and self._platform.is_flashed_by_owner(self.board.name)
        return EMULATOR in self.board.runners and wants_emulator(self.board, self._attachment) and not is_own

    def _is_flashed_by_owner(self) -> bool:
        """Whether flash_command is run for this board."""
        runner = self._attachment.runner
        if self._platform.is_flashed_by_owner(self.board.name) or runner == OWN_COMMAND:
            return runner in (None, OWN_COMMAND)
        return not runner and self.board.transport != PROCESS and not self._is_emulated()

    def reached(self) -> str:
        """What a check that passed has reached, in words."""
        if self.board.transport == PROCESS:
            return f"{self.board.name}, a process of this machine"
        if self._is_emulated():
            return f"{self.board.name} in its emulator"
        return f"{self.board.name}, the real board"

    def not_reached(self) -> List[str]:
        """What the owner has configured for a real board, and this check did not touch."""
        found = []
        if self._platform.flash_command and not self._is_flashed_by_owner():
            found.append(f"flash_command of {API_SERVER} (not run)")
        if self._platform.port and (self.board.transport == PROCESS or self._is_emulated()):
            found.append(f"port {self._platform.port} of {API_SERVER} (not opened)")
        return found

    def _compiler(self) -> str:
        cross = self._config.cross
        compiler = find_compiler(cross)
        for flag in self._config.cpu_flags if cross else ():
            if flag.startswith(SPECS):
                _find_c_library(compiler, flag[len(SPECS) :])
        return compiler

    def _flash_tool(self) -> str:
        runner = find_runner(self.board, str(self._attachment.runner or self.board.runner))
        path = runner.find()
        if path is None:
            raise ToolMissing(
                f"{runner.tool} is not installed; it flashes {self.board.name}.", runner.install
            )
        return path

    def _find_own(self, command: Optional[Sequence[str]], what_for: str) -> str:
        """The program of an owner's command; one with a relative path is a file of the platform."""
        program = command[0] if command else ""
        if os.sep in program:
            path = self._platform.directory / program
            if os.access(path, os.X_OK):
                return str(path)
        return find_tool(program, what_for)


def _find_c_library(compiler: str, specs: str) -> None:
    """Raise ToolMissing where a cross compiler came without its C library: Debian has it apart."""
    argv = [compiler, f"-print-file-name={specs}"]
    found = run_tool(argv, cwd=Path.cwd(), timeout_sec=COMPILER_ANSWERS_SEC).output.strip()
    if found == specs:  # it knows no place
        raise ToolMissing(
            f"{compiler} has no C library: it does not find {specs}.",
            how_to_install(specs) or "Install the C library that belongs to this compiler.",
        )


class _SelfTest:
    """One project on its way from its archive to an answer of the device. Steps in this order."""

    def __init__(
        self,
        platform: Platform,
        scratch: Path,
        options: Mapping[str, Any],
        attachment: Attachment,
    ) -> None:
        self._platform = platform
        self._scratch = scratch
        self._options = options
        self._attachment = attachment
        self._project: Project

    def prepare_project(self) -> str:
        if self._platform.is_project:
            self._project = load_project(self._platform)
            return str(self._project.directory)
        archive = self._platform.directory / BUNDLED_MODEL
        place = self._scratch / "project"
        self._project = generate(self._platform, archive, place, self._options, has_host_tools=False)
        return f"generated from {BUNDLED_MODEL}"

    def build(self) -> str:
        report = build(self._project)
        return f"firmware of {report.firmware.stat().st_size:,} bytes"

    def flash(self) -> str:
        commands = flash_commands(self._project, self._attachment)
        flash(self._project, self._attachment)
        if commands:
            return f"done with {Path(commands[-1][0]).name}"
        if self._project.board.transport == PROCESS:
            return "not needed, the firmware is a process here"
        return "not needed, the emulator takes the firmware when it starts"

    def answers(self) -> str:
        if self._project.settings.project_type == "standalone":
            run_standalone(self._project, self._attachment)
            return "the standalone firmware ran its model"
        return self._run_once() if self._platform.is_project else self._compare()

    def _run_once(self) -> str:
        from runtime.host.archive.tensor_files import read_inputs
        from runtime.host.execution.running_model import running_model

        with running_model(self._project, self._attachment) as executor:
            executor.infer(read_inputs((), executor.inputs))
        return "the model ran on the device"

    def _compare(self) -> str:
        """Run bundled images on the device; its answers must be those of the host, to the last bit."""
        import numpy

        from runtime.host.archive.tensor_files import read_arrays
        from runtime.host.execution.running_model import running_model

        path = self._platform.directory / BUNDLED_IMAGES
        bundled = read_arrays(path)
        if not isinstance(bundled, dict) or not {"images", "expected"} <= set(bundled):
            raise PlatformError(
                f"{path} does not hold the arrays images and expected.",
                "It came with the platform: restore it, or bake the platform again.",
            )
        images, expected = bundled["images"][:IMAGES], bundled["expected"][:IMAGES]
        with running_model(self._project, self._attachment) as executor:
            for index, image in enumerate(images):
                answer = executor.infer({0: image[numpy.newaxis]})[0]
                if not numpy.array_equal(answer.ravel(), expected[index].ravel()):
                    raise DeviceError(
                        f"The device answers differently from the host on bundled image {index}.",
                        f"If {BUNDLED_MODEL} and {BUNDLED_IMAGES} are as they came, suspect the compiler: "
                        "check again with another one, CC=COMPILER python -m runtime.host check",
                    )
        return f"{len(images)} of {len(images)} bundled images, each answered exactly as on the host"
