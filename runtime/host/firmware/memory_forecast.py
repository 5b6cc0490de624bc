# SPDX-License-Identifier: Apache-2.0
"""Forecast of the flash and RAM that a host-driven firmware takes, before anything is built.

RAM is the sum of what a project reserves: arena, workspace, packet buffer, receive ring, stack, and the
variables of the device runtime. Flash is the model's code and constants, and the device runtime with the part
of the C library that it uses. The sizes of the device runtime were measured with -O2 and GCC 12 and 10.2 of
Debian 12 (arm-none-eabi, riscv64-unknown-elf); a test compares the forecast with link maps.
"""

from __future__ import annotations

from typing import Final, Mapping, NamedTuple, Optional, Tuple

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.board import BARE_METAL, Board
from runtime.host.firmware.model_code import ModelCode
from runtime.host.project.board_support import RING_FRAMING_BYTES, packet_buffer_bytes
from runtime.host.project.memory_plan import workspace_bytes


class Own(NamedTuple):
    """Memory of the device runtime, the device port and the C library.

    Attributes:
        flash: Bytes of flash.
        ram: Bytes of RAM, without the receive ring.
    """

    flash: int
    ram: int


# Beginning of a core's name -> sizes. The longest that matches applies.
OWN: Final[Mapping[str, Own]] = {
    "cortex-m": Own(20_900, 560),
    "cortex-m0": Own(27_400, 560),
    "rv32": Own(23_400, 800),
    "rv64": Own(19_500, 1_220),
}


class Part(NamedTuple):
    """Part of a memory.

    Attributes:
        name: Name in words.
        size_bytes: Its size.
    """

    name: str
    size_bytes: int


class Need(NamedTuple):
    """Need of one memory.

    Attributes:
        memory: "flash" or "RAM".
        parts: What was counted. Empty if it is not known.
        board_bytes: Size of the board's memory; None for no limit.
    """

    memory: str
    parts: Tuple[Part, ...]
    board_bytes: Optional[int]

    @property
    def size_bytes(self) -> Optional[int]:
        """Sum of the parts; None if they are not known."""
        return sum(part.size_bytes for part in self.parts) if self.parts else None

    @property
    def fits(self) -> Optional[bool]:
        """True if the board has the memory; None if that is not known, or the board has no limit."""
        size = self.size_bytes
        return None if size is None or self.board_bytes is None else size <= self.board_bytes


def forecast(archive: ModelArchive, board: Board, code: Optional[ModelCode]) -> Tuple[Need, Need]:
    """Return the need of flash and of RAM.

    Args:
        archive: Model archive with C code.
        board: Board.
        code: Sizes of the model's code for the board; None if they are not known.
    """
    own = _own(board)
    if own is None:
        return Need("flash", (), board.flash_bytes), Need("RAM", (), board.ram_bytes)
    flash: Tuple[Part, ...] = ()
    if code is not None:
        flash = (
            Part("model code", code.code_bytes),
            Part("constants", code.data_bytes),
            Part("device runtime", own.flash),
        )
    packet = packet_buffer_bytes(board)
    ram = (
        Part("arena", archive.static_workspace_bytes),
        Part("workspace with inputs and outputs", workspace_bytes(archive, board.ram_bytes)),
        Part("stack", board.stack_bytes),
        Part("device runtime", own.ram + packet + 2 * (packet + RING_FRAMING_BYTES)),
    )
    return Need("flash", flash, board.flash_bytes), Need("RAM", ram, board.ram_bytes)


def _own(board: Board) -> Optional[Own]:
    """Return the sizes of the device runtime on a board; None if they were not measured."""
    cpu = board.cpu if board.device_port in BARE_METAL else None
    names = [name for name in OWN if cpu is not None and cpu.startswith(name)]
    return OWN[max(names, key=len)] if names else None
