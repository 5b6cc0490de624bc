# SPDX-License-Identifier: Apache-2.0
"""QEMU: an emulated board. There is nothing to flash: it takes the firmware when it is started."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, List, Union

from runtime.host.boards.board import EMULATOR, Board
from runtime.host.boards.fields import Field, strings, text
from runtime.host.errors import BoardError
from runtime.host.runners.base import Job, Runner

# No window, no console: the UART is all that is connected. -nodefaults is left out: it would take the network
# from boards that have it soldered on, of which QEMU then warns.
QUIET = ("-display", "none", "-monitor", "none", "-parallel", "none")


class Qemu(Runner):
    """`program` and `machine` say which board; `cpu` and `arguments` where that is not enough."""

    name: ClassVar = EMULATOR
    tool: ClassVar = "qemu-system-arm"
    parameters: ClassVar = {
        "program": Field(text, True, "the emulator, for example qemu-system-arm"),
        "machine": Field(text, True, "after -machine, for example mps2-an385"),
        "cpu": Field(text, False, "after -cpu, where the machine leaves a choice"),
        "arguments": Field(strings, False, 'more arguments, for example ["-bios", "none"]'),
    }

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        return []


def argv(firmware: Union[str, Path], board: Board, uart_fd: int) -> List[str]:
    """The command line that runs the firmware on an emulated board whose UART is the socket with file
    descriptor uart_fd. Raises BoardError where the board is not emulated, or its entry is wrong."""
    if EMULATOR not in board.runners:
        raise BoardError(
            f"There is no emulator for the board {board.name}.",
            "Connect the real board and name its port or serial number, or choose an emulated board.",
        )
    params = Qemu().read_params(board)
    cpu = ["-cpu", params["cpu"]] if params["cpu"] else []
    return [
        params["program"],
        *("-machine", params["machine"]),
        *cpu,
        *(params["arguments"] or ()),
        *QUIET,
        *("-chardev", f"socket,id=uart,fd={uart_fd}"),
        *("-serial", "chardev:uart"),
        *("-kernel", str(firmware)),
    ]
