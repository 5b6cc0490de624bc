# SPDX-License-Identifier: Apache-2.0
"""Flashing of a firmware with the owner's command or a flash tool.

A process on this machine and an emulated board need no flashing: they load the firmware at their start.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Iterator, List, NamedTuple, Optional

from runtime import server
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import EMULATOR, PROCESS, Board
from runtime.host.errors import FlashError, ToolMissing, TransportError
from runtime.host.project.attachment_rules import check_attachment
from runtime.host.project.platform import API_SERVER, Platform
from runtime.host.project.project import Project
from runtime.host.system.locks import BoardLock, port_lock, serial_number_lock
from runtime.host.system.logs import log_command
from runtime.host.system.programs import find_tool, run_tool

if TYPE_CHECKING:
    from runtime.host.runners.base import Job, Runner

OWN_COMMAND: Final = "custom"  # name of the runner of flash_command
IMAGE_TIMEOUT_SEC: Final = 60.0
SAME_KIND_WAIT_SEC: Final = 60.0  # limit of the wait for a process that flashes a board with this name
RETRY_PAUSE_SEC: Final = 1.0  # time for a probe to reconnect after a reset of its USB


class _Plan(NamedTuple):
    """Runner that flashes a project, and its job."""

    runner: Runner
    job: Job


def flash(project: Project, attachment: Attachment = BY_DEFAULT) -> None:
    """Flash the firmware to the project's board.

    Args:
        project: Project with a built firmware.
        attachment: How the board is attached. Its runner selects the tool; the default is the owner's
            flash_command, then the runner of the project, then the runner of the board. Port and baud rate
            are fields of the owner's command.

    Raises:
        FlashError: The options are wrong, or the tool failed; the log is the output of the tool.
        ToolMissing: The tool is not installed.
        BoardError: The parameters of the runner in boards.json are wrong.
    """
    if not project.firmware.is_file():
        raise FlashError(
            f"Firmware {project.firmware} does not exist.",
            "Build the project first.",
        )
    plan = _plan(project, attachment)
    if plan is None:
        return
    tool = _find(plan)
    with _exclusive_board(plan):
        for argv in plan.runner.image_commands(plan.job):
            find_tool(argv[0], "make the image that the flash tool reads")
            _run(plan, argv, IMAGE_TIMEOUT_SEC)
        printed = "".join(
            _run(plan, argv, plan.runner.timeout_sec) for argv in plan.runner.commands(tool, plan.job)
        )
    if not plan.runner.proves(printed):
        raise _failed(plan, "exited without reporting a verified firmware", printed)


def flash_commands(project: Project, attachment: Attachment = BY_DEFAULT) -> List[List[str]]:
    """Return the command lines of flash(), which runs them in the project's directory.

    The tool and the firmware may be missing. A tool that is not installed appears with its plain name, and a
    number that depends on the firmware appears as SIZE.

    Args:
        project: Project to flash.
        attachment: How the board is attached.

    Returns:
        Command lines; an empty list if nothing has to be flashed.

    Raises:
        FlashError: The options are wrong.
        BoardError: The parameters of the runner in boards.json are wrong.
    """
    plan = _plan(project, attachment)
    if plan is None:
        return []
    tool = "" if plan.runner.name == OWN_COMMAND else plan.runner.find() or plan.runner.tool
    return [*plan.runner.image_commands(plan.job), *plan.runner.commands(tool, plan.job)]


def _plan(project: Project, attachment: Attachment) -> Optional[_Plan]:
    """Return the runner and its job, or None if nothing has to be flashed."""
    board = project.board
    check_attachment(project.platform, board, attachment)
    chosen = _choose(project, board, attachment)
    if chosen in (None, EMULATOR):
        return None  # before the import of runners, which would slow down every emulated session
    from runtime.host.firmware.owner_flash import Custom
    from runtime.host.runners.base import Job
    from runtime.host.runners.table import find_runner

    own_command = project.platform.flash_command_of(board.name)
    runner = Custom(own_command) if own_command and chosen == OWN_COMMAND else find_runner(board, str(chosen))
    params = {}
    port, serial_number, baud_rate = (
        attachment.port or "",
        attachment.serial_number or "",
        attachment.baud_rate,
    )
    if chosen == OWN_COMMAND:
        if serial_number:
            Custom(own_command or ()).check_names_the_board()
        port = port or project.platform.port or ""
        baud_rate = baud_rate or project.platform.baud_rate
    else:
        params = runner.read_params(board)
        runner.check_serial_number(serial_number)
    firmware = project.firmware.relative_to(project.directory)
    job = Job(
        firmware,
        project.directory,
        board,
        params,
        project.settings.config.cross,
        serial_number,
        port,
        baud_rate,
    )
    return _Plan(runner, job)


def _choose(project: Project, board: Board, attachment: Attachment) -> Optional[str]:
    """Return the name of the runner, or None if nothing has to be flashed."""
    platform, name = project.platform, attachment.runner
    own = platform.flash_command_of(board.name)
    if name == OWN_COMMAND and not own:
        raise FlashError(
            f"Board {board.name!r} has no flash command in {API_SERVER}.",
            f"Set flash_command in {API_SERVER} to a list of arguments, or select another runner.",
        )
    if name == OWN_COMMAND and board.transport == PROCESS and not platform.is_flashed_by_owner(board.name):
        raise FlashError(
            f"Board {board.name!r} runs as a process on this machine; flash_command is for a real board.",
            "Select the real board with --board, or add an entry for the board to boards.json.",
        )
    chosen = name or project.settings.runner or board.runner
    if own and (name == OWN_COMMAND or (not name and _is_for(platform, board, chosen))):
        return OWN_COMMAND
    if not chosen:
        return None
    if chosen not in board.runners:
        raise FlashError(
            f"Board {board.name!r} cannot be flashed with {chosen!r}.",
            server.did_you_mean(str(chosen), board.runners)
            if board.runners
            else f"Set flash_command in {API_SERVER}: the board has no runner in boards.json.",
        )
    others = [*([OWN_COMMAND] if own else []), *(other for other in board.runners if other != EMULATOR)]
    if chosen == EMULATOR and not name and attachment.names_a_device:
        raise FlashError(
            f"Board {board.name!r} is emulated by default: a port or serial number does not apply.",
            f"Select a runner that flashes the real board: {', '.join(others)}."
            if others
            else "Remove the port and the serial number: the board exists in the emulator only.",
        )
    return str(chosen)


def _is_for(platform: Platform, board: Board, runner: Optional[str]) -> bool:
    """Return whether flash_command is the default runner of this board.

    flash_command names the board, or the board is neither a process nor emulated.
    """
    return platform.is_flashed_by_owner(board.name) or not (board.transport == PROCESS or runner == EMULATOR)


def _find(plan: _Plan) -> str:
    """Return the path of the tool. Raise ToolMissing if the tool is not installed."""
    from runtime.host.runners.table import RUNNERS

    runner = plan.runner
    if runner.name == OWN_COMMAND:
        _check_program(runner.commands("", plan.job)[0][0])
        return ""
    path = runner.find()
    if path is not None:
        return path
    others = [
        name
        for name in plan.job.board.runners
        if name not in (EMULATOR, runner.name) and name in RUNNERS and RUNNERS[name].find()
    ]
    raise ToolMissing(
        f"{runner.tool} is not installed; it is needed to flash the board.",
        (f"Select a runner that is installed: {', '.join(others)}. " if others else "") + runner.install,
    )


@contextmanager
def _exclusive_board(plan: _Plan) -> Iterator[None]:
    """Lock the board against other processes. Raise FlashError if another process holds the lock."""
    job, wait_sec = plan.job, 0.0
    if job.serial_number:
        lock = serial_number_lock(job.serial_number)
    elif job.port:
        lock = port_lock(job.port)
    else:
        lock, wait_sec = BoardLock(f"the board {job.board.name}"), SAME_KIND_WAIT_SEC
    try:
        lock.acquire(wait_sec)
    except TransportError as error:
        raise FlashError(error.what, error.next_step) from error
    try:
        yield
    finally:
        lock.release()


def _run(plan: _Plan, argv: List[str], timeout_sec: float) -> str:
    """Run a command, retry it after a failure that may be temporary, and return its output."""
    runner, log = plan.runner, ""
    for tries_left in reversed(range(1 + runner.retries)):
        result = run_tool(argv, cwd=plan.job.directory, timeout_sec=timeout_sec, bound=True)
        said = f"$ {result.command}\n{result.output}"
        log += said
        log_command(result.command, result.output)
        if result.timed_out:
            raise _failed(plan, f"did not exit within {timeout_sec:.0f} s: {result.command}", log)
        if result.exit_code == 0:
            return result.output
        known = runner.explain(result.output)
        if not (known and known.retry and tries_left):
            break
        time.sleep(RETRY_PAUSE_SEC)
    raise _failed(plan, f"exited with status {result.exit_code}: {result.command}", log, result.output)


def _failed(plan: _Plan, how: str, log: str, output: Optional[str] = None) -> FlashError:
    """Return the error of a command.

    Args:
        plan: Runner and job.
        how: How the command exited: the predicate of a sentence.
        log: Output of all attempts.
        output: Output of the last attempt, which is searched for known failures; None uses `log`.
    """
    if plan.runner.name == OWN_COMMAND:
        return FlashError(
            f"The flash command {how}.",
            "Check that the board is attached and powered, and read the output of the command below. "
            f"Correct flash_command in {API_SERVER} if the command is wrong.",
            log,
        )
    known = plan.runner.explain(log if output is None else output)
    if known is not None:
        return FlashError(known.what, known.next_step, log)
    return FlashError(
        f"{plan.runner.name} {how}.",
        "Check that the board is attached and powered, and read the output of the tool below.",
        log,
    )


def _check_program(program: str) -> None:
    if os.sep not in program:
        find_tool(program, "flash the board")
    elif not os.access(program, os.X_OK):
        raise FlashError(
            f"The flash command cannot start: {program} is missing or not executable.",
            f"Restore the program, set its run bit with chmod +x, or change flash_command in {API_SERVER}.",
        )
