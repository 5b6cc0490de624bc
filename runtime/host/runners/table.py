# SPDX-License-Identifier: Apache-2.0
"""The table of flash tools and emulators. The docstring of Runner says how to add one."""

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
    """The runner of that name. Raises BoardError where there is none."""
    if name not in RUNNERS:
        raise BoardError(
            f"boards.json: board {board.name!r}: there is no runner {name!r}.",
            server.did_you_mean(name, RUNNERS),
        )
    return RUNNERS[name]
