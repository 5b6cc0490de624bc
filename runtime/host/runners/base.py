# SPDX-License-Identifier: Apache-2.0
"""Base class of flash tools: a Runner turns a Job into command lines, and explains the tool's failures.

Commands run in the project's directory and name its files relative to it. So no path of a user has to be
quoted for the language of a tool. A tool erases only what it writes, verifies it, and resets the chip at the
end, so that the firmware starts.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any, ClassVar, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple

from runtime.host.boards.board import Board
from runtime.host.boards.fields import Field, WrongField, read_fields
from runtime.host.errors import BoardError, FlashError
from runtime.host.runners.failures import Failure
from runtime.host.system.packages import how_to_install

SERIAL_NUMBER: Final = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)  # no tool's own syntax can be in it
OBJCOPY_FORMATS: Final = {"hex": "ihex", "bin": "binary"}


class Job(NamedTuple):
    """What is to be flashed, and where. firmware: the ELF file, relative to directory. directory: the
    project's. params: the board's entry for the runner, checked. cross: the prefix of objcopy's name."""

    firmware: Path
    directory: Path
    board: Board
    params: Mapping[str, Any]
    cross: str = ""
    serial_number: str = ""
    port: str = ""
    baud_rate: Optional[int] = None

    def image(self, kind: str) -> str:
        """The name of the firmware as elf, hex or bin, relative to the project's directory."""
        return str(self.firmware if kind == "elf" else self.firmware.with_suffix(f".{kind}"))

    def image_bytes(self, kind: str) -> str:
        """The size of an image that has been made; before that, a word for it."""
        path = self.directory / self.image(kind)
        return str(path.stat().st_size) if path.is_file() else "SIZE"

    def flash_address(self) -> str:
        """Where a bin begins, which it does not say itself. Raises BoardError where the board does not."""
        if self.board.flash is None or self.board.flash.address is None:
            raise BoardError(
                f"boards.json: board {self.board.name!r}: field 'memory.flash.address' is missing.",
                "This flash tool needs it: give it the address at which the firmware begins.",
            )
        return f"0x{self.board.flash.address:08x}"


class Runner:
    """One flash tool or emulator.

    To add a flash tool:

    1. Write a subclass of Runner in a module of this package, and set the attributes below.
    2. Implement commands(). Flash `job.image(kind)` of a kind that `images` names. Erase only the memory that
       is written, verify it, and reset the chip. Pass `job.serial_number` on where it is not empty: users
       have several boards.
    3. Fill `failures` from the tool's real output: what it prints with no probe, with a locked chip, with a
       wrong serial number. Use the functions of failures.py; the first pattern that matches is reported.
    4. Add an instance to RUNNERS in table.py, and the tool to system/packages.json.
    5. Add a row to the table of `runners` in the platform's README.md.
    6. Add an entry to `runners` of a board in boards.json.
    7. In the template, add rows to the tables of tests/runners/test_runners.py: NUCLEO_RUNNERS, COMMAND_LINES
       (with and without a serial number) and KNOWN_FAILURES. Tests that run over RUNNERS fail until they are
       there.

    Attributes:
        name: the key in boards.json.
        tool: the program.
        override: the environment variable that names the program instead, where users expect one.
        parameters: the fields of the board's entry.
        images: the kinds of image that commands() reads: elf, hex, bin.
        timeout_sec: the longest run of one command, in seconds.
        retries: how often a command is repeated after a failure whose `retry` is set.
        proof: a regular expression that matches the tool's output only if the firmware was verified. Leave it
            empty if the exit status proves that.
        failures: the known failures, the most specific first.
    """

    name: ClassVar[str]
    tool: ClassVar[str]
    override: ClassVar[str] = ""
    parameters: ClassVar[Mapping[str, Field]] = {}
    images: ClassVar[Tuple[str, ...]] = ("elf",)
    timeout_sec: ClassVar[float] = 120.0
    retries: ClassVar[int] = 1
    proof: ClassVar[str] = ""
    failures: ClassVar[Tuple[Failure, ...]] = ()

    @property
    def install(self) -> str:
        """One sentence that says how to install the tool."""
        return how_to_install(self.tool) or "Install it, and put its directory into PATH."

    def places(self) -> List[Path]:
        """Where the tool's installer puts it when that is not in PATH."""
        return []

    def find(self) -> Optional[str]:
        """The tool's path, or None where it is not installed."""
        named = os.environ.get(self.override) if self.override else None
        if named:
            return shutil.which(named)
        found = shutil.which(self.tool)
        if found is not None:
            return found
        return next((str(place) for place in self.places() if os.access(place, os.X_OK)), None)

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """The command lines that flash an image which is there."""
        raise NotImplementedError

    def explain(self, output: str) -> Optional[Failure]:
        """What the tool's output means, or None where it is unknown."""
        return next((known for known in self.failures if known.explains(output)), None)

    def proves(self, output: str) -> bool:
        """Whether the tool's output says that the firmware was verified; True where its exit status does."""
        return re.search(self.proof, output, re.IGNORECASE) is not None

    def image_commands(self, job: Job) -> List[List[str]]:
        """The command lines that make the images."""
        return [objcopy_command(job, kind) for kind in self.images if kind != "elf"]

    def read_params(self, board: Board) -> Dict[str, Any]:
        """The board's entry for this tool, each parameter checked. Raises BoardError naming the field."""
        entry = board.runners[self.name]
        if not self.parameters:
            for key in entry:
                raise self._wrong(
                    board,
                    f"unknown field 'runners.{self.name}.{key}'.",
                    "This runner needs to know nothing of the board: leave its object empty, {}.",
                )
        try:
            return read_fields(entry, self.parameters, f"runners.{self.name}.")
        except WrongField as error:
            raise self._wrong(board, error.what, error.next_step) from None

    @staticmethod
    def check_serial_number(serial_number: str) -> None:
        """Raises FlashError for a text that cannot be one."""
        if serial_number and not SERIAL_NUMBER.fullmatch(serial_number):
            raise FlashError(
                f"{serial_number!r} is not a serial number.",
                "It has letters, digits and . _ : - only; python -m runtime.host ports lists them.",
            )

    @staticmethod
    def _wrong(board: Board, what: str, next_step: str) -> BoardError:
        return BoardError(f"boards.json: board {board.name!r}: {what}", next_step)


def objcopy_command(job: Job, kind: str) -> List[str]:
    """The command line that makes the firmware's hex or bin."""
    return [f"{job.cross}objcopy", "-O", OBJCOPY_FORMATS[kind], job.image("elf"), job.image(kind)]
