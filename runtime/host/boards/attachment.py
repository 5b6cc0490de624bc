# SPDX-License-Identifier: Apache-2.0
"""Options of a command line or a client that select one connected board."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional


class Attachment(NamedTuple):
    """Options that select one connected board; None uses the value of project, platform or boards.json.

    Attributes:
        runner: Name of the flash tool or emulator.
        port: Serial port, or HOST:PORT.
        serial_number: Serial number of the board or of its debug probe.
        baud_rate: Bits per second of the serial port.
    """

    runner: Optional[str] = None
    port: Optional[str] = None
    serial_number: Optional[str] = None
    baud_rate: Optional[int] = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Attachment:
        """Return the values of the project options with these names; an empty string becomes None."""
        return cls(**{field: options.get(field) or None for field in cls._fields})

    @property
    def names_a_device(self) -> bool:
        """True if the options name a device; the board is then a real one."""
        return bool(self.port or self.serial_number)


BY_DEFAULT = Attachment()
"""No option is set: the project's runner, and the only connected board of its kind."""
