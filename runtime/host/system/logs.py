# SPDX-License-Identifier: Apache-2.0
"""What the host tools log: the commands that they run, and what devices say of themselves.

Both go through `logging`, below the name "microtvm": a program that has handlers of its own gets the records.
Where nothing else takes them, what devices say is printed to standard error, and commands are when they were
asked for, with -v or the project option verbose. logging is imported here when there is something to log:
its import takes a tenth of an API server's start.
"""

from __future__ import annotations

import sys
from typing import Any

from runtime import server

COMMANDS = "microtvm.commands"
DEVICE = "microtvm.device"


def show_commands(shown: bool = True) -> None:
    """Have each command that a build or a flash runs logged with its output, or no longer."""
    import logging

    if shown or logging.getLogger(COMMANDS).level:
        _logger(COMMANDS).setLevel(logging.INFO if shown else logging.WARNING)


def log_command(command: str, output: str) -> None:
    """Log a command line that was run, and what it printed. Nothing unless show_commands was called."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(COMMANDS).info("$ %s\n%s", command, output.rstrip("\n"))


def log_device(text: str) -> None:
    """Log what a device says of itself."""
    _logger(DEVICE).info("device: %s", text.rstrip("\n"))


def _logger(name: str) -> Any:
    """Return a logger of ours whose records reach somebody."""
    import logging

    logger = logging.getLogger(name)
    if not logger.level:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():

        class ToStandardError(logging.Handler):
            """Prints a record without what a terminal would obey; whatever standard error is by then."""

            def emit(self, record: logging.LogRecord) -> None:
                print(server.printable(self.format(record)), file=sys.stderr, flush=True)

        logger.addHandler(ToStandardError())
    return logger
