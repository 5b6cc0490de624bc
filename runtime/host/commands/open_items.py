# SPDX-License-Identifier: Apache-2.0
"""Settings that an owner still has to fill in before a board works: place and sentence, in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Iterator, List, NamedTuple, Optional, Pattern

from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.boards.board import CUSTOM, EMULATOR, PROCESS, Board
from runtime.host.project.platform import API_SERVER, BOARDS_FILE, OWN_PORT, Platform

# Marks a section of the owner's device port that the owner has not written yet.
MARKER: Final = re.compile(r"FILL IN \d of \d: (?P<what>[^.]*?)\.")


class OpenItem(NamedTuple):
    """One setting to fill in.

    Attributes:
        where: "file" or "file:line", relative to the platform.
        what: One imperative sentence.
    """

    where: str
    what: str


def open_items(platform: Platform, board: Board, attachment: Attachment = BY_DEFAULT) -> List[OpenItem]:
    """Return the settings that are open for a board.

    A board whose firmware starts on this machine has none, unless its device port is `custom`.

    Args:
        platform: Platform of the board.
        board: Board to check.
        attachment: Values of the command line, which replace those of the files.
    """
    return list(_items(platform, board, attachment.runner, attachment.port))


def _items(
    platform: Platform, board: Board, runner: Optional[str], port: Optional[str]
) -> Iterator[OpenItem]:
    here = _Places(platform.directory, board)
    own = board.device_port == CUSTOM
    if own and board.transport == PROCESS:
        yield OpenItem(
            here.in_entry("transport"),
            f'Replace {board.name}, which is this machine, by your board and its transport ("serial").',
        )
    if own and platform.build_command is None:
        yield OpenItem(
            here.of_setting("build_command"), "Give the command that builds the firmware for your board."
        )
    if own:
        for path in sorted((platform.directory / OWN_PORT).glob("*.c")):
            yield from _markers(path, f"{OWN_PORT}/{path.name}")
    runner = runner or board.runner
    if (runner == EMULATOR and not port) or (board.transport == PROCESS and not own):
        return
    if platform.flash_command_of(board.name) is None and not runner:
        yield OpenItem(here.of_setting("flash_command"), "Give the command that flashes your board.")
    # A board without a USB id is reached through the only serial port on USB.
    if own and not (port or platform.port or board.usb or board.address):
        yield OpenItem(
            here.of_setting("port"),
            f"Name the port (`python mtvm.py ports` lists them), or give its usb in {BOARDS_FILE}.",
        )


def _markers(path: Path, name: str) -> Iterator[OpenItem]:
    if not path.is_file():  # reading a pipe would block
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for marker in MARKER.finditer(text):
        line = text.count("\n", 0, marker.start()) + 1
        yield OpenItem(
            f"{name}:{line}", f"Write this section for your board: {' '.join(marker['what'].split())}."
        )


class _Places:
    """Places of the settings of a board in the files of a platform."""

    def __init__(self, directory: Path, board: Board) -> None:
        self._directory = directory
        self._board = board

    def in_entry(self, field: str) -> str:
        """Return the line of a field in the board's entry."""
        entry = rf'"{re.escape(self._board.name)}"\s*:\s*\{{.*?"{field}"'
        return self._find(BOARDS_FILE, re.compile(entry, re.DOTALL))

    def of_setting(self, name: str) -> str:
        """Return the line of a setting in the API server."""
        return self._find(API_SERVER, re.compile(rf"^\s*{name}\s*=", re.MULTILINE))

    def _find(self, name: str, pattern: Pattern[str]) -> str:
        text = (self._directory / name).read_text(encoding="utf-8", errors="replace")
        found = pattern.search(text)
        return f"{name}:{text.count(chr(10), 0, found.end()) + 1}" if found else name
