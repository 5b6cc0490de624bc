# SPDX-License-Identifier: Apache-2.0
"""A device that is a process of this machine, reached over its standard input and output.

No process is left behind. close() closes the device's input, which a device takes as the end of its link,
then terminates and at last kills its whole process group. A host that is itself killed cannot do that, but
the kernel then closes the pipe, and the device ends by itself: no other process holds the writing end,
because Python's pipes are not inherited. So nothing has to run in the child between fork and exec.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Final, Mapping, Optional, Sequence, Union

from runtime.host.errors import TransportClosed, TransportError, reason_of
from runtime.host.system.processes import end_process, ends_within, kill_group
from runtime.host.transports.pipe import READ_BYTES, PipeTransport

GRACE_SEC: Final = 1.0
"""What a device gets to end by itself, and again after SIGTERM."""


class ProcessTransport(PipeTransport):
    """Starts argv in a process group of its own. Its standard error is the caller's."""

    starts_device = True
    NOT_OPEN: ClassVar = "is not running"
    SILENT: ClassVar = "Look at what it prints; it may be computing still, or waiting for more input."
    STUCK: ClassVar = "It has stopped reading; it may be computing still, or it hangs."

    def __init__(
        self,
        argv: Sequence[Union[str, Path]],
        cwd: Union[str, Path, None] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        super().__init__(self.argv[0])
        self._cwd = cwd
        self._env = env
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def pid(self) -> Optional[int]:
        """The device's process id while the transport is open."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        if self._process is not None:
            raise TransportError(
                f"{self.name} is running already.", "Close the transport before opening it again."
            )
        try:
            process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
            )
        except OSError as error:
            raise TransportError(
                f"{self.name} cannot be started: {reason_of(error)}.",
                "Build the project, and check that the file is there and may be run.",
            ) from error
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._attach(process.stdout.fileno(), process.stdin.fileno())

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            end_process(process, GRACE_SEC, whole_group=True, ends=self._ends_within)
        finally:
            self._detach()
            kill_group(process)  # processes that the device has started and left
            process.stdout.close()

    def _ends_within(self, process: subprocess.Popen[bytes], timeout_sec: float) -> bool:
        """Wait for the process to end, and read its output meanwhile: a process that writes into a full pipe
        does not end."""
        deadline = time.monotonic() + timeout_sec
        while self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if not os.read(self._reading, READ_BYTES):
                break
            if time.monotonic() >= deadline:
                return False
        return ends_within(process, deadline - time.monotonic())

    def _gone(self) -> TransportClosed:
        assert self._process is not None
        how = how_it_ended(self._process, GRACE_SEC)
        if how is None:
            return TransportClosed(
                f"The device process {self.name} closed its end of the link but runs on.",
                "Check what else writes to its standard output.",
            )
        return TransportClosed(
            f"The device process {self.name} {how}.",
            "Run it in a debugger to see where it crashed."
            if (self._process.returncode or 0) < 0
            else "Look at what it printed before.",
        )


def how_it_ended(process: subprocess.Popen[bytes], within_sec: float) -> Optional[str]:
    """How a process ended whose link is closed: its exit status follows at once. None when it runs on."""
    if not ends_within(process, within_sec):
        return None
    status = process.returncode
    return f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with exit status {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
