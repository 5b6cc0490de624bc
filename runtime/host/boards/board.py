# SPDX-License-Identifier: Apache-2.0
"""One board: the values of its entry in boards.json."""

from __future__ import annotations

from typing import Any, Final, Mapping, NamedTuple, Optional, Tuple

PROCESS: Final = "process"  # the transport of a board that is a program of this machine
EMULATOR: Final = "qemu"  # the runner that starts an emulated board
BARE_METAL: Final = ("cortex_m", "riscv")  # device ports whose entries must describe the chip
CUSTOM: Final = "custom"  # the device port that an owner writes, in the platform's own port/


class Memory(NamedTuple):
    """A range of memory. address: None where nobody needs to know it."""

    address: Optional[int]
    bytes: int


class Uart(NamedTuple):
    """The UART that carries the link. kind: the driver, a file of runtime/device/ports/uart/. interrupt: its
    number at the interrupt controller. clock_hz: what its baud rate is divided from. pins: for people."""

    kind: str
    address: int
    interrupt: int
    clock_hz: int
    baud: int
    pins: str


class RegisterWrite(NamedTuple):
    """One step before the UART is enabled: the bits of `clear` are cleared in a register, then those of `set`
    are set. bits: the width of the access."""

    address: int
    clear: int
    set: int
    bits: int
    why: str


class Board(NamedTuple):
    """One entry of boards.json. Sizes are bytes; None stands for "no limit" or "does not apply".

    timer: the kind of its time source, and what that needs. interrupts: the same of its interrupt controller.
    usb: "vid:pid" of its serial port. runners: tool -> what the tool needs to know of this board.
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
        return None if self.flash is None else self.flash.bytes

    @property
    def ram_bytes(self) -> Optional[int]:
        return None if self.ram is None else self.ram.bytes

    @property
    def is_emulated(self) -> bool:
        """Whether it runs in an emulator of this machine unless another runner is named."""
        return self.runner == EMULATOR
