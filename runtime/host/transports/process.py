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
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, Mapping, Optional, Sequence, Union

from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.transports.base import deadline_in, remaining

READ_BYTES: Final = 1 << 16
"""One read takes all that a pipe of default size can hold."""

GRACE_SEC: Final = 1.0
"""What a device gets to end by itself, and again after SIGTERM."""


class ProcessTransport:
    """Starts argv in a process group of its own. Its standard error is the caller's."""

    def __init__(
        self,
        argv: Sequence[Union[str, Path]],
        cwd: Union[str, Path, None] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self._cwd = cwd
        self._env = env
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._stdin = self._stdout = -1
        self._readable = select.poll()
        self._writable = select.poll()

    @property
    def pid(self) -> Optional[int]:
        """The device's process id while the transport is open."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        if self._process is not None:
            raise TransportError(
                f"{self.argv[0]} is running already.", "Close the transport before opening it again."
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
                f"{self.argv[0]} cannot be started: {error.strerror or error}.",
                "Build the project, and check that the file is there and may be run.",
            ) from error
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._readable = select.poll()
        self._readable.register(self._stdout, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._stdin, select.POLLOUT)

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """As Transport.read: whatever the pipe holds, so that a frame that was written at once is read at
        once."""
        process = self._running()
        if not self._readable.poll(None if timeout_sec is None else timeout_sec * 1000):
            raise TransportTimeout(
                f"{self.argv[0]} sent nothing in {timeout_sec:g} s.",
                "Look at what it prints; it may be computing still, or waiting for more input.",
            )
        data = os.read(self._stdout, READ_BYTES)
        if not data:
            raise self._closed(process)
        return data

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        process = self._running()
        deadline: Optional[float] = None
        done = 0
        while True:
            try:
                done += os.write(self._stdin, data[done:] if done else data)
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise self._closed(process) from None
            if done == len(data):
                return
            deadline = deadline or deadline_in(timeout_sec)
            left = remaining(deadline)
            if not self._writable.poll(None if left is None else left * 1000):
                raise TransportTimeout(
                    f"{self.argv[0]} took only {done} of {len(data)} bytes in {timeout_sec:g} s.",
                    "It has stopped reading; it may be computing still, or it hangs.",
                )

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            if not self._ended(process):
                _signal_group(process, signal.SIGTERM)
                if not self._ended(process):
                    _signal_group(process, signal.SIGKILL)
            process.wait()
        finally:
            _signal_group(process, signal.SIGKILL)  # what the device itself has started and left
            process.stdout.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TransportClosed(f"{self.argv[0]} is not running.", "Open the transport first.")
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Waits for the process to end. Its output is read meanwhile: a full pipe must not hold it back, and
        the end of file wakes us at once where waiting for an exit status would poll."""
        deadline = time.monotonic() + GRACE_SEC
        while self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if not os.read(self._stdout, READ_BYTES):
                break
            if time.monotonic() >= deadline:
                return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        return process.returncode is not None

    def _closed(self, process: subprocess.Popen[bytes]) -> TransportClosed:
        """The error for an end of file. The exit status follows it at once when the process has died."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SEC)
        status = process.returncode
        if status is None:
            how, next_step = (
                "closed its end of the link but runs on",
                "Check what else writes to its standard output.",
            )
        elif status < 0:
            how, next_step = (
                f"was ended by {_signal_name(-status)}",
                "Run it in a debugger to see where it crashed.",
            )
        else:
            how, next_step = f"ended with exit status {status}", "Look at what it printed before."
        return TransportClosed(f"The device process {self.argv[0]} {how}.", next_step)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
