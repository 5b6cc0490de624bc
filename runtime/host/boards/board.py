# SPDX-License-Identifier: Apache-2.0
"""One board: the values of its entry in boards.json."""

from __future__ import annotations

from typing import Any, Final, Mapping, NamedTuple, Optional, Tuple

PROCESS: Final = "process"  # transport of a board that runs as a process on this machine
EMULATOR: Final = "qemu"  # runner that starts an emulated board
BARE_METAL: Final = ("cortex_m", "riscv")  # device ports whose entries must describe the chip
CUSTOM: Final = "custom"  # device port that the platform's owner writes, in the platform's port/


class Memory(NamedTuple):
    """A range of memory.

    Attributes:
        address: First address; None on a board whose build does not need it.
        bytes: Size.
    """

    address: Optional[int]
    bytes: int


class Uart(NamedTuple):
    """The UART between the host and the board.

    Attributes:
        kind: Name of the driver, a file of runtime/device/ports/uart/.
        address: Address of its first register.
        interrupt: Its number at the interrupt controller.
        clock_hz: Frequency from which the baud rate is divided.
        baud: Bits per second.
        pins: Description of the pins for the reader of boards.json.
    """

    kind: str
    address: int
    interrupt: int
    clock_hz: int
    baud: int
    pins: str


class RegisterWrite(NamedTuple):
    """A write to a register: clear some bits, then set some bits.

    Attributes:
        address: Address of the register.
        clear: Mask of the bits to clear.
        set: Mask of the bits to set.
        bits: Width of the access.
        why: Purpose of the write, for the reader of boards.json and of the generated code.
    """

    address: int
    clear: int
    set: int
    bits: int
    why: str


class Board(NamedTuple):
    """One entry of boards.json. Sizes are in bytes; None means "no limit" or "does not apply".

    table.FIELDS describes the fields that this list omits.

    Attributes:
        flash: Flash of the chip.
        ram: RAM of the chip.
        setup: Register writes before the UART is enabled.
        timer: Kind of the time source, and the fields of its driver.
        interrupts: Kind of the interrupt controller, and the fields of its driver.
        restart: Register write that resets the chip.
        usb: USB ids of the serial port, each "vid:pid".
        runners: Name of a flash tool or emulator -> its parameters for this board.
    """

    name: str
    label: str
    family: str
    device_port: str
    transport: str
    verified: str
    cpu: Optional[str]
    clock_hz: Optional[int]
    flash: Optional[Memory]
    ram: Optional[Memory]
    stack_bytes: int
    uart: Optional[Uart]
    setup: Tuple[RegisterWrite, ...]
    timer: Mapping[str, Any]
    interrupts: Mapping[str, Any]
    restart: Optional[RegisterWrite]
    usb: Tuple[str, ...]
    reset: str
    address: str
    runner: Optional[str]
    runners: Mapping[str, Mapping[str, Any]]
    default: bool

    @property
    def flash_bytes(self) -> Optional[int]:
        """Size of the flash in bytes; None for no limit."""
        return None if self.flash is None else self.flash.bytes

    @property
    def ram_bytes(self) -> Optional[int]:
        """Size of the RAM in bytes; None for no limit."""
        return None if self.ram is None else self.ram.bytes

    @property
    def is_emulated(self) -> bool:
        """True if the board runs in an emulator on this machine unless another runner is chosen."""
        return self.runner == EMULATOR
