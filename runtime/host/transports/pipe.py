# SPDX-License-Identifier: Apache-2.0
"""What all transports share: reading and writing file descriptors under deadlines.

The descriptors do not block, and poll() does the waiting. One read takes everything that is there, so that
one call to the system serves many small reads of whoever sits above.
"""

from __future__ import annotations

import os
import select
from typing import ClassVar, Final, Optional, Tuple

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports.base import deadline_in, remaining

LONGEST_POLL_SEC: Final = 3600.0
READ_BYTES: Final = 1 << 16
"""One read takes all that a pipe of default size can hold."""


def is_ready_in(poll: select.poll, timeout_sec: Optional[float]) -> bool:
    """Wait until a poll object reports something, and return whether it has; a time below 0 is none.

    poll() counts milliseconds in a C int, which three weeks exceed.
    """
    deadline = deadline_in(timeout_sec)
    while True:
        left = remaining(deadline)
        if poll.poll(None if left is None else 1000 * min(left, LONGEST_POLL_SEC)):
            return True
        if left is not None and left <= LONGEST_POLL_SEC:
            return False


class PipeTransport:
    """Reads and writes of a transport. Subclasses open and close, and know why their other end is gone.

    name: the device, for messages. held: bytes that have come; the next read returns them.
    """

    starts_device = False
    """Whether open() starts the firmware or resets it."""

    NOT_OPEN: ClassVar = "is not open"
    SILENT: ClassVar = "Check that the device runs; it may be computing still, or waiting for more input."
    STUCK: ClassVar = "The device has stopped reading; it may be computing still, or it hangs."

    def __init__(self, name: str) -> None:
        self.name = name
        self.held = b""
        self._reading = self._writing = -1
        self._readable = select.poll()
        self._writable = select.poll()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """As Transport.read: whatever is there, so that a frame that was written at once is read at once."""
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
        """As Transport.write."""
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
                    f"{self.name} took only {done} of {len(data)} bytes in {timeout_sec:g} s.", self.STUCK
                )

    @property
    def descriptors(self) -> Tuple[int, int]:
        """What is read and what is written, while it is open; both do not block."""
        self._check_open()
        return self._reading, self._writing

    def _attach(self, reading: int, writing: int) -> None:
        """From now on these descriptors are read and written; who opened them closes them."""
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
        return self._reading >= 0

    def _check_open(self) -> None:
        if self._reading < 0:
            raise TransportClosed(f"{self.name} {self.NOT_OPEN}.", "Open the transport first.")

    def _check_closed(self) -> None:
        if self._reading >= 0:
            raise TransportError(
                f"{self.name} is in use by this transport already.",
                "Close the transport before opening it again.",
            )

    def _gone(self) -> TransportClosed:
        """The error for an end of file or a broken link, which says why where that can be known."""
        return TransportClosed(
            f"The link to {self.name} is closed at its other end.", "Check that the device still runs."
        )
