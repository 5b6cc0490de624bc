# SPDX-License-Identifier: Apache-2.0
"""What must hold between the fields of a board, once each of them is right by itself.

A rule gives the field that is wrong with what is wrong, and what to write instead; None where all is well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Final, Iterator, Optional, Tuple

if TYPE_CHECKING:
    from runtime.host.boards.board import Board, Memory

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
FLASH_ALIGNMENT: Final = 256  # of the table of interrupt vectors
RAM_ALIGNMENT: Final = 16  # of a stack
MOST_INTERRUPTS: Final = 4096
FASTEST_BAUD: Final = 100_000_000
SLOWEST_HZ: Final = 10_000
FASTEST_HZ: Final = 10_000_000_000

Wrong = Optional[Tuple[str, str]]


def broken_rule(board: Board) -> Wrong:
    """The first rule that a board breaks."""
    return next((wrong for wrong in (rule(board) for rule in _RULES) if wrong is not None), None)


def _name(board: Board) -> Wrong:
    if NAME.fullmatch(board.name):
        return None
    return "its name cannot be one.", "Use letters, digits, _ . and -, at most 64, a letter or digit first."


def _ranges(board: Board) -> Iterator[Tuple[str, Memory, int]]:
    """Name, range and alignment of the memories whose place is known."""
    for name, memory, alignment in (
        ("flash", board.flash, FLASH_ALIGNMENT),
        ("ram", board.ram, RAM_ALIGNMENT),
    ):
        if memory is not None and memory.address is not None:
            yield name, memory, alignment


def _aligned(board: Board) -> Wrong:
    for name, memory, alignment in _ranges(board):
        if (memory.address or 0) % alignment:
            return f"'memory.{name}.address' is {memory.address:#x}.", f"want a multiple of {alignment}."
    return None


def _addressable(board: Board) -> Wrong:
    bits = 64 if (board.cpu or "").startswith("rv64") else 32
    for name, memory, _ in _ranges(board):
        if (memory.address or 0) + memory.bytes > 1 << bits:
            return f"'memory.{name}' ends beyond {bits} bits.", "Look its address and size up again."
    if board.uart is not None and board.uart.address >> bits:
        return f"'uart.address' is {board.uart.address:#x}.", f"want an address of {bits} bits."
    return None


def _apart(board: Board) -> Wrong:
    flash, ram = board.flash, board.ram
    if flash is None or ram is None or flash.address is None or ram.address is None:
        return None
    if flash.address + flash.bytes <= ram.address or ram.address + ram.bytes <= flash.address:
        return None
    return "'memory.flash' and 'memory.ram' overlap.", "Look their addresses and sizes up again."


def _stack_fits(board: Board) -> Wrong:
    if board.ram is None or board.stack_bytes < board.ram.bytes:
        return None
    return (
        f"'stack_bytes' is {board.stack_bytes:,}, and its RAM has {board.ram.bytes:,} bytes.",
        "Leave stack_bytes out, or check memory.ram.bytes.",
    )


def _uart_aligned(board: Board) -> Wrong:
    if board.uart is None or board.uart.address % 4 == 0:
        return None
    return f"'uart.address' is {board.uart.address:#x}.", "want a multiple of 4: its first register."


def _uart_numbers(board: Board) -> Wrong:
    if board.uart is None:
        return None
    if board.uart.interrupt > MOST_INTERRUPTS:
        return f"'uart.interrupt' is {board.uart.interrupt:,}.", f"want 0 to {MOST_INTERRUPTS:,}."
    if board.uart.baud > FASTEST_BAUD:
        return f"'uart.baud' is {board.uart.baud:,}.", f"want at most {FASTEST_BAUD:,}."
    return None


def _clocks(board: Board) -> Wrong:
    clocks = [("clock_hz", board.clock_hz)]
    if board.uart is not None:
        clocks.append(("uart.clock_hz", board.uart.clock_hz))
    for name, clock in clocks:
        if clock is not None and not SLOWEST_HZ <= clock <= FASTEST_HZ:
            return f"'{name}' is {clock:,} Hz.", f"want {SLOWEST_HZ:,} to {FASTEST_HZ:,}."
    return None


def _writes(board: Board) -> Wrong:
    for number, step in enumerate((*board.setup, *([board.restart] if board.restart else []))):
        where = f"'setup' step {number + 1}" if number < len(board.setup) else "'restart'"
        if step.address % (step.bits // 8):
            return f"{where}: its address is {step.address:#x}.", f"want a multiple of {step.bits // 8}."
        if (step.clear | step.set) >> step.bits:
            return f"{where}: clear or set is wider than {step.bits} bits.", 'Give "bits", or check the mask.'
        if step.clear == step.set == 0:
            return f"{where} changes nothing.", "Give it clear, set, or both."
    return None


_RULES: Final[Tuple[Callable[[Board], Wrong], ...]] = (
    _name,
    _aligned,
    _addressable,
    _apart,
    _stack_fits,
    _uart_aligned,
    _uart_numbers,
    _clocks,
    _writes,
)
