# SPDX-License-Identifier: Apache-2.0
"""Common base of the transports: reads and writes of file descriptors with deadlines.

The descriptors do not block, and poll() waits. One read takes all bytes that have arrived, so one system call
can serve several small reads of the caller.
"""

from __future__ import annotations

import os
import select
from typing import ClassVar, Final, Optional, Tuple

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports.base import deadline_in, remaining

LONGEST_POLL_SEC: Final = 3600.0
READ_BYTES: Final = 1 << 16
"""Size of one read: the default capacity of a pipe."""


def is_ready_in(poll: select.poll, timeout_sec: Optional[float]) -> bool:
    """Return whether a poll object reports an event in time.

    poll() counts milliseconds in a C int, which holds less than 25 days, so a long wait takes several calls.

    Args:
        poll: Poll object with its registered descriptors.
        timeout_sec: Seconds; None waits without a limit, a negative number counts as 0.
    """
    deadline = deadline_in(timeout_sec)
    while True:
        left = remaining(deadline)
        if poll.poll(None if left is None else 1000 * min(left, LONGEST_POLL_SEC)):
            return True
        if left is not None and left <= LONGEST_POLL_SEC:
            return False


class PipeTransport:
    """Reads and writes of a transport. Subclasses open and close, and explain a closed connection.

    Args:
        name: Name of the device in messages.

    Attributes:
        held: Bytes that have arrived; the next read returns them.
    """

    starts_device = False
    """True if open() starts or resets the firmware."""

    NOT_OPEN: ClassVar = "is not open"
    SILENT: ClassVar = (
        "Check that the device runs: the device may still be computing, or waiting for more input."
    )
    STUCK: ClassVar = "Check the device, which has stopped reading: it may still be computing, or may hang."

    def __init__(self, name: str) -> None:
        self.name = name
        self.held = b""
        self._reading = self._writing = -1
        self._readable = select.poll()
        self._writable = select.poll()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return all bytes that have arrived, and at least one. A frame written in one call is read in one.

        Args:
            want: Fewest bytes that the caller still needs; not used here.
            timeout_sec: Seconds; None waits without a limit.

        Raises:
            TransportTimeout: No byte arrived in time.
            TransportClosed: No byte can arrive any more, or the transport is not open.
        """
        self._check_open()
        if self.held:
            data, self.held = self.held, b""
            return data
        deadline = deadline_in(timeout_sec)
        left = timeout_sec
        while True:
            if not is_ready_in(self._readable, left):
                raise TransportTimeout(f"{self.name} sent nothing in {timeout_sec:g} s.", self.SILENT)
            try:
                data = os.read(self._reading, READ_BYTES)
            except BlockingIOError:
                left = remaining(deadline)
                continue
            except OSError as error:
                raise self._gone() from error
            if not data:
                raise self._gone()
            return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Write all of the data.

        Args:
            data: Bytes to write.
            timeout_sec: Seconds; None waits without a limit.

        Raises:
            TransportTimeout: The device did not accept all bytes in time.
            TransportClosed: The device is no longer connected, or the transport is not open.
        """
        self._check_open()
        deadline: Optional[float] = None
        done = 0
        while True:
            try:
                done += os.write(self._writing, data[done:] if done else data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._gone() from error
            if done == len(data):
                return
            deadline = deadline or deadline_in(timeout_sec)
            left = remaining(deadline)
            if not is_ready_in(self._writable, left):
                raise TransportTimeout(
                    f"{self.name} accepted only {done} of {len(data)} bytes in {timeout_sec:g} s.", self.STUCK
                )

    @property
    def descriptors(self) -> Tuple[int, int]:
        """Non-blocking file descriptors to read from and to write to, while the transport is open."""
        self._check_open()
        return self._reading, self._writing

    def _attach(self, reading: int, writing: int) -> None:
        """Begin to read and write these descriptors. The caller closes them."""
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)
        self._reading, self._writing = reading, writing
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(reading, select.POLLIN)
        self._writable.register(writing, select.POLLOUT)

    def _detach(self) -> None:
        self._reading = self._writing = -1
        self.held = b""

    @property
    def is_open(self) -> bool:
        """True while the transport is open."""
        return self._reading >= 0

    def _check_open(self) -> None:
        if self._reading < 0:
            raise TransportClosed(f"{self.name} {self.NOT_OPEN}.", "Open the transport first.")

    def _check_closed(self) -> None:
        if self._reading >= 0:
            raise TransportError(
                f"{self.name} is already open in this transport.",
                "Close the transport before opening it again.",
            )

    def _gone(self) -> TransportClosed:
        """Return the error for an end of file or a broken connection, with its cause if that is available."""
        return TransportClosed(
            f"{self.name} closed its end of the connection.", "Check that the device still runs."
        )
