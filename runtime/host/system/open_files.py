# SPDX-License-Identifier: Apache-2.0
"""Which processes have a file open, as far as the system shows it: those of one's own on Linux."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import List, NamedTuple

COMMAND_LENGTH = 200  # of what is shown of a command line


class Holder(NamedTuple):
    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}: {self.command}"


def holders(path: str) -> List[Holder]:
    """The other processes that have this file open, by whatever link it is named."""
    target = os.path.realpath(path)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        if pid != os.getpid() and _has_open(process / "fd", target):
            found.append(Holder(pid, _command(process)))
    return sorted(found)


def shortened(command: str) -> str:
    """A command line of a length that a message can hold."""
    return command if len(command) <= COMMAND_LENGTH else f"{command[: COMMAND_LENGTH - 3]}..."


def _has_open(descriptors: Path, target: str) -> bool:
    # A process may end, or close a file, while it is looked at; and those of others cannot be.
    with contextlib.suppress(OSError), os.scandir(descriptors) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if os.readlink(entry.path) == target:
                    return True
    return False


def _command(process: Path) -> str:
    with contextlib.suppress(OSError):
        words = (process / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
        return shortened(words.decode("utf-8", "replace"))
    return "which has just ended"
