# SPDX-License-Identifier: Apache-2.0
"""Steps of `check`, in the order in which an owner would check; each returns its finding in words."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
from pathlib import Path
from typing import Any, Callable, Final, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import CUSTOM, EMULATOR, PROCESS, Board
from runtime.host.boards.table import choose_board
from runtime.host.commands import bundled
from runtime.host.commands.open_items import open_items
from runtime.host.commands.target import (
    ModelSource,
    archive_of,
    model_here,
)
from runtime.host.compile.stored import is_model_file
from runtime.host.errors import DeviceError, PlatformError, ToolMissing, explained, is_input_error
from runtime.host.execution.connection import wants_emulator
from runtime.host.execution.standalone_run import run_standalone
from runtime.host.firmware.build import build
from runtime.host.firmware.compilers import find_compiler
from runtime.host.firmware.flash import OWN_COMMAND, flash, flash_commands
from runtime.host.project.board_support import PortConfig, port_config
from runtime.host.project.generate import generate
from runtime.host.project.platform import API_SERVER, Platform
from runtime.host.project.project import Project, load_project
from runtime.host.runners.table import find_runner
from runtime.host.system.leftovers import CHECK, scratch_directory, temporary_directory
from runtime.host.system.packages import how_to_install, how_to_install_requirements
from runtime.host.system.programs import find_tool, run_tool

COMPARED: Final = 32  # number of images that are compared
# Module -> package of PyPI.
PACKAGES: Final = {"click": "click", "rich": "rich", "numpy": "numpy", "serial": "pyserial"}
COMPILER_TIMEOUT_SEC: Final = 30.0
SPECS: Final = "--specs="  # flag of a cross compiler that selects its C library


BUNDLED: Final = ModelSource(None)


class CheckResult(NamedTuple):
    """Result of one step of a check.

    Attributes:
        what: Name of the step, or the place of an open item.
        found: Finding in words; empty with an error.
        error: Failure of the step.
        is_open: The result is not a step, but a setting that the owner still has to fill in.
        is_missed: The result is not a step, but a part of a real board that the check did not reach.
        is_absent: The step is about a part of the platform that is not installed, and that is not required.
    """

    what: str
    found: str
    error: Optional[PlatformError] = None
    is_open: bool = False
    is_missed: bool = False
    is_absent: bool = False


def run_checks(
    platform: Platform,
    options: Optional[Mapping[str, Any]] = None,
    attachment: Attachment = BY_DEFAULT,
    starting: Callable[[str], None] = lambda _what: None,
    source: ModelSource = BUNDLED,
) -> Iterator[CheckResult]:
    """Check a platform (with a model, in a temporary directory) or a project (with its own model).

    Args:
        platform: Platform or project.
        options: Project options for the model.
        attachment: How the board is attached.
        source: Model of a platform. Without a path: the bundled one.
        starting: Called with the name of each step that may take more than a second, before it starts.

    Yields:
        Results of the steps. All tools and packages are checked; after those, the first failure is the last
        step. Settings that the owner still has to fill in come at the end. If the board cannot be reached
        without them, the check ends after the build.
    """
    requirements = _Requirements(platform, options or {}, attachment)
    packages = _try("Python packages", _packages)
    boards = _try("board", requirements.choose_board)
    yield packages
    if not platform.is_project:  # a project has no model file
        yield _compilation()
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
        self_test = _SelfTest(platform, scratch, options or {}, attachment, source, starting)
        steps = [
            ("project", self_test.prepare_project),
            ("build", self_test.build),
            ("flash", self_test.flash),
            ("answers", self_test.answers),
        ]
        if still_open and requirements.board.transport != PROCESS:
            steps = steps[:2] if requirements.can_build else []
        for what, action in steps:
            starting(what)
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
            raise  # a fault of the host tools
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


def _compilation() -> CheckResult:
    """Return the versions of the packages of `compile`, or how to install them."""
    from runtime.host.compile.packages import check_packages

    try:
        versions = check_packages()
    except ToolMissing as error:
        return CheckResult("compile", f"{error.what} {error.next_step}", is_absent=True)
    return CheckResult("compile", ", ".join(f"{name} {version}" for name, version in versions))


class _Requirements:
    """Board that is checked, and the programs that it needs on this machine."""

    def __init__(self, platform: Platform, options: Mapping[str, Any], attachment: Attachment) -> None:
        self._platform = platform
        self._options = options
        self._attachment = attachment
        self._config: PortConfig
        self.board: Board

    def choose_board(self) -> str:
        """Choose the board, and return it in words."""
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
        """True if the platform can compile for this board, and not for this machine only."""
        return self.board.device_port != CUSTOM or self._platform.build_command is not None

    def tools(self) -> Iterator[Tuple[str, Callable[[], str]]]:
        """Yield each program that must be installed: its role, and a function that finds it."""
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
        """Return whether flash_command flashes this board."""
        runner = self._attachment.runner
        if self._platform.is_flashed_by_owner(self.board.name) or runner == OWN_COMMAND:
            return runner in (None, OWN_COMMAND)
        return not runner and self.board.transport != PROCESS and not self._is_emulated()

    def reached(self) -> str:
        """Return what a passed check has reached, in words."""
        if self.board.transport == PROCESS:
            return f"{self.board.name}, a process on this machine"
        if self._is_emulated():
            return f"{self.board.name} in its emulator"
        return f"{self.board.name}, the real board"

    def not_reached(self) -> List[str]:
        """Return the parts of a real board that the owner configured and this check did not reach."""
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
                f"{runner.tool} is not installed; {self.board.name} is flashed with it.", runner.install
            )
        return path

    def _find_own(self, command: Optional[Sequence[str]], what_for: str) -> str:
        """Return the program of an owner's command. A relative path is a file of the platform."""
        program = command[0] if command else ""
        if os.sep in program:
            path = self._platform.directory / program
            if os.access(path, os.X_OK):
                return str(path)
        return find_tool(program, what_for)


def _find_c_library(compiler: str, specs: str) -> None:
    """Raise ToolMissing for a cross compiler without its C library, a separate package in Debian."""
    argv = [compiler, f"-print-file-name={specs}"]
    found = run_tool(argv, cwd=Path.cwd(), timeout_sec=COMPILER_TIMEOUT_SEC).output.strip()
    if found == specs:  # GCC prints the plain name of a file that it does not find
        raise ToolMissing(
            f"{compiler} has no C library: the compiler does not find {specs}.",
            how_to_install(specs) or "Install the C library of this compiler.",
        )


class _SelfTest:
    """One project from its archive to the answers of the device. The steps run in this order."""

    def __init__(
        self,
        platform: Platform,
        scratch: Path,
        options: Mapping[str, Any],
        attachment: Attachment,
        source: ModelSource,
        starting: Callable[[str], None],
    ) -> None:
        self._platform = platform
        self._scratch = scratch
        self._options = options
        self._attachment = attachment
        self._source = source
        self._starting = starting
        self._bundle = bundled.bundled_model(platform)
        self._project: Project

    def prepare_project(self) -> str:
        """Load the project, or generate one for the model."""
        if self._platform.is_project:
            self._project = load_project(self._platform)
            return str(self._project.directory)
        if self._source.path is not None:
            name = str(self._source.path)
            model = model_here(self._platform, self._source.path)
            archive = archive_of(self._source, model, self._stage)
        else:
            name = self._bundle.model
            path = self._platform.directory / name
            # The answers of the board are compared, so that the compilation needs no C compiler.
            bundle = ModelSource(path, {}, verify=not is_model_file(path))
            archive = archive_of(bundle, path, self._stage)
        place = self._scratch / "project"
        self._project = generate(self._platform, archive, place, self._options, has_host_tools=False)
        return f"generated from {name}"

    @contextlib.contextmanager
    def _stage(self, text: str) -> Iterator[None]:
        """Show a stage of the compilation as the step that runs."""
        self._starting(text)
        yield

    def build(self) -> str:
        """Build the firmware."""
        report = build(self._project)
        return f"firmware of {report.firmware.stat().st_size:,} bytes"

    def flash(self) -> str:
        """Flash the board, where it is flashed."""
        commands = flash_commands(self._project, self._attachment)
        flash(self._project, self._attachment)
        if commands:
            return f"done with {Path(commands[-1][0]).name}"
        if self._project.board.transport == PROCESS:
            return "not needed: the firmware runs as a process on this machine"
        return "not needed: the emulator loads the firmware when it starts"

    def answers(self) -> str:
        """Run the model, and compare its answers where they are known."""
        if self._project.settings.project_type == "standalone":
            run_standalone(self._project, self._attachment)
            return "the standalone firmware ran its model"
        model = self._source.path
        if model is not None and is_model_file(model):
            return self._compare_with_reference(model)
        if model is not None or self._platform.is_project:
            return self._run_once()
        return self._compare()

    def _compare_with_reference(self, model: Path) -> str:
        """Compare the answers of the device with those of the runtime that the model was made for."""
        from runtime.host.compile.comparison import DEFAULT
        from runtime.host.compile.device_check import compare_with_device, read_expected

        expected = read_expected(self._project.archive, model, self._source.input_shapes, None, None)
        differences, _specs = compare_with_device(self._project, self._attachment, expected, DEFAULT)
        for found in differences:
            if found.wrong:
                raise DeviceError(
                    f"Output {found.name!r} differs from {expected.reference}: {found.wrong:,} of "
                    f"{found.elements:,} elements by up to {found.largest_error:.3g}.",
                    f"Show all errors with: python mtvm.py verify {shlex.quote(str(model))}",
                )
        return f"agree with {expected.reference} on {len(expected.inputs)} sets of inputs"

    def _run_once(self) -> str:
        from runtime.host.archive.tensor_files import read_inputs
        from runtime.host.execution.running_model import running_model

        with running_model(self._project, self._attachment) as executor:
            executor.infer(read_inputs((), executor.inputs))
        return "the model ran on the device"

    def _compare(self) -> str:
        """Run the bundled images on the device, and compare its answers with the host's, bit by bit."""
        import numpy

        from runtime.host.archive.tensor_files import read_arrays
        from runtime.host.execution.running_model import running_model

        path = self._platform.directory / bundled.IMAGES
        arrays = read_arrays(path)
        name = self._bundle.expected
        if not isinstance(arrays, dict) or not {"images", name} <= set(arrays):
            raise PlatformError(
                f"{path} does not hold the arrays images and {name}.",
                "Restore the file, which came with the platform, or bake the platform again.",
            )
        images, expected = arrays["images"][:COMPARED], arrays[name][:COMPARED]
        with running_model(self._project, self._attachment) as executor:
            for index, image in enumerate(images):
                answer = executor.infer({0: image[numpy.newaxis]})[0]
                if not numpy.array_equal(answer.ravel(), expected[index].ravel()):
                    raise DeviceError(
                        f"The answers of device and host differ on bundled image {index}.",
                        f"Restore {self._bundle.model} and {bundled.IMAGES} if they were changed. "
                        "Otherwise try another compiler: CC=COMPILER python mtvm.py check",
                    )
        return f"{len(images)} of {len(images)} bundled images, each answered exactly as on the host"
