# SPDX-License-Identifier: Apache-2.0
"""Processes that a served board forks.

A fork has the signal handlers of its parent, which raise: in the child the exception would run through all
that the parent has begun, and delete what is the parent's. So signals are held back around each fork, until
the child has handlers of its own and the parent knows the child.
"""

from __future__ import annotations

import signal
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hold_signals() -> None:
    """Let the signals that end a process wait. Programs that are started meanwhile inherit that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def receive_signals() -> None:
    """Handle the signals that have waited, and those that come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
