# SPDX-License-Identifier: Apache-2.0
"""python -m runtime.host: the command line, or what to install when a package that it needs is missing."""

from __future__ import annotations

import io
import signal
import sys
from types import FrameType
from typing import Optional


def run() -> None:
    """Start the command line of the current directory's platform or project."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    # As Ctrl-C, which raises too: tools and devices that were started are then ended on the way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        from runtime.host.cli import main

        main(prog_name="python -m runtime.host")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("runtime"):
            raise
        sys.exit(
            f"error: the Python package {error.name} is not installed; the command line needs it.\n"
            f"next:  {sys.executable} -m pip install -r requirements.txt"
        )


def _stop(number: int, _frame: Optional[FrameType]) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    run()
