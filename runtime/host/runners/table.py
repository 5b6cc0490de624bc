# SPDX-License-Identifier: Apache-2.0
"""Table of flash tools and emulators. The docstring of base.Runner explains how to add one."""

from __future__ import annotations

from typing import Dict, Final

from runtime import server
from runtime.host.boards.board import Board
from runtime.host.errors import BoardError
from runtime.host.runners.base import Runner
from runtime.host.runners.jlink import JLink
from runtime.host.runners.nordic import NrfJprog, NrfUtil
from runtime.host.runners.openocd import OpenOcd
from runtime.host.runners.pyocd import PyOcd
from runtime.host.runners.qemu import Qemu
from runtime.host.runners.stm32 import StFlash, Stm32CubeProgrammer
from runtime.host.runners.usb import DfuUtil, PicoTool

RUNNERS: Final[Dict[str, Runner]] = {
    runner.name: runner
    for runner in (
        Qemu(),
        OpenOcd(),
        PyOcd(),
        JLink(),
        StFlash(),
        Stm32CubeProgrammer(),
        NrfUtil(),
        NrfJprog(),
        PicoTool(),
        DfuUtil(),
    )
}


def find_runner(board: Board, name: str) -> Runner:
    """Return the runner of that name.

    Args:
        board: The board, which the error names.
        name: Key of the board's `runners`.

    Raises:
        BoardError: No runner has that name.
    """
    if name not in RUNNERS:
        raise BoardError(
            f"boards.json: board {board.name!r}: unknown runner {name!r}.",
            server.did_you_mean(name, RUNNERS),
        )
    return RUNNERS[name]
