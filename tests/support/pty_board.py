# SPDX-License-Identifier: Apache-2.0
"""Serial port that is a pseudo-terminal; the test acts as the board at its other end."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import termios
import tty
from pathlib import Path
from typing import IO, Any, Iterator, List

ROOT = Path(__file__).resolve().parents[2]

# Holds the port named by its first argument open until the end of its input.
HOLDER = """
import sys
from runtime.host.transports.serial import SerialTransport
transport = SerialTransport(sys.argv[1], 115200)
transport.open()
print("open", flush=True)
sys.stdin.read()
"""


class PtyBoard:
    """Board on a pseudo-terminal. Its side does not block.

    Attributes:
        path: Path of the serial port.
    """

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)

    def say(self, data: bytes) -> None:
        assert os.write(self._master, data) == len(data)

    def say_until_heard(self, line: bytes, output: IO[str]) -> None:
        """Send a line repeatedly until a program, which may not read yet, has printed it."""
        poll = select.poll()
        poll.register(output, select.POLLIN)
        for _ in range(1000):
            self.say(line)
            if poll.poll(20):
                assert output.readline() == line.decode()
                return
        raise AssertionError("No program printed the line.")

    def hear(self, count: int) -> bytes:
        """Read `count` bytes from the host, with a timeout of five seconds for each read."""
        data = b""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while len(data) < count:
            assert poll.poll(5000), f"Timeout: got only {data!r}."
            data += os.read(self._master, count - len(data))
        return data

    def settings(self) -> List[Any]:
        """Return the port's settings in the form of tcgetattr; both ends of a pseudo-terminal share them."""
        return termios.tcgetattr(self._master)

    def unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def held_by_another(self) -> subprocess.Popen[str]:
        """Start another process that opens the port. The caller must end the process."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        return process


@contextlib.contextmanager
def pty_board() -> Iterator[PtyBoard]:
    board = PtyBoard()
    try:
        yield board
    finally:
        board.unplug()
