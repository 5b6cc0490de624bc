# SPDX-License-Identifier: Apache-2.0
"""List of the serial ports of this machine."""

from __future__ import annotations

from typing import List, NamedTuple

from runtime.host.errors import ToolMissing
from runtime.host.system.packages import how_to_install_requirements


class SerialPort(NamedTuple):
    """A serial port of this machine.

    Attributes:
        path: Path of the port.
        usb_id: USB vendor and product id as in boards.json, such as 0483:374b; empty without USB.
        serial_number: USB serial number; empty without USB.
        description: Description from the system; empty for none.
    """

    path: str
    usb_id: str
    serial_number: str
    description: str

    def __str__(self) -> str:
        number = f"serial number {self.serial_number}" if self.serial_number else ""
        known = ", ".join(part for part in (self.usb_id, number, self.description) if part)
        return f"{self.path} ({known})" if known else self.path


def list_ports() -> List[SerialPort]:
    """Return all serial ports that the system shows, sorted by path.

    Raises:
        ToolMissing: pyserial is not installed.
    """
    try:
        from serial.tools.list_ports import comports
    except ModuleNotFoundError as error:
        raise ToolMissing(
            "The Python package pyserial is not installed; serial ports need this package.",
            how_to_install_requirements(),
        ) from error
    return sorted(
        SerialPort(
            path=port.device,
            usb_id="" if port.vid is None else f"{port.vid:04x}:{port.pid or 0:04x}",
            serial_number=port.serial_number or "",
            description="" if port.description in (None, "n/a") else port.description,
        )
        for port in comports()
    )
