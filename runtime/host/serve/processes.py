# SPDX-License-Identifier: Apache-2.0
"""Signal masks around the forks of a served board.

A forked child inherits the signal handlers of its parent, which raise exceptions. In the child, such an
exception would run the parent's clean-up code and delete the parent's files. Signals are therefore blocked
around each fork, until the child has its own handlers and the parent has stored the child's process id.
"""

from __future__ import annotations

import signal
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hold_signals() -> None:
    """Block the signals that end a process. Programs that are started while they are blocked inherit this."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def receive_signals() -> None:
    """Unblock the signals that end a process. Pending ones are handled immediately."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
