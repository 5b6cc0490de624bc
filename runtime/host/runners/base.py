# SPDX-License-Identifier: Apache-2.0
"""What all flash tools have in common: a Runner turns a Job into command lines, and knows its tool's words.

Commands are run in the project's directory and name its files relative to it: no path of a user's, however
spelt, has to be quoted for the language of a tool. A tool erases what it writes and no more, verifies it, and
resets the chip at the end, so that the firmware starts.
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


class Failure(NamedTuple):
    """A known failure. pattern: what tells it, a regular expression that is searched for in any line of the
    tool's output, whatever the case of its letters. what: what happened. next_step: what to do. retry:
    whether it may pass by itself."""

    pattern: str
    what: str
    next_step: str
    retry: bool = False

    def explains(self, output: str) -> bool:
        # Compiled here, and not with the tables: those are read each time a session opens.
        return re.search(self.pattern, output, re.IGNORECASE | re.MULTILINE) is not None


PLUG_IN: Final = "Plug the board's debug USB connector in, with a cable that carries data."
POWER: Final = "Check that the board is powered, and the wires between the debug probe and the chip."
UNPLUG: Final = "Unplug the board and plug it in again, then flash once more."
FREE_PROBE: Final = "End the debugger, IDE or monitor that holds it, then flash again."

# What libusb and the kernel say through most tools.
NO_PERMISSION: Final = Failure(
    r"LIBUSB_ERROR_ACCESS|insufficient permissions|access error\.|permission denied|EACCES|errno=13|"
    r"\[Errno 13\]",
    "The debug probe is there, but this user may not open it.",
    "Install the udev rules that come with the tool into /etc/udev/rules.d, run `sudo udevadm control "
    "--reload && sudo udevadm trigger`, and plug the board in again.",
)
BUSY: Final = Failure(
    r"LIBUSB_ERROR_BUSY|resource busy|unable to claim|could(n't| not) claim|cannot claim interface",
    "The debug probe is in use by another program.",
    FREE_PROBE,
    retry=True,
)


class Runner:
    """One flash tool.

    name: as in boards.json. tool: its program. install: how to get it. override: the environment variable
    that names the program instead, where users know one. parameters: what the board's entry may and must say.
    images: the kinds of image that its commands read. proof: a regular expression of what it prints
    only once the firmware was verified, where its exit status alone does not tell.
    """

    name: ClassVar[str]
    tool: ClassVar[str]
    install: ClassVar[str]
    override: ClassVar[str] = ""
    parameters: ClassVar[Mapping[str, Field]] = {}
    images: ClassVar[Tuple[str, ...]] = ("elf",)
    timeout_sec: ClassVar[float] = 120.0
    retries: ClassVar[int] = 1
    proof: ClassVar[str] = ""
    failures: ClassVar[Tuple[Failure, ...]] = ()

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
