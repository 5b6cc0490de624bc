# SPDX-License-Identifier: Apache-2.0
"""A serial port that is a pseudo-terminal, with a test at its other end as the board."""

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

# Holds the port named by its first argument until its input ends.
HOLDER = """
import sys
from runtime.host.transports.serial import SerialTransport
transport = SerialTransport(sys.argv[1], 115200)
transport.open()
print("open", flush=True)
sys.stdin.read()
"""


class PtyBoard:
    """path: the port. The board's side does not block."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)

    def say(self, data: bytes) -> None:
        assert os.write(self._master, data) == len(data)

    def say_until_heard(self, line: bytes, output: IO[str]) -> None:
        """Repeats a line until a program, which may not listen yet, has printed it."""
        poll = select.poll()
        poll.register(output, select.POLLIN)
        for _ in range(1000):
            self.say(line)
            if poll.poll(20):
                assert output.readline() == line.decode()
                return
        raise AssertionError("nobody has listened")

    def hear(self, count: int) -> bytes:
        """So many bytes from the host, waiting for each at most five seconds."""
        data = b""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while len(data) < count:
            assert poll.poll(5000), f"only {data!r} came"
            data += os.read(self._master, count - len(data))
        return data

    def settings(self) -> List[Any]:
        """The port's settings as tcgetattr has them: the two ends of a pseudo-terminal share them."""
        return termios.tcgetattr(self._master)

    def unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def held_by_another(self) -> subprocess.Popen[str]:
        """Another process that has the port open. To be ended by whoever asks."""
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
