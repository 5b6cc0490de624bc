# SPDX-License-Identifier: Apache-2.0
"""Putting the firmware where it runs: with the owner's command or a flash tool; nothing for a process on this
machine or an emulated board, which take the firmware when they are started."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Iterator, List, NamedTuple, Optional

from runtime import server
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import EMULATOR, PROCESS, Board
from runtime.host.errors import FlashError, ToolMissing, TransportError
from runtime.host.project.platform import API_SERVER, Platform
from runtime.host.project.project import Project
from runtime.host.system.locks import BoardLock, port_lock, serial_number_lock
from runtime.host.system.logs import log_command
from runtime.host.system.programs import find_tool, run_tool

if TYPE_CHECKING:
    from runtime.host.runners.base import Job, Runner

OWN_COMMAND: Final = "custom"  # the name of the runner of flash_command
IMAGE_TIMEOUT_SEC: Final = 60.0
SAME_KIND_WAIT_SEC: Final = 60.0  # for whoever flashes a board of the same name, maybe another one
RETRY_PAUSE_SEC: Final = 1.0  # what a probe needs to come back after a reset of its USB


class _Plan(NamedTuple):
    """How a project is flashed."""

    runner: Runner
    job: Job


def flash(project: Project, attachment: Attachment = BY_DEFAULT) -> None:
    """Put the firmware on the project's board.

    attachment.runner: which tool; as a default the owner's flash_command, what the project was generated
    with, or the board's. Port and baud rate are fields of the owner's command. Raises FlashError, whose log
    is what the tool printed; ToolMissing; BoardError.
    """
    if not project.firmware.is_file():
        raise FlashError(
            f"There is no firmware to flash: {project.firmware} does not exist.",
            "Build the project first.",
        )
    plan = _plan(project, attachment)
    if plan is None:
        return
    tool = _find(plan)
    with _alone(plan):
        for argv in plan.runner.image_commands(plan.job):
            find_tool(argv[0], "make the image that the flash tool reads")
            _run(plan, argv, IMAGE_TIMEOUT_SEC)
        printed = "".join(
            _run(plan, argv, plan.runner.timeout_sec) for argv in plan.runner.commands(tool, plan.job)
        )
    if not plan.runner.proves(printed):
        raise _failed(plan, "ended without saying that the firmware was verified", printed)


def flash_commands(project: Project, attachment: Attachment = BY_DEFAULT) -> List[List[str]]:
    """The command lines that flash() would run, in the project's directory; none where nothing is flashed.

    Neither the tool nor the firmware need be there: a tool that is not installed has its plain name, a number
    that depends on the firmware stands as SIZE. Raises as flash() does for what is wrong with the options.
    """
    plan = _plan(project, attachment)
    if plan is None:
        return []
    tool = "" if plan.runner.name == OWN_COMMAND else plan.runner.find() or plan.runner.tool
    return [*plan.runner.image_commands(plan.job), *plan.runner.commands(tool, plan.job)]


def _plan(project: Project, attachment: Attachment) -> Optional[_Plan]:
    """The runner, and what it is told; None where nothing is to be flashed."""
    board = project.board
    chosen = _choose(project, board, attachment)
    if chosen in (None, EMULATOR):
        return None  # before the runners are imported: every session of an emulated board comes by here
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
    """The name of the runner; None where nothing is to be flashed."""
    platform, name = project.platform, attachment.runner
    own = platform.flash_command_of(board.name)
    if name == OWN_COMMAND and not own:
        raise FlashError(
            f"There is no flash command in {API_SERVER} for the board {board.name}.",
            "Write it there as flash_command, a list of arguments, or name another runner.",
        )
    if name == OWN_COMMAND and board.transport == PROCESS and not platform.is_flashed_by_owner(board.name):
        raise FlashError(
            f"The board {board.name} is a process of this machine, and flash_command is for a real board.",
            "Name the real board with --board, or give boards.json an entry for it.",
        )
    chosen = name or project.settings.runner or board.runner
    if own and (name == OWN_COMMAND or (not name and _is_for(platform, board, chosen))):
        return OWN_COMMAND
    if not chosen:
        return None
    if chosen not in board.runners:
        raise FlashError(
            f"The board {board.name} cannot be flashed with {chosen!r}.",
            server.did_you_mean(str(chosen), board.runners)
            if board.runners
            else f"It has no runner in boards.json; write flash_command in {API_SERVER}.",
        )
    others = [*([OWN_COMMAND] if own else []), *(other for other in board.runners if other != EMULATOR)]
    if chosen == EMULATOR and not name and attachment.names_a_device:
        raise FlashError(
            f"The board {board.name} is emulated unless a runner is named, and a port or serial number was.",
            f"Name the runner that flashes the real board: {', '.join(others)}."
            if others
            else "Leave the port and the serial number out: it exists in the emulator only.",
        )
    return str(chosen)


def _is_for(platform: Platform, board: Board, runner: Optional[str]) -> bool:
    """Whether flash_command flashes this board without being asked for: it names the board, or the board is
    no process and no emulated one."""
    return platform.is_flashed_by_owner(board.name) or not (board.transport == PROCESS or runner == EMULATOR)


def _find(plan: _Plan) -> str:
    """The tool's path. Raises ToolMissing with how to install it, and what could be used instead."""
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
        runner.install
        + (f" This board can also be flashed with what is installed: {', '.join(others)}." if others else ""),
    )


@contextmanager
def _alone(plan: _Plan) -> Iterator[None]:
    """Nobody else flashes this board meanwhile. Raises FlashError that says who does."""
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
    """Run a command to its end, again where its failure may pass by itself; what it printed."""
    runner, log = plan.runner, ""
    for tries_left in reversed(range(1 + runner.retries)):
        result = run_tool(argv, cwd=plan.job.directory, timeout_sec=timeout_sec, bound=True)
        said = f"$ {result.command}\n{result.output}"
        log += said
        log_command(result.command, result.output)
        if result.timed_out:
            raise _failed(plan, f"did not end within {timeout_sec:.0f} s: {result.command}", log)
        if result.exit_code == 0:
            return result.output
        known = runner.explain(result.output)
        if not (known and known.retry and tries_left):
            break
        time.sleep(RETRY_PAUSE_SEC)
    raise _failed(plan, f"ended with exit code {result.exit_code}: {result.command}", log, result.output)


def _failed(plan: _Plan, how: str, log: str, output: Optional[str] = None) -> FlashError:
    """how: how the command ended. output: what the last try of it printed."""
    if plan.runner.name == OWN_COMMAND:
        return FlashError(
            f"The flash command {how}",
            "Check that the board is attached and powered; what the command printed is below. "
            f"The command is flash_command in {API_SERVER}.",
            log,
        )
    known = plan.runner.explain(log if output is None else output)
    if known is not None:
        return FlashError(known.what, known.next_step, log)
    return FlashError(
        f"{plan.runner.name} {how}",
        "Check that the board is attached and powered; what the tool printed is below.",
        log,
    )


def _check_program(program: str) -> None:
    if os.sep not in program:
        find_tool(program, "flash the board")
    elif not os.access(program, os.X_OK):
        raise FlashError(
            f"The flash command cannot be run: {program} is missing or not executable.",
            f"Restore it, set its run bit with chmod +x, or change flash_command in {API_SERVER}.",
        )
