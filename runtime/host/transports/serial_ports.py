# SPDX-License-Identifier: Apache-2.0
"""The serial ports of this machine."""

from __future__ import annotations

from typing import List, NamedTuple

from runtime.host.errors import ToolMissing
from runtime.host.system.packages import how_to_install_requirements


class SerialPort(NamedTuple):
    """usb_id: vendor and product as in boards.json, 0483:374b; empty, as serial_number, where it is not on
    USB."""

    path: str
    usb_id: str
    serial_number: str
    description: str

    def __str__(self) -> str:
        number = f"serial number {self.serial_number}" if self.serial_number else ""
        known = ", ".join(part for part in (self.usb_id, number, self.description) if part)
        return f"{self.path} ({known})" if known else self.path


def list_ports() -> List[SerialPort]:
    """Every serial port that the system shows, by path. Raises ToolMissing without pyserial."""
    try:
        from serial.tools.list_ports import comports
    except ModuleNotFoundError as error:
        raise ToolMissing(
            "The Python package pyserial is not installed; serial ports need it.",
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
