# SPDX-License-Identifier: Apache-2.0
"""An emulated board: a process on this machine whose UART is one end of a socket pair.

The emulator has nothing to save, so close() kills its process group immediately. The emulator also dies with
the process that opened it, however that process ends: setpriv of util-linux requests that Linux then send
SIGKILL to the emulator. The kernel watches the thread that started the emulator, so the thread that calls
open() must outlive the emulator.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Callable, ClassVar, Final, Optional, Sequence, Union

from runtime.host.errors import TransportClosed, TransportError, reason_of
from runtime.host.system.processes import kill_group
from runtime.host.system.programs import dies_with_us, find_tool
from runtime.host.transports.pipe import PipeTransport
from runtime.host.transports.process import how_it_ended

END_SEC: Final = 1.0
"""Longest wait for the exit status after the emulator has closed its UART."""

LOG_BYTES: Final = 1 << 14
"""Bytes from the end of an emulator's output that are shown."""


class EmulatorTransport(PipeTransport):
    """Transport that starts an emulator. An error at the emulator's exit contains its output.

    Args:
        argv_for: Returns the command line for N, the file descriptor of the other end of the UART. The
            command line of QEMU contains `-chardev socket,id=uart,fd=N -serial chardev:uart`.
        cwd: Working directory of the emulator.
    """

    starts_device = True
    NOT_OPEN: ClassVar = "is not running"
    SILENT: ClassVar = (
        "Check the firmware: it may still be computing, may be waiting for more input, or may have crashed."
    )
    STUCK: ClassVar = (
        "Check the firmware, which has stopped reading: it may still be computing, or may have crashed."
    )

    def __init__(
        self, argv_for: Callable[[int], Sequence[Union[str, Path]]], cwd: Union[str, Path, None] = None
    ) -> None:
        super().__init__("The emulator")
        self._argv_for = argv_for
        self._cwd = cwd
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._uart: Optional[socket.socket] = None
        self._output: Optional[IO[bytes]] = None

    @property
    def pid(self) -> Optional[int]:
        """Process id of the emulator while the transport is open."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        """Start the emulator.

        Raises:
            ToolMissing: The emulator is not installed.
            TransportError: The emulator could not be started, or the transport is open.
        """
        self._check_closed()
        ours, theirs = socket.socketpair()
        output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the transport)
        try:
            argv = [str(word) for word in self._argv_for(theirs.fileno())]
            self.name = f"The emulator {Path(argv[0]).name}"
            find_tool(argv[0], "run the firmware in an emulator")
            self._process = subprocess.Popen(
                [*dies_with_us(), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException as error:
            ours.close()
            output.close()
            if isinstance(error, OSError):
                raise TransportError(
                    f"{self.name} cannot be started: {reason_of(error)}.",
                    "Check that the project's directory exists.",
                ) from error
            raise
        finally:
            theirs.close()
        self._uart, self._output = ours, output
        self._attach(ours.fileno(), ours.fileno())

    def close(self) -> None:
        """Kill the emulator and its process group. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert self._uart is not None and self._output is not None
        self._detach()
        kill_group(process)
        self._uart.close()
        self._output.close()

    def _gone(self) -> TransportClosed:
        assert self._process is not None and self._output is not None
        how = how_it_ended(self._process, END_SEC)
        if how is None:
            return TransportClosed(
                f"{self.name} closed the board's UART but still runs.",
                "Check which UART the emulator's arguments connect.",
            )
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - LOG_BYTES))
        said = self._output.read().decode("utf-8", "replace").strip()
        if not said:
            return TransportClosed(
                f"{self.name} {how} and printed nothing.",
                "Check whether another program ended the emulator, or the firmware switched its board off.",
            )
        return TransportClosed(
            f"{self.name} {how}: {_complaint(said).rstrip('.')}.",
            "Check the board's machine in boards.json, and that this emulator supports the machine.",
            said,
        )


def _complaint(said: str) -> str:
    """Return the last line that begins with a program's name and a colon, or else the last line."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if re.match(r"[\w./-]+: ", line)), lines[-1])
