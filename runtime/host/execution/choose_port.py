# SPDX-License-Identifier: Apache-2.0
"""Selection of the serial port of a board, without guessing.

The order of preference: the given port, the port with the given serial number, the port with a USB id of the
board, and the only USB port, which may be an adapter without an entry in any table. If none or several ports
match, the error lists the ports.
"""

from __future__ import annotations

from typing import Callable, Final, Iterable, List, Optional, Sequence

from runtime.host.boards.board import Board
from runtime.host.errors import TransportError
from runtime.host.transports.serial_ports import SerialPort, list_ports

HOW_TO_CHOOSE: Final = (
    "Select one with --port or --serial-number (as project options: port, serial_number). "
    "List the ports with: python mtvm.py ports"
)


def choose_port(
    board: Board,
    port: Optional[str] = None,
    serial_number: Optional[str] = None,
    list_ports: Callable[[], Sequence[SerialPort]] = list_ports,
) -> str:
    """Return the path of the board's serial port.

    Args:
        board: Board that is attached.
        port: Path of the port, which is returned unchanged.
        serial_number: Serial number of the board's USB device; upper and lower case are equal.
        list_ports: Function that returns the serial ports of this machine.

    Raises:
        TransportError: No port matches, or more than one.
    """
    if port:
        return port
    ports = list_ports()
    if serial_number:
        same = [each for each in ports if each.serial_number.lower() == serial_number.lower()]
        # All ports of an adapter or a probe have the same serial number.
        which = f"the serial number {serial_number}"
        return _only(_of_board(same, board) or same, which, ports)
    known = _of_board(ports, board)
    if known:
        return _only(known, f"the USB ids of {board.name}", ports)
    return _only([each for each in ports if each.usb_id], "a USB id", ports)


def boards_at(port: SerialPort, boards: Iterable[Board]) -> List[str]:
    """Return the names of the boards that have the USB id of a port."""
    return [board.name for board in boards if _of_board([port], board)]


def _of_board(ports: Sequence[SerialPort], board: Board) -> List[SerialPort]:
    return [each for each in ports if each.usb_id in board.usb]


def _only(found: Sequence[SerialPort], which: str, ports: Sequence[SerialPort]) -> str:
    if len(found) == 1:
        return found[0].path
    if found:
        raise TransportError(f"{len(found)} serial ports have {which}: {_listed(found)}.", HOW_TO_CHOOSE)
    if ports:
        raise TransportError(
            f"No serial port has {which}. Available ports: {_listed(ports)}.",
            "Plug the board in, or select its port with --port (as a project option: port).",
        )
    raise TransportError(
        "This machine has no serial port.",
        "Plug the board in with a cable that carries data. In a container or a virtual machine, forward the "
        "serial port. Select a port that is not listed with --port (as a project option: port).",
    )


def _listed(ports: Sequence[SerialPort]) -> str:
    return "; ".join(map(str, ports))
