# SPDX-License-Identifier: Apache-2.0
"""Logs of the commands that the host tools run and of the text that devices print.

Both use `logging` below the name "microtvm", so a program with handlers gets the records. Without a handler,
output of devices goes to standard error. Commands go there only after show_commands() (-v, or the project
option verbose). The functions import logging, because its import takes a tenth of an API server's start.
"""

from __future__ import annotations

import sys
from typing import Any

from runtime import server

COMMANDS = "microtvm.commands"
DEVICE = "microtvm.device"


def show_commands(shown: bool = True) -> None:
    """Turn on or off the log of each command that a build or a flash runs, with its output."""
    import logging

    if shown or logging.getLogger(COMMANDS).level:
        _logger(COMMANDS).setLevel(logging.INFO if shown else logging.WARNING)


def log_command(command: str, output: str) -> None:
    """Log a command line and its output. Do nothing if show_commands() was not called."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(COMMANDS).info("$ %s\n%s", command, output.rstrip("\n"))


def log_device(text: str) -> None:
    """Log text that a device printed."""
    _logger(DEVICE).info("device: %s", text.rstrip("\n"))


def _logger(name: str) -> Any:
    """Return a logger of the host tools that has at least one handler."""
    import logging

    logger = logging.getLogger(name)
    if not logger.level:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():

        class ToStandardError(logging.Handler):
            """Handler that prints records to the current standard error, control characters as escapes."""

            def emit(self, record: logging.LogRecord) -> None:
                print(server.printable(self.format(record)), file=sys.stderr, flush=True)

        logger.addHandler(ToStandardError())
    return logger
