# SPDX-License-Identifier: Apache-2.0
"""Control socket of a process between TVM and a device: task, start-up report, signals, shutdown.

The socket connects the process to its parent. When the parent closes the socket, the process exits.
"""

from __future__ import annotations

import json
import select
import signal
import socket
from typing import Any, Callable, Dict, Final, Optional

from runtime.host.errors import PlatformError, ProtocolError, TransportClosed, TransportTimeout
from runtime.host.transports.base import deadline_in, remaining

SLICE_SEC: Final = 0.5
"""Longest single wait for a device; between two waits the process checks its control socket."""


class Stopped(Exception):
    """The parent has closed the control socket, so this process must exit."""


class Interrupted(PlatformError):
    """Ctrl-C was pressed while TVM waited for a reply."""

    def __init__(self) -> None:
        super().__init__("The session was interrupted.", "Open a new session.")


KINDS: Final = (
    (TransportTimeout, "IoTimeoutError"),
    (TransportClosed, "TransportClosedError"),
    (ProtocolError, "SessionTerminatedError"),
    (Interrupted, "SessionTerminatedError"),
    (PlatformError, "RPCError"),
)
"""TVM's names for errors of a session; the first class that fits applies."""


def kind_of(error: PlatformError) -> str:
    """Return TVM's name for an error of a session."""
    return next(kind for cls, kind in KINDS if isinstance(error, cls))


class Control:
    """Control socket of this process.

    The parent sends the task, and this process replies with its report; each is one line of JSON. Then the
    parent forwards each signal as one byte with its number, and finally closes the socket.

    Args:
        connection: Socket to the parent.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def task(self) -> Dict[str, Any]:
        """Return the task from the parent; raise Stopped if the parent has closed the socket."""
        with self._connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            raise Stopped
        task: Dict[str, Any] = json.loads(line)
        return task

    def tell(self, error: Optional[PlatformError]) -> None:
        """Send the start-up report to the parent.

        Args:
            error: Error that prevented the session; None if the session is established.

        Raises:
            Stopped: The parent has closed the socket.
        """
        report = (
            {} if error is None else {"kind": kind_of(error), "what": error.what, "next": error.next_step}
        )
        try:
            self._connection.sendall(json.dumps(report).encode("ascii") + b"\n")
        except OSError as problem:
            raise Stopped from problem

    def check(self) -> None:
        """Raise Stopped if the parent has closed the socket, or Interrupted after Ctrl-C."""
        if self._poll.poll(0) and signal.SIGINT in self._signals():
            raise Interrupted

    def _signals(self) -> bytes:
        signals = self._connection.recv(64)
        if not signals:
            raise Stopped
        return signals

    def waiter_for(self, other: socket.socket) -> Callable[[], None]:
        """Return a function that waits until another socket can be read, or raises Stopped.

        The wait ignores Ctrl-C, which then belongs to the work of TVM's process.

        Args:
            other: Socket to wait for.
        """
        both = select.poll()
        both.register(self._connection, select.POLLIN)
        both.register(other, select.POLLIN)
        ours = self._connection.fileno()

        def wait() -> None:
            while True:
                ready = {descriptor for descriptor, _ in both.poll()}
                if ours not in ready:
                    return
                self._signals()

        return wait


def read_in_slices(read: Callable[[float], bytes], timeout_sec: Optional[float], control: Control) -> bytes:
    """Return the result of read(seconds), in waits of at most SLICE_SEC with control.check() between them.

    Args:
        read: Waits at most the given seconds; returns bytes or raises TransportTimeout.
        timeout_sec: Total time in seconds; None waits without a limit.
        control: Control socket of this process.

    Raises:
        TransportTimeout: No byte arrived in time.
        Stopped: This process must exit.
        Interrupted: Ctrl-C was pressed.
    """
    deadline = deadline_in(timeout_sec)
    while True:
        left = remaining(deadline)
        try:
            return read(SLICE_SEC if left is None else min(SLICE_SEC, left))
        except TransportTimeout:
            control.check()
            if left is not None and left <= SLICE_SEC:
                raise
