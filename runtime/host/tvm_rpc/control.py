# SPDX-License-Identifier: Apache-2.0
"""What a process that stands between TVM and a device is told while it works: by a socket to the process that
started it, whose end is also its own."""

from __future__ import annotations

import json
import select
import signal
import socket
from typing import Any, Callable, Dict, Final, Optional

from runtime.host.errors import PlatformError, ProtocolError, TransportClosed, TransportTimeout
from runtime.host.transports.base import deadline_in, remaining

SLICE_SEC: Final = 0.5
"""The longest wait for a device at a time: so soon such a process notices that it is to end."""


class Stopped(Exception):
    """This process is to end."""


class Interrupted(PlatformError):
    """Ctrl-C came while TVM waited for an answer."""

    def __init__(self) -> None:
        super().__init__("The session was interrupted.", "Open a new session.")


KINDS: Final = (
    (TransportTimeout, "IoTimeoutError"),
    (TransportClosed, "TransportClosedError"),
    (ProtocolError, "SessionTerminatedError"),
    (Interrupted, "SessionTerminatedError"),
    (PlatformError, "RPCError"),
)
"""What TVM calls an error of the session; the first that fits."""


def kind_of(error: PlatformError) -> str:
    return next(kind for cls, kind in KINDS if isinstance(error, cls))


class Control:
    """The socket to the process that started this one: a line of JSON each way, then the number of each
    signal that it gets as a byte, and then its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def task(self) -> Dict[str, Any]:
        """What connect.py asks for."""
        with self._connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            raise Stopped
        task: Dict[str, Any] = json.loads(line)
        return task

    def tell(self, error: Optional[PlatformError]) -> None:
        """Say how the session started."""
        report = (
            {} if error is None else {"kind": kind_of(error), "what": error.what, "next": error.next_step}
        )
        try:
            self._connection.sendall(json.dumps(report).encode("ascii") + b"\n")
        except OSError as problem:
            raise Stopped from problem

    def check(self) -> None:
        """Raise Stopped when this process is to end, or Interrupted."""
        if self._poll.poll(0) and signal.SIGINT in self._signals():
            raise Interrupted

    def _signals(self) -> bytes:
        signals = self._connection.recv(64)
        if not signals:
            raise Stopped
        return signals

    def waiter_for(self, other: socket.socket) -> Callable[[], None]:
        """A function that waits until the other socket can be read, or raises Stopped.

        A Ctrl-C in that time is for whatever TVM's process is doing.
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
    """read(seconds), for no longer than SLICE_SEC at a time: in between control.check() may end it.

    Raises TransportTimeout when timeout_sec are over.
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
