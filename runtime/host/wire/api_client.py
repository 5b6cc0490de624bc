# SPDX-License-Identifier: Apache-2.0
"""Client of TVM's Project API, for platforms and projects.

The client starts an API server in the directory and connects it with two pipes. The protocol is JSON-RPC 2.0;
each request and each reply is one line. The server's own output goes to the user's terminal.

An error reply is {"code", "message", "data": {"traceback": text}}. Three messages are names of conditions
(_CONDITIONS). Every other message is written for the user, and the text is its log.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Final, List, Mapping, Optional, Type, Union

from runtime.host.errors import (
    ArchiveError,
    BuildError,
    FlashError,
    PlatformError,
    ProtocolError,
    TransportClosed,
    TransportError,
    TransportTimeout,
    reason_of,
)
from runtime.host.system.processes import end_process, ends_within
from runtime.host.wire.session import Timeouts
from runtime.server import b85decode, b85encode

TVM_VERSION: Final = "0.18.0"
"""TVM version sent in server_info_query: the last release of TVM that supports the Project API."""

LAUNCHER: Final = "launch_microtvm_api_server.sh"
SERVER: Final = "microtvm_api_server.py"
GRACE_SEC: Final = 5.0
"""Seconds that the server has to end its children and exit; the wait is repeated after SIGTERM."""

MAX_REPLY_BYTES: Final = 128 << 20
"""Limit of one reply. A read returns at most 64 MiB (server.MAX_LINE_BYTES), which base85 makes 80 MiB."""

READ_BYTES: Final = 1 << 16
"""Size of one read: the default capacity of a pipe."""

_CONDITIONS: Final[Dict[str, Type[PlatformError]]] = {
    "IoTimeoutError": TransportTimeout,
    "TransportClosedError": TransportClosed,
    "UnsupportedTVMVersionError": PlatformError,
}
_ERROR_OF_METHOD: Final[Dict[str, Type[PlatformError]]] = {
    "generate_project": ArchiveError,
    "build": BuildError,
    "flash": FlashError,
    "open_transport": TransportError,
    "close_transport": TransportError,
    "read_transport": TransportError,
    "write_transport": TransportError,
}

Options = Mapping[str, Any]
PathLike = Union[str, Path]


class ApiConnection:
    """Requests to a running API server, over two pipes.

    Args:
        name: Name of the server in messages.
        read_fd: Pipe from the server. The caller closes it.
        write_fd: Pipe to the server. The caller closes it.
    """

    def __init__(self, name: str, read_fd: int, write_fd: int) -> None:
        self.name = name
        self._rest = b""
        self._count = 0
        self._read_fd = read_fd
        self._write_fd = write_fd

    def server_info_query(self, tvm_version: str = TVM_VERSION) -> Dict[str, Any]:
        """Return the server's description of its directory.

        Returns:
            Values of platform_name, is_template, model_library_format_path, project_options and
            protocol_version.
        """
        info = self.call("server_info_query", {"tvm_version": tvm_version})
        if not isinstance(info, dict):
            raise self._odd_reply(repr(info))
        return info

    def generate_project(
        self,
        model_library_format_path: PathLike,
        project_dir: PathLike,
        options: Optional[Options] = None,
        standalone_crt_dir: PathLike = "",
    ) -> None:
        """Write a project from a model archive.

        Args:
            model_library_format_path: The model archive.
            project_dir: Directory to write.
            options: Project options by name.
            standalone_crt_dir: Folder of TVM's own C runtime; empty for none.
        """
        self.call(
            "generate_project",
            {
                "model_library_format_path": str(Path(model_library_format_path).resolve()),
                "standalone_crt_dir": str(standalone_crt_dir),
                "project_dir": str(Path(project_dir).resolve()),
                "options": dict(options or {}),
            },
        )

    def build(self, options: Optional[Options] = None) -> None:
        """Build the project's firmware."""
        self.call("build", {"options": dict(options or {})})

    def flash(self, options: Optional[Options] = None) -> None:
        """Flash the project's firmware to the board."""
        self.call("flash", {"options": dict(options or {})})

    def open_transport(self, options: Optional[Options] = None) -> Timeouts:
        """Open the server's transport to the device, and return the timeouts that the project requests."""
        reply = self.call("open_transport", {"options": dict(options or {})})
        try:
            return Timeouts(**{name: float(value) for name, value in reply["timeouts"].items()})
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise self._odd_reply(repr(reply)) from error

    def read_transport(self, count: int, timeout_sec: Optional[float]) -> bytes:
        """Return exactly `count` bytes from the device.

        Args:
            count: Number of bytes.
            timeout_sec: Longest wait in seconds; None waits without a limit.

        Raises:
            TransportTimeout: Fewer than `count` bytes arrived in time.
        """
        return self._bytes_read(self.call("read_transport", {"n": count, "timeout_sec": timeout_sec}))

    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Send all of `data` to the device within timeout_sec, or without a limit for None."""
        self._request("write_transport", _write_params(data, timeout_sec))

    def exchange(
        self, data: bytes, write_sec: Optional[float], count: int, read_sec: Optional[float]
    ) -> bytes:
        """Write to the device and read from it, in one round trip to the server.

        The client sends both requests before it receives the first reply. If the write fails, the client
        still receives the reply to the read, and drops it.

        Args:
            data: Bytes to write.
            write_sec: Timeout of the write in seconds; None for no limit.
            count: Number of bytes to read.
            read_sec: Timeout of the read in seconds; None for no limit.

        Returns:
            Exactly `count` bytes.

        Raises:
            PlatformError: The write or the read failed.
        """
        params = b'{"n":%d,"timeout_sec":%b}' % (count, _seconds(read_sec))
        self._send(
            self._next_request("write_transport", _write_params(data, write_sec))
            + self._next_request("read_transport", params)
        )
        try:
            self._result("write_transport", self._count - 1)
        except PlatformError:
            with contextlib.suppress(PlatformError):
                self._result("read_transport", self._count)
            raise
        return self._bytes_read(self._result("read_transport", self._count))

    def close_transport(self) -> None:
        """Close the server's transport to the device."""
        self.call("close_transport", {})

    def lend_transport(self, socket: str) -> None:
        """Request that the server send the open device's descriptors to a listener (passed_descriptors.py).

        Args:
            socket: Abstract name of the listener's Unix socket.
        """
        self.call("lend_transport", {"socket": socket})

    @property
    def is_gone(self) -> bool:
        """True once the server has closed its pipe."""
        poll = select.poll()
        poll.register(self._read_fd, 0)  # poll() always reports a hang-up
        return bool(poll.poll(0))

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Call a method of the API server and return its result.

        Args:
            method: Name of the method.
            params: Parameters by name.
        """
        return self._request(method, json.dumps(params).encode("utf-8"))

    def _request(self, method: str, params: bytes) -> Any:
        self._send(self._next_request(method, params))
        return self._result(method, self._count)

    def _next_request(self, method: str, params: bytes) -> bytes:
        self._count += 1
        return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}\n' % (
            self._count,
            method.encode("ascii"),
            params,
        )

    def _result(self, method: str, number: int) -> Any:
        line = self._line()
        try:
            reply = json.loads(line)
            if reply["id"] == number and "error" not in reply:
                return reply["result"]
            error = reply["error"]
        except (ValueError, LookupError, TypeError, RecursionError) as problem:
            raise self._odd_reply(line.decode("utf-8", "replace")) from problem
        raise self._failure(method, error)

    def _bytes_read(self, result: Any) -> bytes:
        try:
            return b85decode(result["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._odd_reply(repr(result)) from error

    def _send(self, data: bytes) -> None:
        if self._write_fd < 0:
            raise TransportClosed("The API server was closed.", "Start the API server again.")
        try:
            done = os.write(self._write_fd, data)
            while done < len(data):
                done += os.write(self._write_fd, data[done:])
        except BrokenPipeError:
            raise self._ended() from None

    def _line(self) -> bytes:
        """Return the next line from the server, without its newline."""
        parts: List[bytes] = [self._rest]
        size = len(self._rest)
        while True:
            head, newline, self._rest = parts[-1].partition(b"\n")
            if newline:
                parts[-1] = head
                return parts[0] if len(parts) == 1 else b"".join(parts)
            data = os.read(self._read_fd, READ_BYTES)
            if not data:
                raise self._ended()
            size += len(data)
            if size > MAX_REPLY_BYTES:
                raise self._odd_reply(f"a line of more than {MAX_REPLY_BYTES:,} bytes")
            parts.append(data)

    def _ended(self) -> TransportClosed:
        """Return the error for a pipe that the server closed."""
        return TransportClosed(
            f"The API server of {self.name} {self._how_it_ended()}.",
            f"Read the server's output above. Run {SERVER} by hand to see more.",
        )

    def _how_it_ended(self) -> str:
        return "closed its pipe"

    def _odd_reply(self, text: str) -> ProtocolError:
        return ProtocolError(
            f"The API server of {self.name} sent an invalid reply: {text[:200]}.",
            "Make sure that only the JSON-RPC server writes to the --write-fd pipe.",
        )

    @staticmethod
    def _failure(method: str, error: Any) -> PlatformError:
        """Return the exception for an error reply."""
        message, log = str(error), ""
        if isinstance(error, dict):
            message = str(error.get("message", ""))
            data = error.get("data")
            if isinstance(data, dict):
                log = str(data.get("traceback", ""))
        if message in _CONDITIONS:
            what, _, next_step = log.strip().partition("\n")
            return _CONDITIONS[message](
                what or f"{method} failed: {message}.",
                next_step or "Read the output of the device and of the API server.",
            )
        what, _, next_step = message.partition("\n")
        kind = _ERROR_OF_METHOD.get(method, PlatformError)
        return kind(what or f"{method} failed.", next_step or "Read the log below.", log)


def _write_params(data: bytes, timeout_sec: Optional[float]) -> bytes:
    # The base85 alphabet has no character that JSON would escape.
    return b'{"data":"%b","timeout_sec":%b}' % (b85encode(data), _seconds(timeout_sec))


def _seconds(timeout_sec: Optional[float]) -> bytes:
    return b"null" if timeout_sec is None else repr(timeout_sec).encode("ascii")


class ProjectApiClient(ApiConnection):
    """The API server of one directory, which runs from the creation of this object to close()."""

    def __init__(self, directory: PathLike, python: PathLike = sys.executable) -> None:
        """Start the server.

        Args:
            directory: A platform or a project.
            python: Interpreter of the server. A launch script in the directory takes precedence.
        """
        self.directory = Path(directory).resolve()
        super().__init__(str(self.directory), -1, -1)
        self._process = self._start(str(python))

    def __enter__(self) -> ProjectApiClient:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the server's pipe, and wait until the server has exited. Safe to call twice."""
        if self._write_fd < 0:
            return
        os.close(self._write_fd)
        self._write_fd = -1
        try:
            end_process(self._process, GRACE_SEC)
        finally:
            os.close(self._read_fd)
            self._read_fd = -1

    def _start(self, python: str) -> subprocess.Popen[bytes]:
        launcher = self.directory / LAUNCHER
        script = self.directory / SERVER
        if not script.is_file():
            raise PlatformError(
                f"{self.directory} is neither a platform nor a project: {SERVER} is missing.",
                "Give the directory that Cookiecutter or generate_project has written.",
            )
        to_server, self._write_fd = os.pipe()
        self._read_fd, from_server = os.pipe()
        command = [str(launcher), SERVER] if launcher.is_file() else [python, SERVER]
        try:
            return subprocess.Popen(
                [*command, "--read-fd", str(to_server), "--write-fd", str(from_server)],
                cwd=self.directory,
                pass_fds=(to_server, from_server),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            os.close(self._write_fd)
            os.close(self._read_fd)
            self._write_fd = self._read_fd = -1
            raise PlatformError(
                f"{command[0]} cannot be started: {reason_of(error)}.",
                "Check that the file exists and that you may execute it.",
            ) from error
        finally:
            os.close(to_server)
            os.close(from_server)

    def _how_it_ended(self) -> str:
        if ends_within(self._process, GRACE_SEC):
            return f"exited with status {self._process.returncode}"
        return super()._how_it_ended()


class ApiTransport:
    """Transport to the device of a project, through the project's API server.

    A read requests exactly the bytes that its caller needs, so a frame takes two or three requests.

    Attributes:
        timeouts: Timeouts that the project requests; valid while the transport is open.
        reads_exactly: True: read() returns exactly `want` bytes or raises. Session reads this attribute.
    """

    def __init__(self, client: ApiConnection, options: Optional[Options] = None) -> None:
        self.timeouts = Timeouts()
        self.reads_exactly = True
        self._client = client
        self._options = dict(options or {})
        self._is_open = False

    def open(self) -> None:
        """Open the server's transport to the device."""
        self.timeouts = self._client.open_transport(self._options)
        self._is_open = True

    def close(self) -> None:
        """Close the server's transport to the device. Safe to call twice."""
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(TransportClosed):  # a server that exited has closed the transport
                self._client.close_transport()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return exactly `want` bytes, or raise TransportTimeout; None waits without a limit."""
        return self._client.read_transport(want, timeout_sec)

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Send all of `data`, or raise TransportTimeout; None waits without a limit."""
        self._client.write_transport(data, timeout_sec)
