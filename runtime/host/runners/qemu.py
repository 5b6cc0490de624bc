# SPDX-License-Identifier: Apache-2.0
"""QEMU: an emulated board, whose UART is a socket that is handed over."""

from __future__ import annotations

from typing import List

from runtime.host.boards import Board


def argv(firmware: str, board: Board, uart: int) -> List[str]:
    """The emulator's command line; uart: the file descriptor of its UART."""
    entry = board.runners["qemu"]
    return [
        *(entry["program"], "-machine", entry["machine"], *entry.get("arguments", ())),
        *("-display", "none", "-monitor", "none", "-chardev", f"socket,id=uart,fd={uart}"),
        *("-serial", "chardev:uart", "-kernel", firmware),
    ]
