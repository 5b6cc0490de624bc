# SPDX-License-Identifier: Apache-2.0
"""Several served boards on this machine: one process per board, ended with their parent."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from typing import Callable, Final, List, NoReturn

from runtime.host.errors import HostToolsFault, PlatformError, explained
from runtime.host.serve.processes import hold_signals, receive_signals
from runtime.host.system.processes import end_children, end_fork

ServeOne = Callable[[int, socket.socket], None]
GRACE_SEC: Final = 8  # time for the process of a board to end its session


def serve_many(count: int, serve_one: ServeOne, show_error: Callable[[PlatformError], None]) -> NoReturn:
    """Run serve_one(number, lifeline) in forked processes until one of them exits, then end the others.

    Args:
        count: Number of processes. They are numbered from 1.
        serve_one: Function that serves one board. Its lifeline is a socket that closes when this process
            exits.
        show_error: Function that prints the failure of a process.

    Raises:
        PlatformError: A process has exited.
    """
    lifeline, ours = socket.socketpair()
    processes: List[int] = []
    try:
        for number in range(1, count + 1):
            hold_signals()
            process_id = os.fork()
            if process_id == 0:
                ours.close()
                _serve(number, lifeline, serve_one, show_error)
            processes.append(process_id)
            receive_signals()
        lifeline.close()
        ended, _ = os.wait()
        number = processes.index(ended) + 1
        processes.remove(ended)
        raise PlatformError(
            f"The process of board {number} has exited; all other boards were stopped.",
            "Check the output of that process above.",
        )
    finally:
        hold_signals()  # a signal must not interrupt the clean-up
        ours.close()
        for process_id in processes:
            end_fork(process_id, GRACE_SEC)


def _serve(
    number: int, lifeline: socket.socket, serve_one: ServeOne, show_error: Callable[[PlatformError], None]
) -> NoReturn:
    """Serve a board in a forked process, and exit."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends this process
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, lambda *_: sys.exit(0))
        receive_signals()
        serve_one(number, lifeline)
    except SystemExit:
        pass
    except Exception as error:
        failure = explained(error)
        show_error(failure)
        if isinstance(failure, HostToolsFault):
            traceback.print_exc()
    finally:
        hold_signals()
        end_children()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
