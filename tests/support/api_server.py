# SPDX-License-Identifier: Apache-2.0
"""API server started as TVM starts it: in its directory, with two pipes and a nearly empty environment."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "microtvm_api_server.py"
DEADLINE_SEC = 60.0


def make_platform(directory: Path, handler: str) -> Path:
    """Create a directory with server.py and a file of tests/api/handlers as its API server script."""
    (directory / "runtime").mkdir(parents=True)
    shutil.copy(ROOT / "runtime" / "server.py", directory / "runtime")
    shutil.copy(ROOT / "tests" / "api" / "handlers" / handler, directory / SCRIPT)
    return directory


class ApiServer:
    """Running API server, and the client's ends of its pipes."""

    def __init__(
        self,
        directory: Path,
        *,
        python: str = sys.executable,
        extra: Sequence[str] = (),
        environment: Optional[Mapping[str, str]] = None,
        pass_fds: Sequence[int] = (),
        stderr: Optional[int] = None,
    ) -> None:
        """Start the server.

        Args:
            directory: Directory with the API server script; working directory of the server.
            python: Interpreter that runs the server.
            extra: Arguments between the script and the pipe options. TVM 0.12 and later add such arguments.
            environment: Additional environment variables. Otherwise only PATH and HOME are set.
            pass_fds: Additional descriptors that the server inherits.
            stderr: Descriptor for stderr, as in subprocess.Popen.
        """
        read_fd, self.write_fd = os.pipe()
        self.read_fd, write_fd = os.pipe()
        self.process = subprocess.Popen(
            [python, SCRIPT, *extra, "--read-fd", str(read_fd), "--write-fd", str(write_fd)],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environment or {})},
            pass_fds=[read_fd, write_fd, *pass_fds],
            stderr=stderr,
        )
        os.close(read_fd)
        os.close(write_fd)
        self._early = b""
        self._count = 0

    def __enter__(self) -> ApiServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def hang_up(self) -> None:
        """Close the client's pipe ends, as an exiting client does."""
        self.close_requests()
        if self.read_fd >= 0:
            os.close(self.read_fd)
            self.read_fd = -1

    def close_requests(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def send(self, line: bytes) -> None:
        """Write all of `line` without reading.

        This cannot deadlock, because the server replies only after a whole line.
        """
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self.write_fd, rest) :]

    def request(self, method: str, **params: Any) -> None:
        self._count += 1
        fields = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        self.send(json.dumps(fields).encode() + b"\n")

    def reply(self) -> Dict[str, Any]:
        """Return the next reply. Raise EOFError when the server has closed its pipe."""
        pieces: List[bytes] = [self._early]
        while b"\n" not in pieces[-1]:
            piece = read_some(self.read_fd)
            if not piece:
                raise EOFError
            pieces.append(piece)
        line, _, self._early = b"".join(pieces).partition(b"\n")
        return dict(json.loads(line))

    def ask(self, method: str, **params: Any) -> Any:
        """Send a request and return its result. Fail the test on an error reply."""
        self.request(method, **params)
        reply = self.reply()
        assert "result" in reply, reply
        assert reply["id"] == self._count
        return reply["result"]

    def error(self, method: str, **params: Any) -> Dict[str, Any]:
        """Send a request that must fail and return its error."""
        self.request(method, **params)
        reply = self.reply()
        assert "error" in reply, reply
        assert reply["id"] == self._count
        return dict(reply["error"])


def read_some(fd: int) -> bytes:
    """Return at least one byte, or b"" at the end of the stream. Fail after DEADLINE_SEC."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(DEADLINE_SEC * 1000), "The server sent nothing."
    return os.read(fd, 1 << 20)


def wait_for_end(fd: int, within_sec: float = DEADLINE_SEC) -> bytes:
    """Read `fd` until no process holds the other end, and return the bytes."""
    data = b""
    deadline = time.monotonic() + within_sec
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        assert poll.poll(max(0.0, deadline - time.monotonic()) * 1000), "A process still holds the pipe."
        piece = os.read(fd, 65536)
        if not piece:
            return data
        data += piece
