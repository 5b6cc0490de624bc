# SPDX-License-Identifier: Apache-2.0
"""The current user's processes that have a file open (Linux only)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import List, NamedTuple

COMMAND_LENGTH = 200  # characters of a command line in a message


class Holder(NamedTuple):
    """A process that has a file open."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}: {self.command}"


def holders(path: str) -> List[Holder]:
    """Return the other processes that have a file open; a link to the file counts as the file."""
    target = os.path.realpath(path)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        if pid != os.getpid() and _has_open(process / "fd", target):
            found.append(Holder(pid, _command(process)))
    return sorted(found)


def shortened(command: str) -> str:
    """Return a command line, cut to COMMAND_LENGTH characters for a message."""
    return command if len(command) <= COMMAND_LENGTH else f"{command[: COMMAND_LENGTH - 3]}..."


def _has_open(descriptors: Path, target: str) -> bool:
    # A process may end or close a file during the scan. Processes of other users cannot be read.
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
    return "ended before its command line was read"
