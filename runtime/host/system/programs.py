# SPDX-License-Identifier: Apache-2.0
"""Running of other programs in a separate process group, with a timeout and captured output.

Anything that ends the call (the timeout, a signal handler that raises, an error) ends the whole group. So a
build never outlives the command that started it.
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

MAX_OUTPUT_BYTES: Final = 8 << 20  # of a program; only its last bytes are kept

# The parent may have died before setpriv took effect: $PPID then differs from $0, the id of the parent.
_UNLESS_ORPHANED: Final = 'test "$PPID" = "$0" && exec "$@"'


class ToolResult(NamedTuple):
    """Result of a program.

    Attributes:
        command: Command line, quoted for a shell.
        exit_code: Exit status.
        output: The last MAX_OUTPUT_BYTES of stdout and stderr together, in order.
        seconds: Wall time.
        timed_out: The program was ended at the timeout.
    """

    command: str
    exit_code: int
    output: str
    seconds: float
    timed_out: bool


def find_tool(name: str, what_for: str) -> str:
    """Return the path of a program.

    Args:
        name: Name of the program.
        what_for: Verb phrase for the message, such as "build the firmware".

    Raises:
        ToolMissing: The program is not in PATH. The next step explains how to install it.
    """
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(
            f"{name} is not installed; it is needed to {what_for}.",
            how_to_install(name) or f"Check the spelling of {name}, and that its directory is in PATH.",
        )
    return path


def dies_with_us() -> List[str]:
    """Return the prefix of a command line whose process must be killed when this process ends.

    Empty if the system does not have setpriv.
    """
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
    """Run a program and wait until it ends, at most for the timeout. The caller checks its exit status.

    Args:
        argv: Command line.
        cwd: Working directory.
        timeout_sec: Longest run time.
        env: Environment; None for the current one.
        bound: End the program even if this process is killed. Tools that hold a debug probe need this.
    """
    started = time.monotonic()
    # The output goes to a file, because a pipe stays open while any process holds it, including processes
    # that the program started and left running.
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
