# SPDX-License-Identifier: Apache-2.0
"""Base class of flash tools: a Runner turns a Job into command lines, and explains the tool's failures.

Commands run in the project's directory and use paths relative to it. A user's path therefore never needs
quotes in the language of a tool. A tool erases only the memory that it writes and verifies this memory. It
then resets the chip to start the firmware.
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

SERIAL_NUMBER: Final = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)  # no character with a meaning in a tool
OBJCOPY_FORMATS: Final = {"hex": "ihex", "bin": "binary"}


class Job(NamedTuple):
    """The firmware to flash, and the board to flash.

    Attributes:
        firmware: Path of the ELF file, relative to `directory`.
        directory: The project's directory.
        board: The board's entry in boards.json.
        params: Checked parameters from the board's entry for the runner.
        cross: Prefix of objcopy's name, such as "arm-none-eabi-".
        serial_number: Serial number of the board or its debug probe; "" for any.
        port: Serial port; "" if none was given. Only the owner's flash_command uses it.
        baud_rate: Bits per second of the serial port. Only the owner's flash_command uses it.
    """

    firmware: Path
    directory: Path
    board: Board
    params: Mapping[str, Any]
    cross: str = ""
    serial_number: str = ""
    port: str = ""
    baud_rate: Optional[int] = None

    def image(self, kind: str) -> str:
        """Return the path of the firmware as elf, hex or bin, relative to the project's directory."""
        return str(self.firmware if kind == "elf" else self.firmware.with_suffix(f".{kind}"))

    def image_bytes(self, kind: str) -> str:
        """Return the size of an image in bytes, or "SIZE" while the image does not exist."""
        path = self.directory / self.image(kind)
        return str(path.stat().st_size) if path.is_file() else "SIZE"

    def flash_address(self) -> str:
        """Return the address at which a bin image begins, such as "0x08000000".

        Raises:
            BoardError: The board has no address of its flash.
        """
        if self.board.flash is None or self.board.flash.address is None:
            raise BoardError(
                f"boards.json: board {self.board.name!r}: field 'memory.flash.address' is missing.",
                "Set memory.flash.address, which this flash tool needs, to the address where the firmware "
                "begins.",
            )
        return f"0x{self.board.flash.address:08x}"


class Runner:
    """One flash tool or emulator.

    To add a flash tool:

    1. Write a subclass of Runner in a module of this package, and set the attributes below.
    2. Implement commands(). Flash `job.image(kind)` of a kind that `images` names. Erase only the memory that
       is written, verify it, and reset the chip. Pass `job.serial_number` to the tool unless it is empty:
       users have several boards.
    3. Fill `failures` from the tool's real output without a probe, with a locked chip and with a wrong serial
       number. Use the functions of failures.py; the first pattern that matches is reported.
    4. Add an instance to RUNNERS in table.py, and the tool to system/packages.json.
    5. Run `make docs`, which writes the page and the schema of boards.json.
    6. Add an entry to `runners` of a board in boards.json.
    7. In the template, add rows to the tables of tests/runners/test_runners.py: NUCLEO_RUNNERS, COMMAND_LINES
       (with and without a serial number) and KNOWN_FAILURES. Tests that run over RUNNERS fail without these
       rows.

    Attributes:
        name: Key in boards.json.
        tool: Name of the program.
        override: Environment variable that names another program, if users of the tool expect one.
        parameters: Fields of the board's entry.
        images: Kinds of image that commands() reads: elf, hex, bin.
        timeout_sec: Longest run of one command, in seconds.
        retries: Number of times a command is repeated after a failure whose `retry` is set.
        proof: Regular expression that matches the tool's output only if the firmware was verified. Leave it
            empty if the exit status proves the verification.
        failures: Known failures, the most specific first.
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
        """Sentence that explains how to install the tool."""
        return how_to_install(self.tool) or f"Install {self.tool}, and add its directory to PATH."

    def places(self) -> List[Path]:
        """Return the paths outside of PATH where the tool's installer puts the program."""
        return []

    def find(self) -> Optional[str]:
        """Return the tool's path, or None if the tool is not installed."""
        named = os.environ.get(self.override) if self.override else None
        if named:
            return shutil.which(named)
        found = shutil.which(self.tool)
        if found is not None:
            return found
        return next((str(place) for place in self.places() if os.access(place, os.X_OK)), None)

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command lines that flash an existing image.

        Args:
            tool: Path of the program.
            job: The image, the board and its parameters.
        """
        raise NotImplementedError

    def explain(self, output: str) -> Optional[Failure]:
        """Return the known failure that the tool's output shows, or None for an unknown one."""
        return next((known for known in self.failures if known.explains(output)), None)

    def proves(self, output: str) -> bool:
        """Return whether the tool's output shows that the firmware was verified; True without a `proof`."""
        return re.search(self.proof, output, re.IGNORECASE) is not None

    def image_commands(self, job: Job) -> List[List[str]]:
        """Return the command lines that create the images from the ELF file."""
        return [objcopy_command(job, kind) for kind in self.images if kind != "elf"]

    def read_params(self, board: Board) -> Dict[str, Any]:
        """Return the checked parameters from the board's entry for this tool.

        Raises:
            BoardError: A field is unknown, missing or invalid; the message names the field.
        """
        entry = board.runners[self.name]
        if not self.parameters:
            for key in entry:
                raise self._wrong(
                    board,
                    f"unknown field 'runners.{self.name}.{key}'.",
                    f"Set runners.{self.name} to {{}}; this runner takes no parameters.",
                )
        try:
            return read_fields(entry, self.parameters, f"runners.{self.name}.")
        except WrongField as error:
            raise self._wrong(board, error.what, error.next_step) from None

    @staticmethod
    def check_serial_number(serial_number: str) -> None:
        """Raise FlashError for a serial number with characters that no serial number has."""
        if serial_number and not SERIAL_NUMBER.fullmatch(serial_number):
            raise FlashError(
                f"{serial_number!r} is not a serial number: expected only letters, digits, '.', '_', ':' and "
                "'-'.",
                "List the serial numbers of the connected boards with: python mtvm.py ports",
            )

    @staticmethod
    def _wrong(board: Board, what: str, next_step: str) -> BoardError:
        return BoardError(f"boards.json: board {board.name!r}: {what}", next_step)


def objcopy_command(job: Job, kind: str) -> List[str]:
    """Return the command line that creates the firmware's hex or bin image."""
    return [f"{job.cross}objcopy", "-O", OBJCOPY_FORMATS[kind], job.image("elf"), job.image(kind)]
