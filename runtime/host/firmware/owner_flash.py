# SPDX-License-Identifier: Apache-2.0
"""The owner's flash command: flash_command in microtvm_api_server.py."""

from __future__ import annotations

import os
from typing import ClassVar, Dict, Final, List, Sequence, Set

from runtime.host.errors import FlashError
from runtime.host.project.platform import API_SERVER
from runtime.host.runners.base import Job, Runner, objcopy_command

MADE: Final = ("bin", "hex")  # fields for images, which are created only if the command uses the field


class _Fields(Dict[str, str]):
    """Fields of a command, and the set of those that the command uses."""

    def __init__(self, values: Dict[str, str]) -> None:
        super().__init__(values)
        self.asked: Set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


class Custom(Runner):
    """Runner of the owner's command, which receives absolute paths because it may change its directory."""

    name: ClassVar = "custom"
    timeout_sec: ClassVar = 300.0
    retries: ClassVar = 0

    def __init__(self, flash_command: Sequence[str]) -> None:
        self._flash_command = flash_command

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command with its fields filled in.

        A program with a relative path is a file of the project.
        """
        argv = self._fill_in(_fields(job))
        if argv and os.sep in argv[0]:
            argv[0] = str(job.directory / argv[0])
        return [argv] if argv else []

    def image_commands(self, job: Job) -> List[List[str]]:
        """Return the commands that create the images which the flash command uses."""
        fields = _fields(job)
        self._fill_in(fields)
        return [objcopy_command(job, kind) for kind in MADE if kind in fields.asked]

    def check_names_the_board(self) -> None:
        """Raise FlashError for a command without the field that selects one of several boards."""
        if not any(field in part for part in self._flash_command for field in ("{serial_number}", "{port}")):
            raise FlashError(
                f"flash_command in {API_SERVER} ignores the serial number, and could flash another board.",
                "Add {serial_number} or {port} to flash_command, or remove --serial-number "
                "(as a project option: serial_number).",
            )

    def _fill_in(self, fields: _Fields) -> List[str]:
        try:
            return [part.format_map(fields) for part in self._flash_command]
        except (LookupError, ValueError, AttributeError) as error:
            raise FlashError(
                f"flash_command in {API_SERVER} has an invalid field: {error}.",
                f"Use only the fields {', '.join('{' + name + '}' for name in fields)}. "
                "Double a brace that is not part of a field.",
            ) from error


def _fields(job: Job) -> _Fields:
    return _Fields(
        {
            "firmware": str(job.directory / job.firmware),
            "project": str(job.directory),
            "serial_number": job.serial_number,
            "port": job.port,
            "baud_rate": "" if job.baud_rate is None else str(job.baud_rate),
            **{kind: str(job.directory / job.image(kind)) for kind in MADE},
        }
    )
