# SPDX-License-Identifier: Apache-2.0
"""python -m runtime.host: the command line, or what to install when a package that it needs is missing."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from types import FrameType
from typing import Final, Optional

from runtime.host.system.packages import how_to_install_requirements
from runtime.host.system.processes import child_processes, end_children

SIZE: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


def run() -> None:
    """Start the command line of the current directory's platform or project.

    Whatever ends it, also Ctrl-C just when a tool or a device is being started, no child of it is left.
    """
    for name in ("COLUMNS", "LINES"):  # a terminal of no width would show nothing, and no error either
        if not SIZE.fullmatch(os.environ.get(name, "80")):
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    for number in (signal.SIGTERM, signal.SIGHUP):  # raise, as SIGINT does
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    spared = frozenset(child_processes(os.getpid()))
    try:
        from runtime.host.commands.app import main

        main(prog_name="python -m runtime.host")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("runtime"):
            raise  # a fault of ours
        sys.exit(
            f"error: The Python package {error.name} is not installed; the command line needs it.\n"
            f"next:  {how_to_install_requirements()}"
        )
    except KeyboardInterrupt:  # while what the command line needs was being imported
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # what is left to do is not to be broken off
        end_children(spared)


def _stop(number: int, _frame: Optional[FrameType]) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    run()
