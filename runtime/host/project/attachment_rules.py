# SPDX-License-Identifier: Apache-2.0
"""Rules for how a board is attached: an option that would have no effect is refused.

A serial number that is ignored could flash or measure another board than the one that the user named.
"""

from __future__ import annotations

from typing import List

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import EMULATOR, PROCESS, Board
from runtime.host.errors import BoardError
from runtime.host.project.platform import Platform
from runtime.host.transports.address import parse_address


def check_attachment(platform: Platform, board: Board, attachment: Attachment) -> None:
    """Raise BoardError for a port, serial number or baud rate that does not apply to the board.

    Args:
        platform: Platform of the board. A board that its flash_command names is a real one.
        board: Board to connect to.
        attachment: Options of the command line or of the API client.
    """
    if platform.is_flashed_by_owner(board.name):
        return
    if board.transport == PROCESS:
        _refuse(
            _given(attachment, "port", "serial_number", "baud_rate"),
            board,
            "runs as a process on this machine",
        )
    elif attachment.runner == EMULATOR:
        _refuse(_given(attachment, "port", "serial_number", "baud_rate"), board, "runs in an emulator")
    elif board.runner == EMULATOR and not attachment.runner and not attachment.names_a_device:
        _refuse(_given(attachment, "baud_rate"), board, "runs in an emulator")
    elif attachment.port and parse_address(attachment.port) is not None:
        _refuse(_given(attachment, "serial_number", "baud_rate"), board, f"is reached at {attachment.port}")


def _given(attachment: Attachment, *names: str) -> List[str]:
    return [name for name in names if getattr(attachment, name)]


def _refuse(names: List[str], board: Board, why: str) -> None:
    if names:
        switch = f"--{names[0].replace('_', '-')}"
        raise BoardError(
            f"Board {board.name!r} {why}: {switch} does not apply.",
            f"Remove {switch} (as a project option: {names[0]}), or select a board that is connected.",
        )
