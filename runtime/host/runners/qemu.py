# SPDX-License-Identifier: Apache-2.0
"""QEMU, for emulated boards. QEMU loads the firmware when it starts, so flashing does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Dict, Final, List, Union

from runtime.host.boards.board import EMULATOR, Board
from runtime.host.boards.fields import Field, flag, strings, text
from runtime.host.errors import BoardError
from runtime.host.runners.base import Job, Runner

# No window and no console: only the UART is connected. -nodefaults is absent because it removes the network
# backend, and QEMU then prints a warning for boards with an on-board network interface.
QUIET = ("-display", "none", "-monitor", "none", "-parallel", "none")

INSTRUCTION_SHIFT: Final = 8
INSTRUCTION_NS: Final = 1 << INSTRUCTION_SHIFT
"""Nanoseconds of the board's time in which a board that counts executes one instruction.

It exceeds two ticks of the slowest timer of an emulated board (125 ns on the micro:bit), so a measured time
identifies the exact number of instructions.
"""

# With sleep=off, QEMU 7.2 runs one period of SysTick after the other while the board waits for bytes: the
# process of an idle mps2_an385 took 120 % of a processor. With sleep=on it took 0 %.
COUNTING = ("-icount", f"shift={INSTRUCTION_SHIFT},align=off,sleep=on")
COUNTS: Final = "count_instructions"


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
        COUNTS: Field(
            flag,
            False,
            "false for a board that runs in real time; the default true counts instructions",
        ),
    }

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return no command, since QEMU loads the firmware when it starts."""
        return []

    def read_params(self, board: Board) -> Dict[str, Any]:
        """Return the checked parameters; count_instructions is always a bool.

        Raises:
            BoardError: A field is unknown, missing or invalid, or `arguments` sets the rate of a board that
                counts instructions.
        """
        params = super().read_params(board)
        params[COUNTS] = params[COUNTS] is not False
        if params[COUNTS] and any(word.lstrip("-") == "icount" for word in params["arguments"] or ()):
            raise self._wrong(
                board,
                f"'runners.{EMULATOR}.arguments' contains -icount, which {COUNTS} sets.",
                f"Remove -icount and its value from arguments, or set {COUNTS} to false.",
            )
        return params


def counts_instructions(board: Board) -> bool:
    """Return whether the board counts instructions when it is emulated.

    Raises:
        BoardError: The board has no entry runners.qemu, or the entry is invalid.
    """
    return bool(_params(board)[COUNTS])


def argv(firmware: Union[str, Path], board: Board, uart_fd: int) -> List[str]:
    """Return the command line that runs the firmware on an emulated board.

    Args:
        firmware: Path of the ELF file.
        board: The emulated board.
        uart_fd: File descriptor of the socket that is the board's UART.

    Raises:
        BoardError: The board has no entry runners.qemu, or the entry is invalid.
    """
    params = _params(board)
    cpu = ["-cpu", params["cpu"]] if params["cpu"] else []
    return [
        params["program"],
        *("-machine", params["machine"]),
        *cpu,
        *(params["arguments"] or ()),
        *(COUNTING if params[COUNTS] else ()),
        *QUIET,
        *("-chardev", f"socket,id=uart,fd={uart_fd}"),
        *("-serial", "chardev:uart"),
        *("-kernel", str(firmware)),
    ]


def _params(board: Board) -> Dict[str, Any]:
    if EMULATOR not in board.runners:
        raise BoardError(
            f"Board {board.name} has no emulator in boards.json.",
            "Connect the real board and pass its port or serial number, or choose an emulated board.",
        )
    return Qemu().read_params(board)
