# SPDX-License-Identifier: Apache-2.0
"""Several served boards on this machine: a process each, that end with the one that started them."""

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
GRACE_SEC: Final = 8  # what a board's process gets to end its session


def serve_many(count: int, serve_one: ServeOne, show_error: Callable[[PlatformError], None]) -> NoReturn:
    """Run serve_one(number, lifeline) in `count` processes, until one of them ends.

    lifeline: a socket whose end says that this process is gone. show_error: tells what a process failed of.
    The one that ends takes the others along: raises PlatformError.
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
            f"The process of board {number} has ended, and the others with it.", "Look at what it printed."
        )
    finally:
        hold_signals()  # what is left to do is not to be broken off
        ours.close()
        for process_id in processes:
            end_fork(process_id, GRACE_SEC)


def _serve(
    number: int, lifeline: socket.socket, serve_one: ServeOne, show_error: Callable[[PlatformError], None]
) -> NoReturn:
    """The life of a board's process."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
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
