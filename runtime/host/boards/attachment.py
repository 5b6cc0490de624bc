# SPDX-License-Identifier: Apache-2.0
"""How a board is attached: what a command line or a client says of the way to it."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional


class Attachment(NamedTuple):
    """The way to a board. None leaves a field to what the project, the platform or boards.json says.

    runner: flash tool or emulator. port: serial port, or HOST:PORT. serial_number: of the board or of its
    debug probe. baud_rate: bits a second of the serial port.
    """

    runner: Optional[str] = None
    port: Optional[str] = None
    serial_number: Optional[str] = None
    baud_rate: Optional[int] = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Attachment:
        """Return what project options of these names say; empty strings say nothing."""
        return cls(**{field: options.get(field) or None for field in cls._fields})

    @property
    def names_a_device(self) -> bool:
        """Whether it says which device is meant, and with it that the board is a real one."""
        return bool(self.port or self.serial_number)


BY_DEFAULT = Attachment()
"""Nothing is said: the project's runner, and the only board of its kind."""
