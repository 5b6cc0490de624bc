# SPDX-License-Identifier: Apache-2.0
"""Waiting for child processes, and ending them completely.

A process that Popen started with start_new_session=True leads a process group, which includes the processes
that it starts. A process that os.fork created has no Popen and is identified by its id.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Callable, Final, Optional

from runtime.server import child_processes, end_children

if TYPE_CHECKING:
    import subprocess  # the API server starts without it

__all__ = [
    "child_processes",
    "end_children",
    "end_fork",
    "end_process",
    "ends_within",
    "kill_group",
    "kill_tree",
]

LONGEST_SLEEP_SEC: Final = 0.25
"""Longest sleep in poll(). A signal just before poll() does not interrupt the sleep, so its handler waits."""

POLL_SEC: Final = 0.02
"""Pause between two checks if the system does not report the end of a process."""


def ends_within(process: subprocess.Popen[bytes], timeout_sec: float) -> bool:
    """Wait for a process to end, and return whether it has; its exit status is then in returncode."""
    return _wait(process.pid, lambda: process.poll() is not None, timeout_sec)


def end_process(
    process: subprocess.Popen[bytes],
    grace_sec: float,
    *,
    whole_group: bool = False,
    ends: Callable[[subprocess.Popen[bytes], float], bool] = ends_within,
) -> None:
    """End a process and collect its exit status.

    The process first has time to exit without a signal, as it should when its input is closed. It then gets
    SIGTERM and the same time again, and finally SIGKILL.

    Args:
        process: Process to end.
        grace_sec: Seconds before each of the two signals.
        whole_group: Send the signals to the process group that the process leads.
        ends: Replacement for ends_within, if work is needed while waiting.
    """
    send = functools.partial(os.killpg, process.pid) if whole_group else process.send_signal
    for number in (signal.SIGTERM, signal.SIGKILL):
        if ends(process, grace_sec):
            break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(number)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the rest of the process group that a process leads, and collect its exit status."""
    # macOS raises PermissionError if only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_fork(process_id: int, grace_sec: float, ends: Optional[Callable[[float], bool]] = None) -> None:
    """End a process that os.fork created, and collect its exit status.

    Does nothing if that was done before. After SIGTERM the process has time to end its children. If it does
    not end, it is killed with all of them.

    Args:
        process_id: Id of the process.
        grace_sec: Seconds between SIGTERM and SIGKILL.
        ends: Function that waits at most a number of seconds for the end of the process, if the caller has a
            better sign of it.
    """
    ends = ends or functools.partial(_wait, process_id, lambda: _has_fork_ended(process_id))
    if not ends(0.0):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGTERM)
        if not ends(grace_sec):
            kill_tree(process_id)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process_id, 0)


def kill_tree(process_id: int) -> None:
    """Kill a child process and the process groups below it."""
    for child in child_processes(process_id):
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process_id) == process_id:
            os.killpg(process_id, signal.SIGKILL)
        else:
            os.kill(process_id, signal.SIGKILL)


def _has_fork_ended(process_id: int) -> bool:
    try:
        return os.waitpid(process_id, os.WNOHANG)[0] == process_id
    except ChildProcessError:  # its exit status was collected before
        return True


def _wait(process_id: int, has_ended: Callable[[], bool], timeout_sec: float) -> bool:
    """Wait until has_ended() returns True, and return whether it did so within the timeout.

    A process file descriptor (Linux 5.3, Python 3.9) ends the wait immediately. Popen.wait(timeout) would
    poll every 50 ms.
    """
    deadline = time.monotonic() + timeout_sec
    if has_ended():
        return True
    end, longest_sleep = select.poll(), POLL_SEC
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(AttributeError, OSError):
            watch = os.pidfd_open(process_id)
            stack.callback(os.close, watch)
            end.register(watch, select.POLLIN)
            longest_sleep = LONGEST_SLEEP_SEC
        while not has_ended():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            end.poll(1000 * min(left, longest_sleep))
    return True
