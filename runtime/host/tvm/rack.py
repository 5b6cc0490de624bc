# SPDX-License-Identifier: Apache-2.0
"""Several served boards on this machine: a process each, that end with the one that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import Callable, List, NoReturn, Optional

from runtime.host.errors import PlatformError
from runtime.host.tvm.serve import end_tree


def serve_many(count: int, serve_one: Callable[[int, socket.socket], None]) -> None:
    """Run serve_one(number, lifeline) in `count` processes, until one of them ends.

    lifeline: a socket whose end says that this process is gone. serve_one tells its PlatformError itself. The
    one that ends takes the others along: raises PlatformError.
    """
    lifeline, ours = socket.socketpair()
    processes: List[int] = []
    try:
        for number in range(1, count + 1):
            process_id = os.fork()
            if process_id == 0:
                ours.close()
                _serve(number, lifeline, serve_one)
            processes.append(process_id)
        lifeline.close()
        ended, _ = os.wait()
        number = processes.index(ended) + 1
        processes.remove(ended)
        raise PlatformError(
            f"The process of board {number} has ended, and the others with it.", "Look at what it printed."
        )
    finally:
        ours.close()
        for process_id in processes:
            _end(process_id)


def _serve(number: int, lifeline: socket.socket, serve_one: Callable[[int, socket.socket], None]) -> NoReturn:
    status: Optional[int] = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        serve_one(number, lifeline)
    except SystemExit:
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


def _end(process_id: int) -> None:
    """End a child by asking it, which lets it end its session; it does so within some seconds."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process_id, signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: end_tree(process_id))
        signal.alarm(8)
        os.waitpid(process_id, 0)
        signal.alarm(0)
