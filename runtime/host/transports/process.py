# SPDX-License-Identifier: Apache-2.0
"""A device that is a process on this machine, connected by its standard input and output.

No process is left behind. close() closes the device's standard input, on which the device exits. If the
device still runs, close() terminates and finally kills its whole process group.

A host that is killed cannot do so, but the kernel then closes the pipe, and the device exits. No other
process holds the writing end, because Python's pipes are not inherited. So no code has to run in the child
between fork and exec.
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
"""Seconds that a device has to exit after its input is closed; the wait is repeated after SIGTERM."""


class ProcessTransport(PipeTransport):
    """Transport that starts a process in its own process group, with the standard error of the caller.

    Args:
        argv: Command line of the process.
        cwd: Working directory of the process.
        env: Environment of the process; None for that of the caller.
    """

    starts_device = True
    NOT_OPEN: ClassVar = "is not running"
    SILENT: ClassVar = (
        "Read the device's output: the device may still be computing, or waiting for more input."
    )
    STUCK: ClassVar = "Check the device, which has stopped reading: it may still be computing, or may hang."

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
        """Process id of the device while the transport is open."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        """Start the process; raise TransportError if that fails or the transport is open."""
        if self._process is not None:
            raise TransportError(
                f"{self.name} is already running.", "Close the transport before opening it again."
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
                "Build the project, and check that the file exists and that you may execute it.",
            ) from error
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._attach(process.stdout.fileno(), process.stdin.fileno())

    def close(self) -> None:
        """Close the device's input, and end its process group. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            end_process(process, GRACE_SEC, whole_group=True, ends=self._ends_within)
        finally:
            self._detach()
            kill_group(process)  # processes that the device has started and not ended
            process.stdout.close()

    def _ends_within(self, process: subprocess.Popen[bytes], timeout_sec: float) -> bool:
        """Return whether the process exits in time, and drop its output meanwhile.

        A process that writes into a full pipe does not exit.
        """
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
                f"The device process {self.name} closed its end of the connection but still runs.",
                "Check that the program does not close its standard input or output.",
            )
        return TransportClosed(
            f"The device process {self.name} {how}.",
            "Run the program in a debugger to find the crash."
            if (self._process.returncode or 0) < 0
            else "Read the output of the program.",
        )


def how_it_ended(process: subprocess.Popen[bytes], within_sec: float) -> Optional[str]:
    """Return how a process ended that has closed its connection; None if the process still runs.

    Args:
        process: The process.
        within_sec: Longest wait for the exit status, which usually follows immediately.
    """
    if not ends_within(process, within_sec):
        return None
    status = process.returncode
    return f"was terminated by {_signal_name(-status)}" if status < 0 else f"exited with status {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
