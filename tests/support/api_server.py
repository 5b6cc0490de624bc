# SPDX-License-Identifier: Apache-2.0
"""Starts an API server as TVM does: in its directory, with two pipes, nothing of ours in reach."""

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
    """A directory with server.py and an API server, the file `handler` of tests/api/handlers."""
    (directory / "runtime").mkdir(parents=True)
    shutil.copy(ROOT / "runtime" / "server.py", directory / "runtime")
    shutil.copy(ROOT / "tests" / "api" / "handlers" / handler, directory / SCRIPT)
    return directory


class ApiServer:
    """A running API server, and our ends of its pipes."""

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
        """extra: words between the script and the descriptors, as TVM 0.12 and later put there."""
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
        """Close our ends, as a client that ends does."""
        self.close_requests()
        if self.read_fd >= 0:
            os.close(self.read_fd)
            self.read_fd = -1

    def close_requests(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def send(self, line: bytes) -> None:
        """Write all of `line`. Nothing is read meanwhile: the server answers only whole lines."""
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self.write_fd, rest) :]

    def request(self, method: str, **params: Any) -> None:
        self._count += 1
        fields = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        self.send(json.dumps(fields).encode() + b"\n")

    def reply(self) -> Dict[str, Any]:
        """The next reply; EOFError when the server has closed its end."""
        pieces: List[bytes] = [self._early]
        while b"\n" not in pieces[-1]:
            piece = read_some(self.read_fd)
            if not piece:
                raise EOFError
            pieces.append(piece)
        line, _, self._early = b"".join(pieces).partition(b"\n")
        return dict(json.loads(line))

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a request; an error reply fails the test."""
        self.request(method, **params)
        reply = self.reply()
        assert "result" in reply, reply
        assert reply["id"] == self._count
        return reply["result"]

    def error(self, method: str, **params: Any) -> Dict[str, Any]:
        """The error of a request that must fail."""
        self.request(method, **params)
        reply = self.reply()
        assert "error" in reply, reply
        assert reply["id"] == self._count
        return dict(reply["error"])


def read_some(fd: int) -> bytes:
    """At least one byte, or b"" at the end; fails when neither comes."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(DEADLINE_SEC * 1000), "nothing came from the server"
    return os.read(fd, 1 << 20)


def wait_for_end(fd: int, within_sec: float = DEADLINE_SEC) -> bytes:
    """What is still read from fd until nobody holds its other end any more."""
    data = b""
    deadline = time.monotonic() + within_sec
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        assert poll.poll(max(0.0, deadline - time.monotonic()) * 1000), "some process still holds the pipe"
        piece = os.read(fd, 65536)
        if not piece:
            return data
        data += piece
