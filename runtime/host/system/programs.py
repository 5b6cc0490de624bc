# SPDX-License-Identifier: Apache-2.0
"""Running other programs: in a process group of their own, under a deadline, with their output kept.

Whatever ends the call (time, a signal that raises, an error) ends the whole group: a build never outlives
the command that asked for it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, List, Mapping, NamedTuple, Optional, Sequence

from runtime.host.errors import ToolMissing
from runtime.host.system.packages import how_to_install
from runtime.host.system.processes import ends_within, kill_group

MAX_OUTPUT_BYTES: Final = 8 << 20  # of a program; the last ones are kept

# The parent may have died before the kernel was asked to tell: then it is not the parent any more.
_UNLESS_ORPHANED: Final = 'test "$PPID" = "$0" && exec "$@"'


class ToolResult(NamedTuple):
    """What a program did. output: stdout and stderr together, in order. seconds: wall time."""

    command: str
    exit_code: int
    output: str
    seconds: float
    timed_out: bool


def find_tool(name: str, what_for: str) -> str:
    """Return the path of a program. Raises ToolMissing, which says how to install it."""
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(
            f"{name} is not installed; it is needed to {what_for}.",
            how_to_install(name) or "Check how it is spelt, and that its directory is in PATH.",
        )
    return path


def dies_with_us() -> List[str]:
    """What to put before a command line so that the process dies with this one; nothing where the system
    has no such thing."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", "KILL", "--", "sh", "-c", _UNLESS_ORPHANED, str(os.getpid())]


def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    timeout_sec: float,
    env: Optional[Mapping[str, str]] = None,
    bound: bool = False,
) -> ToolResult:
    """Run argv to its end, at most timeout_sec. Its exit code is the caller's to judge.

    bound: it ends with this process even where that is killed, as a tool must that holds a debug probe.
    """
    started = time.monotonic()
    # A file takes the output, not a pipe: a pipe stays open for as long as any process holds it, also one
    # that the program started and left behind.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*(dies_with_us() if bound else ()), *argv],
            cwd=str(cwd),
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            timed_out = not ends_within(process, timeout_sec)
        finally:
            kill_group(process)
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - MAX_OUTPUT_BYTES))
        text = output.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace")
    return ToolResult(
        command=shlex.join(argv),
        exit_code=process.returncode,
        output=text,
        seconds=time.monotonic() - started,
        timed_out=timed_out,
    )
