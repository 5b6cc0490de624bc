# SPDX-License-Identifier: Apache-2.0
"""Session of one client with a served board, in a separate process: build, flash and relay.

A failure is sent as the reply to the client's next request: an exception with the kind of the failure and its
sentences. It is not the reply to the first message, which opens the session. If that message fails, TVM's
client requests the board from the tracker five more times and loses the message of the failure.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Final, Iterator, NamedTuple, NoReturn, Optional, Union

from runtime import server
from runtime.host.archive.tar import PackedTar
from runtime.host.boards.attachment import Attachment
from runtime.host.errors import HostToolsFault, PlatformError, ProtocolError, TransportError, explained
from runtime.host.execution import connection
from runtime.host.execution.firmware_info import check_firmware
from runtime.host.execution.running_model import TIMEOUTS
from runtime.host.firmware.build import build
from runtime.host.firmware.flash import flash
from runtime.host.project.generate import generate
from runtime.host.project.options import project_options
from runtime.host.project.platform import BUILD_FILES, FROM_PLATFORM, Platform
from runtime.host.project.project import Project
from runtime.host.serve.processes import receive_signals
from runtime.host.serve.request import MAX_REQUEST_BYTES, Refused, Request, Served, read_request, too_large
from runtime.host.system.cache import Cache
from runtime.host.system.logs import log_device, show_commands
from runtime.host.system.processes import end_children
from runtime.host.transports.base import Transport
from runtime.host.tvm_rpc.connection import HEAD, Caller
from runtime.host.tvm_rpc.control import Control, Stopped, kind_of, read_in_slices
from runtime.host.wire.messages import (
    EXCEPTION,
    GET_GLOBAL_FUNC,
    RETURN,
    SHUTDOWN,
    Handle,
    Value,
    decode_sequence,
    encode_message,
    encode_sequence,
)
from runtime.host.wire.readiness import open_when_ready
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session

DEV_GET_ATTR: Final = 12
EXISTS: Final = 0  # attribute of a device: is it available?
LOG_TAIL_CHARS: Final = 2000
LINGER_SEC: Final = 0.2
LENGTH_BYTES: Final = 8  # size of the length field, which the length does not include
MAX_DISCARDED_BYTES: Final = 1 << 30  # a message with a larger length is not a request
PART_BYTES: Final = 1 << 16
DONE: Final = encode_message(RETURN, encode_sequence([None]))


class Site(NamedTuple):
    """Resources that all sessions of a board share.

    Attributes:
        platform: Copy of the platform without its host tools, from lean_copy().
        served: Board, its key, and the boards of the platform.
        attachment: How the board is attached.
        scratch: Directory for the projects of sessions.
    """

    platform: Platform
    served: Served
    attachment: Attachment
    scratch: Path


def lean_copy(platform: Platform, place: Path) -> Platform:
    """Return a copy of the platform without its host tools.

    Each trial generates a project. Copying the host tools would take longer than the rest of the generation,
    and no firmware contains them.

    Args:
        platform: Platform to copy.
        place: Directory to create.
    """
    place.mkdir()
    for name in (*FROM_PLATFORM, BUILD_FILES[platform.build_system]):
        source = platform.directory / name
        if name == "runtime":
            shutil.copytree(source / "device", place / name / "device")
        elif source.is_dir():
            shutil.copytree(source, place / name)
        elif source.exists():
            shutil.copy(source, place / name)
    return platform.at(place)


# Modules that every trial imports. The server imports them once, before it forks.
PRELOADED: Final = ("tarfile", "runtime.host.transports.process", "runtime.host.transports.emulator")


def preload() -> None:
    """Import the modules that every session needs, before the first session."""
    for name in PRELOADED:
        importlib.import_module(name)


def try_out(site: Site, model: Union[Path, PackedTar]) -> None:
    """Build a model for a test before the first trial.

    The build fails early if a tool is missing, and fills the cache with the device runtime for the trials.

    Args:
        site: Resources of the sessions.
        model: Model archive.

    Raises:
        PlatformError: The build failed.
    """
    options = server.coerce_options(project_options(site.served.boards), {"board": site.served.board})
    with tempfile.TemporaryDirectory(dir=str(site.scratch)) as place:
        build(generate(site.platform, model, Path(place) / "project", options), cache=TrialCache())


class TrialCache(Cache):
    """Cache of the libraries that all trials share, without the code of candidates, which runs only once."""

    def publish(self, name: str, file: Path) -> None:
        """Store a file if it is the library of the device runtime or of the platform."""
        if name.startswith(("libmicrotvm_runtime-", "libmicrotvm_platform-")):
            super().publish(name, file)


class Report:
    """Reports to the server of the board: one JSON object per line, with the key stage or failed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __call__(self, **what: str) -> None:
        """Send a report; `what` holds its keys and values."""
        with contextlib.suppress(OSError):  # the server is exiting, and will end this process
            self._connection.sendall(json.dumps(what).encode("ascii") + b"\n")


class BoardTransport:
    """Transport of a board whose read stops waiting when the session must end."""

    def __init__(self, transport: Transport, control: Control) -> None:
        self._transport = transport
        self._control = control
        self.open = functools.partial(open_when_ready, transport)
        self.close = transport.close
        self.write = transport.write

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        """Return 1 to `want` bytes, or raise Stopped when the session must end."""
        return read_in_slices(lambda seconds: self._transport.read(want, seconds), timeout_sec, self._control)


def run_in_child(connection: socket.socket, control: socket.socket, place: Path, site: Site) -> NoReturn:
    """Run one session in a forked process, and exit.

    Args:
        connection: Connection of the client.
        control: Socket to the server.
        place: Empty directory for the project.
        site: Resources of the sessions.
    """
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which ends this process
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, _stop)
        receive_signals()
        with contextlib.suppress(EOFError, Stopped):
            hold_session(connection, control, place, site)
        status = 0
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end_children()
        os._exit(status)


def _stop(_number: int, _frame: Optional[FrameType]) -> None:
    """End all children and exit. Closing a transport first would wait for a device that hangs."""
    end_children()
    sys.exit(1)


def hold_session(connection: socket.socket, control: socket.socket, place: Path, site: Site) -> None:
    """Serve one client from its first message to its last.

    Args:
        connection: Connection of the client.
        control: Socket to the server.
        place: Directory for the project.
        site: Resources of the sessions.

    Raises:
        EOFError: The client has ended the session.
        Stopped: The server ends this process.
    """
    end = Control(control)
    report = Report(control)
    caller = Caller(connection, end)
    too_long = _discard_too_long(connection)
    message = b"" if too_long else caller.message(MAX_REQUEST_BYTES)[1]
    caller.send(DONE)
    is_asked = False
    try:
        if too_long:
            raise too_long
        request = read_request(message, site.served)
        if request is None:
            report(stage="look")
            _look(caller)
        project = _build(request, report, place / "project", site)
        with _connected(project, end, report, site) as session:
            is_asked = True
            _relay(caller, session)
    except (EOFError, Stopped):
        raise
    except Exception as error:  # also an internal error: the client must get a reply
        failure = explained(error)
        if isinstance(failure, HostToolsFault):
            traceback.print_exc()
            failure = HostToolsFault(
                failure.what, "Report this error with the traceback that `serve` printed."
            )
    report(failed=failure.what)
    _refuse(caller, connection, failure, is_asked)


def _discard_too_long(connection: socket.socket) -> Optional[Refused]:
    """Read and drop a first message that is too long, so that the client can receive the error.

    Returns:
        The error, or None if the message has a valid length.
    """
    try:
        head = connection.recv(HEAD.size, socket.MSG_PEEK | socket.MSG_WAITALL)
        size = HEAD.unpack(head)[0] if len(head) == HEAD.size else 0
        if not MAX_REQUEST_BYTES < size <= MAX_DISCARDED_BYTES:
            return None
        left = LENGTH_BYTES + int(size)
        while left:
            part = connection.recv(min(left, PART_BYTES))
            if not part:
                raise EOFError
            left -= len(part)
    except OSError as error:
        raise EOFError from error
    return too_large(size)


def _build(request: Request, report: Report, place: Path, site: Site) -> Project:
    """Generate and build a project of the request's model archive, and flash the firmware."""
    report(stage="build")
    packed = PackedTar(place.with_suffix(".tar"), request.archive)
    project = generate(site.platform, packed, place, request.options)
    show_commands(bool(request.options["verbose"]))
    build(project, cache=TrialCache())
    report(stage="flash")
    flash(project, site.attachment)
    return project


@contextlib.contextmanager
def _connected(project: Project, control: Control, report: Report, site: Site) -> Iterator[Session]:
    """Open a session with the board. At its end send SHUTDOWN; a device that is a process then exits."""
    report(stage="run")
    transport = BoardTransport(connection.transport_for(project, site.attachment), control)
    transport.open()
    try:
        session = Session(transport, timeouts=TIMEOUTS, on_log=log_device)
        session.open()
        if not connection.is_local(project, site.attachment):
            check_firmware(RpcClient(session), project.settings.firmware_id)
        try:
            yield session
        finally:
            with contextlib.suppress(PlatformError):  # the device may be busy or disconnected
                session.send(encode_message(SHUTDOWN))
    finally:
        transport.close()


def _relay(caller: Caller, session: Session) -> NoReturn:
    """Relay requests to the board and replies to the client. A PlatformError leaves a request pending."""
    while True:
        code, message = caller.message()
        if code == SHUTDOWN:
            raise EOFError
        session.send(message)
        caller.send(session.receive())


def _look(caller: Caller) -> NoReturn:
    """Serve a client that checks the availability: the device exists and has no functions."""
    while True:
        code, message = caller.message()
        if code == SHUTDOWN:
            raise EOFError
        caller.send(encode_message(RETURN, encode_sequence([_seen(code, message)])))


def _seen(code: int, message: bytes) -> Value:
    if code == GET_GLOBAL_FUNC:
        return Handle(0)  # the function does not exist
    if code == DEV_GET_ATTR and decode_sequence(message, HEAD.size)[-1] == EXISTS:
        return 1
    return None


def _refuse(caller: Caller, connection: socket.socket, error: PlatformError, is_asked: bool) -> None:
    """Send the failure as the reply to the client's request, and to requests that follow immediately.

    The session ends after that, even if the client keeps its connection. The board is then free.

    Args:
        caller: Client.
        connection: Connection of the client.
        error: Failure.
        is_asked: The client has sent a request that has no reply yet.
    """
    kind = kind_of(error) if isinstance(error, (TransportError, ProtocolError)) else type(error).__name__
    log = f"\n{error.log[-LOG_TAIL_CHARS:]}" if error.log else ""
    text = f"{kind}: {error.what}\n{error.next_step}{log}".encode("utf-8", "backslashreplace").decode("utf-8")
    answer = encode_message(EXCEPTION, encode_sequence([text]))
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not is_asked:
        caller.message()
    caller.send(answer)
    while poll.poll(1000 * LINGER_SEC):
        code, _ = caller.message()
        if code == SHUTDOWN:
            return
        caller.send(answer)
