# SPDX-License-Identifier: Apache-2.0
"""Entry of the command line, for mtvm.py of a platform or project and for python -m runtime.host."""

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
COMPLETE_VARIABLE: Final = "_MTVM_COMPLETE"  # set by the scripts of commands/completion.py


def run(directory: Optional[str] = None, program: str = "python -m runtime.host") -> None:
    """Run the command line, and end every child process at the end, also after Ctrl-C.

    Args:
        directory: Platform or project to work on. Default: the current directory.
        program: Name of the program in usage lines.
    """
    for name in ("COLUMNS", "LINES"):  # with a width of 0, rich prints nothing
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

        main(prog_name=program, obj=directory or ".", complete_var=COMPLETE_VARIABLE)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("runtime"):
            raise  # a fault of the host tools
        sys.exit(
            f"error: The Python package {error.name} is not installed; the command line needs it.\n"
            f"next:  {how_to_install_requirements()}"
        )
    except KeyboardInterrupt:  # during the imports of the command line
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing may interrupt the clean-up
        end_children(spared)


def _stop(number: int, _frame: Optional[FrameType]) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    run()
