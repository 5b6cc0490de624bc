# SPDX-License-Identifier: Apache-2.0
"""Which serial port of this machine is a board's. Never a guess.

In this order: the port that was named; the one with the serial number that was named; the one with the USB
ids of the board; the only one there is on USB, which may be an adapter that no table knows. Where that is
none or several, the error lists them all.
"""

from __future__ import annotations

from typing import Callable, Final, Iterable, List, Optional, Sequence

from runtime.host.boards.board import Board
from runtime.host.errors import TransportError
from runtime.host.transports.serial_ports import SerialPort, list_ports

HOW_TO_CHOOSE: Final = (
    "Name one with --port or --serial-number (as project options: port, serial_number); "
    "python -m runtime.host ports shows them."
)


def choose_port(
    board: Board,
    port: Optional[str] = None,
    serial_number: Optional[str] = None,
    list_ports: Callable[[], Sequence[SerialPort]] = list_ports,
) -> str:
    """The path of the board's port. Raises TransportError where there is none, or more than one may be it."""
    if port:
        return port
    ports = list_ports()
    if serial_number:
        same = [each for each in ports if each.serial_number.lower() == serial_number.lower()]
        # An adapter or a probe with several ports has one serial number for all of them.
        which = f"the serial number {serial_number}"
        return _only(_of_board(same, board) or same, which, ports)
    known = _of_board(ports, board)
    if known:
        return _only(known, f"the USB ids of {board.name}", ports)
    return _only([each for each in ports if each.usb_id], "a USB id", ports)


def boards_at(port: SerialPort, boards: Iterable[Board]) -> List[str]:
    """The names of the boards that a port may belong to, by its USB ids."""
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
            f"No serial port has {which}; there are these: {_listed(ports)}.",
            "Plug the board in, or name its port with --port (as a project option: port).",
        )
    raise TransportError(
        "This machine has no serial port.",
        "Plug the board in, with a cable that carries data; in a container or a virtual machine, pass its "
        "port on to it. A port that is not listed is named with --port (as a project option: port).",
    )


def _listed(ports: Sequence[SerialPort]) -> str:
    return "; ".join(map(str, ports))
