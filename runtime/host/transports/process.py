# SPDX-License-Identifier: Apache-2.0
"""A device that is a process of this machine, reached over its standard input and output.

No process is left behind. close() closes the device's input, which a device takes as the end of its link,
then terminates and at last kills its whole process group. A host that is itself killed cannot do that, but
the kernel then closes the pipe, and the device ends by itself: no other process holds the writing end,
because Python's pipes are not inherited. So nothing has to run in the child between fork and exec.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Final, Mapping, Optional, Sequence, Union

from runtime.host.errors import TransportClosed, TransportError
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
                f"{self.name} cannot be started: {error.strerror or error}.",
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
            if not self._ended(process):
                signal_group(process, signal.SIGTERM)
                if not self._ended(process):
                    signal_group(process, signal.SIGKILL)
            process.wait()
        finally:
            self._detach()
            signal_group(process, signal.SIGKILL)  # what the device itself has started and left
            process.stdout.close()

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Waits for the process to end. Its output is read meanwhile: a full pipe must not hold it back, and
        the end of file wakes us at once where waiting for an exit status would poll."""
        deadline = time.monotonic() + GRACE_SEC
        while self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if not os.read(self._reading, READ_BYTES):
                break
            if time.monotonic() >= deadline:
                return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        return process.returncode is not None

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
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_sec)
    status = process.returncode
    if status is None:
        return None
    return f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with exit status {status}"


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to all that is left of a process's own group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
