# SPDX-License-Identifier: Apache-2.0
"""Rules between the fields of a board, checked after each field alone is valid.

A rule returns the problem, which names the field, and the next step. A rule that is met returns None.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Final, Iterator, Optional, Tuple

if TYPE_CHECKING:
    from runtime.host.boards.board import Board, Memory

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
FLASH_ALIGNMENT: Final = 256  # bytes, for the table of interrupt vectors
RAM_ALIGNMENT: Final = 16  # bytes, for a stack
MOST_INTERRUPTS: Final = 4096
FASTEST_BAUD: Final = 100_000_000
SLOWEST_HZ: Final = 10_000
FASTEST_HZ: Final = 10_000_000_000

Wrong = Optional[Tuple[str, str]]


def broken_rule(board: Board) -> Wrong:
    """Return problem and next step of the first rule that a board breaks, or None."""
    return next((wrong for wrong in (rule(board) for rule in _RULES) if wrong is not None), None)


def _name(board: Board) -> Wrong:
    if NAME.fullmatch(board.name):
        return None
    return (
        "the board's name is invalid.",
        "Begin the name with a letter or digit, and use at most 64 letters, digits, '_', '.' and '-'.",
    )


def _ranges(board: Board) -> Iterator[Tuple[str, Memory, int]]:
    """Yield name, range and required alignment of each memory with an address."""
    for name, memory, alignment in (
        ("flash", board.flash, FLASH_ALIGNMENT),
        ("ram", board.ram, RAM_ALIGNMENT),
    ):
        if memory is not None and memory.address is not None:
            yield name, memory, alignment


def _aligned(board: Board) -> Wrong:
    for name, memory, alignment in _ranges(board):
        if (memory.address or 0) % alignment:
            return (
                f"'memory.{name}.address' is not aligned: expected a multiple of {alignment}, "
                f"got {memory.address:#x}.",
                f"Set memory.{name}.address to a multiple of {alignment}.",
            )
    return None


def _addressable(board: Board) -> Wrong:
    bits = 64 if (board.cpu or "").startswith("rv64") else 32
    for name, memory, _ in _ranges(board):
        if (memory.address or 0) + memory.bytes > 1 << bits:
            return (
                f"'memory.{name}' ends beyond the {bits}-bit address space.",
                f"Compare address and bytes of memory.{name} with the chip's datasheet.",
            )
    if board.uart is not None and board.uart.address >> bits:
        return (
            f"'uart.address' is out of range: expected {bits} bits, got {board.uart.address:#x}.",
            "Compare uart.address with the chip's datasheet.",
        )
    return None


def _apart(board: Board) -> Wrong:
    flash, ram = board.flash, board.ram
    if flash is None or ram is None or flash.address is None or ram.address is None:
        return None
    if flash.address + flash.bytes <= ram.address or ram.address + ram.bytes <= flash.address:
        return None
    return (
        "'memory.flash' and 'memory.ram' overlap.",
        "Compare their addresses and sizes with the chip's datasheet.",
    )


def _stack_fits(board: Board) -> Wrong:
    if board.ram is None or board.stack_bytes < board.ram.bytes:
        return None
    return (
        f"'stack_bytes' is too large: expected less than the RAM of {board.ram.bytes:,} bytes, "
        f"got {board.stack_bytes:,}.",
        "Remove stack_bytes, or correct memory.ram.bytes.",
    )


def _uart_aligned(board: Board) -> Wrong:
    if board.uart is None or board.uart.address % 4 == 0:
        return None
    return (
        f"'uart.address' is not aligned: expected a multiple of 4, got {board.uart.address:#x}.",
        "Set uart.address to the address of the UART's first register.",
    )


def _uart_numbers(board: Board) -> Wrong:
    if board.uart is None:
        return None
    if board.uart.interrupt > MOST_INTERRUPTS:
        return (
            f"'uart.interrupt' is out of range: expected 0 to {MOST_INTERRUPTS:,}, "
            f"got {board.uart.interrupt:,}.",
            "Set uart.interrupt to the UART's number at the interrupt controller.",
        )
    if board.uart.baud > FASTEST_BAUD:
        return (
            f"'uart.baud' is too high: expected at most {FASTEST_BAUD:,}, got {board.uart.baud:,}.",
            "Set uart.baud to the bits per second of the UART.",
        )
    return None


def _clocks(board: Board) -> Wrong:
    clocks = [("clock_hz", board.clock_hz)]
    if board.uart is not None:
        clocks.append(("uart.clock_hz", board.uart.clock_hz))
    for name, clock in clocks:
        if clock is not None and not SLOWEST_HZ <= clock <= FASTEST_HZ:
            return (
                f"'{name}' is out of range: expected {SLOWEST_HZ:,} to {FASTEST_HZ:,} Hz, got {clock:,} Hz.",
                f"Set {name} to the frequency in Hz.",
            )
    return None


def _writes(board: Board) -> Wrong:
    for number, step in enumerate((*board.setup, *([board.restart] if board.restart else []))):
        where = f"'setup' step {number + 1}" if number < len(board.setup) else "'restart'"
        if step.address % (step.bits // 8):
            return (
                f"{where}: 'address' is not aligned: expected a multiple of {step.bits // 8}, "
                f"got {step.address:#x}.",
                'Correct the address, or set "bits" to the width of the register.',
            )
        if (step.clear | step.set) >> step.bits:
            return (
                f"{where}: the mask clear or set is wider than {step.bits} bits.",
                'Correct the mask, or set "bits" to the width of the register.',
            )
        if step.clear == step.set == 0:
            return f"{where} changes no bit.", "Set clear, set, or both to a mask of bits."
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
