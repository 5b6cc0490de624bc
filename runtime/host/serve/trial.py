# SPDX-License-Identifier: Apache-2.0
"""One client's session with a served board, in a process of its own: build, flash, and relay.

Whatever fails is the answer to the client's next request, as an exception whose text is the kind of the
failure and its sentences. It is not the answer to the first message, which opens the session: when that
fails, TVM's client asks the tracker for the board again, five times over, and loses the text.
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
from typing import Final, Iterator, NamedTuple, NoReturn, Optional

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
EXISTS: Final = 0  # the attribute of a device that says whether it is there
LOG_TAIL_CHARS: Final = 2000
LINGER_SEC: Final = 0.2
LENGTH_BYTES: Final = 8  # of a message, which do not count in it
MAX_DISCARDED_BYTES: Final = 1 << 30  # what claims to be longer is no request
PART_BYTES: Final = 1 << 16
DONE: Final = encode_message(RETURN, encode_sequence([None]))


class Site(NamedTuple):
    """What sessions are built and run with.

    platform: see lean_copy. attachment: of the board. scratch: where projects are written.
    """

    platform: Platform
    served: Served
    attachment: Attachment
    scratch: Path


def lean_copy(platform: Platform, place: Path) -> Platform:
    """The platform without its host tools. Each trial generates a project, and a copy of them would take
    longer than all else in it; they are not part of a firmware."""
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


# What a trial imports, so that not each process does it anew.
PRELOADED: Final = ("tarfile", "runtime.host.transports.process", "runtime.host.transports.emulator")


def preload() -> None:
    """Import what each session needs, before there are any."""
    for name in PRELOADED:
        importlib.import_module(name)


def try_out(site: Site, model: Path) -> None:
    """Build a model as a trial is built: a compiler that is missing is told before there are trials, and none
    has to wait for the device runtime to be compiled. Raises PlatformError."""
    options = server.coerce_options(project_options(site.served.boards), {"board": site.served.board})
    with tempfile.TemporaryDirectory(dir=str(site.scratch)) as place:
        build(generate(site.platform, model, Path(place) / "project", options), cache=TrialCache())


class TrialCache(Cache):
    """Keeps what trials have in common. A candidate is measured once, and its code is not asked for again."""

    def publish(self, name: str, file: Path) -> None:
        if name.startswith(("libmicrotvm_runtime-", "libmicrotvm_platform-")):
            super().publish(name, file)


class Report:
    """What the server of the board is told, a line of JSON each: stage, failed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __call__(self, **what: str) -> None:
        with contextlib.suppress(OSError):  # the server is gone, and ends us
            self._connection.sendall(json.dumps(what).encode("ascii") + b"\n")


class BoardTransport:
    """A transport of the board at hand that stops waiting when the session is to end."""

    def __init__(self, transport: Transport, control: Control) -> None:
        self._transport = transport
        self._control = control
        self.open = functools.partial(open_when_ready, transport)
        self.close = transport.close
        self.write = transport.write

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        return read_in_slices(lambda seconds: self._transport.read(want, seconds), timeout_sec, self._control)


def run_in_child(connection: socket.socket, control: socket.socket, place: Path, site: Site) -> NoReturn:
    """The whole life of a process that holds one session. place: an empty directory for its project."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends us
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
    """End at once: a device that hangs would be given time to end by itself when its transport is closed."""
    end_children()
    sys.exit(1)


def hold_session(connection: socket.socket, control: socket.socket, place: Path, site: Site) -> None:
    """Answer one client from its first message to its last. Raises EOFError or Stopped at its end."""
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
    except Exception as error:  # also a fault of ours: the client gets an answer all the same
        failure = explained(error)
        if isinstance(failure, HostToolsFault):
            traceback.print_exc()
            failure = HostToolsFault(
                failure.what, "This is a fault of the board's host tools. What serve has printed shows where."
            )
    report(failed=failure.what)
    _refuse(caller, connection, failure, is_asked)


def _discard_too_long(connection: socket.socket) -> Optional[Refused]:
    """Take a first message that is too long off the connection, so that its client hears why."""
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
    """A project of the request's model archive, built and on the board."""
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
    """A session with the board. The board is told of its end, and a device that is a process ends with it."""
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
            with contextlib.suppress(PlatformError):  # it may be in the middle of something, or gone
                session.send(encode_message(SHUTDOWN))
    finally:
        transport.close()


def _relay(caller: Caller, session: Session) -> NoReturn:
    """Pass requests on to the board, and its answers back. A PlatformError leaves a request unanswered."""
    while True:
        code, message = caller.message()
        if code == SHUTDOWN:
            raise EOFError
        session.send(message)
        caller.send(session.receive())


def _look(caller: Caller) -> NoReturn:
    """Answer a client that has no model: there is a device, and no function in it."""
    while True:
        code, message = caller.message()
        if code == SHUTDOWN:
            raise EOFError
        caller.send(encode_message(RETURN, encode_sequence([_seen(code, message)])))


def _seen(code: int, message: bytes) -> Value:
    if code == GET_GLOBAL_FUNC:
        return Handle(0)  # there is no such function
    if code == DEV_GET_ATTR and decode_sequence(message, HEAD.size)[-1] == EXISTS:
        return 1
    return None


def _refuse(caller: Caller, connection: socket.socket, error: PlatformError, is_asked: bool) -> None:
    """Answer with the failure what the client has asked, and what it asks at once thereupon.

    is_asked: whether a request is without an answer yet. Then the session ends: its client may keep the
    connection for as long as it likes, and the board is free.
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
