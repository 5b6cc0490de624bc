# SPDX-License-Identifier: Apache-2.0
"""An emulated board: a process of this machine whose UART is one end of a socket pair.

The emulator has nothing to save, so close() kills its process group at once. It also dies with the process
that opened it, whatever ends that: Linux sends it SIGKILL then, which setpriv of util-linux asks for. The
kernel looks at the thread that started the emulator, so a transport is opened by a thread that lives on.
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
"""How soon the exit status follows the end of the link."""

LOG_BYTES: Final = 1 << 14
"""How much of the end of an emulator's output is shown."""


class EmulatorTransport(PipeTransport):
    """Starts an emulator whose command line is argv_for(N): file descriptor N is the other end of its UART.

    For QEMU that is `-chardev socket,id=uart,fd=N -serial chardev:uart`. What it prints is kept, and told
    when it ends.
    """

    starts_device = True
    NOT_OPEN: ClassVar = "is not running"
    SILENT: ClassVar = "The firmware may be computing still, wait for more input, or have crashed."
    STUCK: ClassVar = "The firmware has stopped reading; it may be computing still, or have crashed."

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
        """The emulator's process id while the transport is open."""
        return None if self._process is None else self._process.pid

    def open(self) -> None:
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
                    "Check that the project's directory is there.",
                ) from error
            raise
        finally:
            theirs.close()
        self._uart, self._output = ours, output
        self._attach(ours.fileno(), ours.fileno())

    def close(self) -> None:
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
                f"{self.name} closed the board's UART but runs on.", "Check which UART its arguments connect."
            )
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - LOG_BYTES))
        said = self._output.read().decode("utf-8", "replace").strip()
        if not said:
            return TransportClosed(
                f"{self.name} {how} and said nothing.",
                "Look for what stopped it from outside, or for a firmware that turns its board off.",
            )
        return TransportClosed(
            f"{self.name} {how}: {_complaint(said)}",
            "Check the board's machine in boards.json, and that this emulator knows it.",
            said,
        )


def _complaint(said: str) -> str:
    """The line that says what was wrong: the last that begins as complaints do, with a program's name."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if re.match(r"[\w./-]+: ", line)), lines[-1])
