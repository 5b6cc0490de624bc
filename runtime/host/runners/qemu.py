# SPDX-License-Identifier: Apache-2.0
"""QEMU, for emulated boards. QEMU loads the firmware when it starts, so flashing does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, List, Union

from runtime.host.boards.board import EMULATOR, Board
from runtime.host.boards.fields import Field, strings, text
from runtime.host.errors import BoardError
from runtime.host.runners.base import Job, Runner

# No window and no console: only the UART is connected. -nodefaults is absent because it removes the network
# backend, and QEMU then prints a warning for boards with an on-board network interface.
QUIET = ("-display", "none", "-monitor", "none", "-parallel", "none")


class Qemu(Runner):
    """QEMU.

    Its parameters `program` and `machine` select the board, and `cpu` and `arguments` refine the selection.
    """

    name: ClassVar = EMULATOR
    tool: ClassVar = "qemu-system-arm"
    parameters: ClassVar = {
        "program": Field(text, True, "the emulator, for example qemu-system-arm"),
        "machine": Field(text, True, "the value of -machine, for example mps2-an385"),
        "cpu": Field(text, False, "the value of -cpu, for machines that support several"),
        "arguments": Field(strings, False, 'a list of more arguments, for example ["-bios", "none"]'),
    }

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return no command, since QEMU loads the firmware when it starts."""
        return []


def argv(firmware: Union[str, Path], board: Board, uart_fd: int) -> List[str]:
    """Return the command line that runs the firmware on an emulated board.

    Args:
        firmware: Path of the ELF file.
        board: The emulated board.
        uart_fd: File descriptor of the socket that is the board's UART.

    Raises:
        BoardError: The board has no entry runners.qemu, or the entry is invalid.
    """
    if EMULATOR not in board.runners:
        raise BoardError(
            f"Board {board.name} has no emulator in boards.json.",
            "Connect the real board and pass its port or serial number, or choose an emulated board.",
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
