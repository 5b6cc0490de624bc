# SPDX-License-Identifier: Apache-2.0
"""The process between TVM and a device: TVM's RPC over TCP on one side, a session on the other.

Both carry the same messages (see rpc.py): u64 number of bytes that follow, i32 code, operands. On the TCP
side they follow one another, after a greeting: i32 magic, i32 length of a key, the key; answered in kind. On
the device's side each is one normal message of the session. The project's API server has opened the device,
and lends it; one that cannot is asked to read and to write.

It is a process of its own because TVM waits for some answers with the interpreter lock held: a thread of
TVM's process could not give them. It shares TVM's pipes to the API server. TVM must not use them until the
relay has ended, and the relay ends between two requests: soon after the control socket is closed, or when TVM
closes its connection. Then the device is told.

An error of the session answers the request that met it and each later one, as an exception whose text is a
kind (see KINDS), a colon and two sentences.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import struct
import sys
from typing import Any, Callable, Dict, Final, List, Optional, Protocol, Tuple

from runtime.host.client import ApiConnection
from runtime.host.errors import PlatformError, ProtocolError, TransportClosed, TransportTimeout
from runtime.host.framing import encode_frame
from runtime.host.rpc import (
    CALL_FUNC,
    COPY_FROM_REMOTE,
    EXCEPTION,
    NULL,
    RETURN,
    SHUTDOWN,
    encode_message,
    encode_sequence,
)
from runtime.host.session import HEADER, Session, Timeouts
from runtime.host.transports.base import Transport, deadline_in, remaining
from runtime.host.transports.lent import LentTransport, borrow

GREETING: Final = struct.Struct("<ii")  # magic, length of the key
MAGIC: Final = 0xFF271
MISMATCH: Final = MAGIC + 2
LONGEST_KEY: Final = 4096
HEAD: Final = struct.Struct("<Qi")  # number of bytes that follow, of which the code is the first 4
MAX_MESSAGE: Final = 1 << 20
"""Bytes. TVM splits what is longer than the packets of the device, which are some KiB."""

EMPTY_ANSWER: Final = len(encode_frame(bytes(HEADER.size) + encode_message(RETURN)))
"""Bytes on the wire of an answer without operands."""

SLICE_SEC: Final = 0.5
"""The longest that the API server is asked to wait: so soon the relay notices that it is to end."""


class Stopped(Exception):
    """The relay is to end."""


class Interrupted(PlatformError):
    """Ctrl-C came while TVM waited for an answer."""

    def __init__(self) -> None:
        super().__init__("The session was interrupted.", "Open a new session.")


KINDS: Final = (
    (TransportTimeout, "IoTimeoutError"),
    (TransportClosed, "TransportClosedError"),
    (ProtocolError, "SessionTerminatedError"),
    (Interrupted, "SessionTerminatedError"),
    (PlatformError, "RPCError"),
)
"""What TVM calls an error of the session; the first that fits."""


def kind_of(error: PlatformError) -> str:
    return next(kind for cls, kind in KINDS if isinstance(error, cls))


class Control:
    """The socket to the process that started the relay: a line of JSON each way, then the number of each
    signal that it gets as a byte, and then its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def task(self) -> Dict[str, Any]:
        """What connect.py asks for."""
        with self._connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            raise Stopped
        task: Dict[str, Any] = json.loads(line)
        return task

    def tell(self, error: Optional[PlatformError]) -> None:
        """Say how the session started."""
        report = (
            {} if error is None else {"kind": kind_of(error), "what": error.what, "next": error.next_step}
        )
        try:
            self._connection.sendall(json.dumps(report).encode("ascii") + b"\n")
        except OSError as problem:
            raise Stopped from problem

    def check(self) -> None:
        """Raise Stopped when the relay is to end, or Interrupted."""
        if self._poll.poll(0) and signal.SIGINT in self._signals():
            raise Interrupted

    def _signals(self) -> bytes:
        signals = self._connection.recv(64)
        if not signals:
            raise Stopped
        return signals

    def beside(self, other: socket.socket) -> Callable[[], None]:
        """A function that waits until the other socket can be read, or raises Stopped.

        A Ctrl-C in that time is for whatever TVM's process is doing.
        """
        both = select.poll()
        both.register(self._connection, select.POLLIN)
        both.register(other, select.POLLIN)
        ours = self._connection.fileno()

        def wait() -> None:
            while True:
                ready = {descriptor for descriptor, _ in both.poll()}
                if ours not in ready:
                    return
                self._signals()

        return wait


def read_in_slices(read: Callable[[float], bytes], timeout_sec: Optional[float], control: Control) -> bytes:
    """read(seconds), for no longer than SLICE_SEC at a time: in between control.check() may end it.

    Raises TransportTimeout when timeout_sec are over.
    """
    deadline = deadline_in(timeout_sec)
    while True:
        left = remaining(deadline)
        try:
            return read(SLICE_SEC if left is None else min(SLICE_SEC, left))
        except TransportTimeout:
            control.check()
            if left is not None and left <= SLICE_SEC:
                raise


class Device(Transport, Protocol):
    """The device behind an API server whose transport TVM has opened, and will close."""

    def expect(self, code: int, message: bytes) -> None:
        """TVM has asked this; it is written next, and its answer is read next."""


class LentDevice(LentTransport):
    """A device that the API server has lent: the quickest way to it."""

    def __init__(self, descriptors: Tuple[int, int], api: ApiConnection, control: Control) -> None:
        super().__init__(descriptors, ask_lender=lambda: api.read_transport(1, 0.0))
        self._api = api
        self._control = control

    def expect(self, code: int, message: bytes) -> None:
        """Raises TransportClosed where the API server is gone: the device may not have noticed yet."""
        if self._api.is_gone:
            raise self._gone()

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        read = super().read
        return read_in_slices(lambda seconds: read(want, seconds), timeout_sec, self._control)


class RequestedDevice:
    """A device that is read and written by requests to the API server, as TVM does it."""

    def __init__(self, api: ApiConnection, control: Control) -> None:
        self._api = api
        self._control = control
        self._expected = 0
        self._held_back: Optional[bytes] = None
        self._write_sec: Optional[float] = None

    def expect(self, code: int, message: bytes) -> None:
        """This saves requests to the API server: the write goes out together with the first read, and that
        reads the whole of a usual answer."""
        self._expected = answer_bytes(code, message)

    def open(self) -> None:
        """TVM has done it."""

    def close(self) -> None:
        """TVM will do it."""

    def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
        def read(seconds: float) -> bytes:
            data, self._held_back = self._held_back, None
            # A device that restarts sends less than an answer, so this much is asked for once.
            count, self._expected = max(want, self._expected), 0
            if data is None:
                return self._api.read_transport(count, seconds)
            return self._api.exchange(data, self._write_sec, count, seconds)

        return read_in_slices(read, timeout_sec, self._control)

    def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
        if self._expected:
            self._held_back = data
            self._write_sec = timeout_sec
        else:
            self._api.write_transport(data, timeout_sec)


def reach_device(api: ApiConnection, control: Control) -> Device:
    """The device of an API server, in the quickest way that this server knows."""
    try:
        return LentDevice(borrow(api.lend_transport), api, control)
    except (PlatformError, AttributeError):  # AttributeError: a system without such sockets
        return RequestedDevice(api, control)


def answer_bytes(code: int, message: bytes) -> int:
    """The least that the frame of an answer to this RPC message takes on the wire.

    An exception is longer than each of these, if it says anything.
    """
    if code == COPY_FROM_REMOTE:  # its last operand is how many bytes are asked for
        return EMPTY_ANSWER + int(struct.unpack_from("<Q", message, len(message) - 8)[0])
    if code == CALL_FUNC:
        return EMPTY_ANSWER + len(encode_sequence([NULL, None]))
    return EMPTY_ANSWER + len(encode_sequence([None]))


class Caller:
    """TVM's end of the conversation. Its methods raise EOFError when TVM has closed it."""

    def __init__(self, connection: socket.socket, control: Control) -> None:
        self._connection = connection
        self._wait = control.beside(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def greet(self, key: str) -> bool:
        """Whether the caller knows the key."""
        magic, length = GREETING.unpack(self._receive(GREETING.size))
        if (
            magic == MAGIC
            and 0 <= length <= LONGEST_KEY
            and self._receive(length) == f"client:{key}".encode()
        ):
            name = b"server:device"
            self.send(GREETING.pack(MAGIC, len(name)) + name)
            return True
        self.send(struct.pack("<i", MISMATCH))
        return False

    def message(self, most: int = MAX_MESSAGE) -> Tuple[int, bytes]:
        """The code of the next message, and all of it. Raises Stopped when the relay is to end.

        most: the longest message that is taken, in bytes.
        """
        self._wait()
        head = self._receive(HEAD.size)
        size, code = HEAD.unpack(head)
        if not 4 <= size <= most:
            raise EOFError(f"a message of {size} bytes")
        return code, head + self._receive(size - 4)

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise EOFError from error

    def _receive(self, size: int) -> bytes:
        parts: List[bytes] = []
        while size:
            try:
                part = self._connection.recv(size)
            except OSError as error:
                raise EOFError from error
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def relay(caller: Caller, session: Session, device: Device) -> None:
    """Answer requests until TVM is done with the device (EOFError, too) or the relay is to end (Stopped)."""
    failure = b""
    while True:
        code, message = caller.message()
        if code == SHUTDOWN:
            return
        if not failure:
            try:
                device.expect(code, message)
                session.send(message)
                caller.send(session.receive())
                continue
            except PlatformError as error:
                text = f"{kind_of(error)}: {error.what}\n{error.next_step}"
                failure = encode_message(EXCEPTION, encode_sequence([text]))
        caller.send(failure)


def accept(listener: socket.socket, key: str, control: Control) -> Caller:
    """TVM's connection; whoever else comes by is sent away. Raises Stopped when the relay is to end."""
    wait = control.beside(listener)
    while True:
        wait()
        connection, _ = listener.accept()
        connection.settimeout(SLICE_SEC)  # a stranger is not waited for
        caller = Caller(connection, control)
        with contextlib.suppress(EOFError):
            if caller.greet(key):
                connection.settimeout(None)
                return caller
        connection.close()


def serve(control: Control) -> None:
    """Open a session as asked for, say so, and relay."""
    task = control.task()
    api = ApiConnection("the project", task["read_fd"], task["write_fd"])
    device = reach_device(api, control)
    device.open()
    session = Session(device, timeouts=Timeouts(*task["timeouts"]), on_log=_show)
    try:
        session.open()
    except PlatformError as error:
        control.tell(error)
        return
    control.tell(None)
    try:
        with socket.socket(fileno=task["listener_fd"]) as listener:
            caller = accept(listener, task["key"], control)
        with contextlib.suppress(EOFError):
            relay(caller, session, device)
        is_open = True  # TVM has dropped the connection, and may never close its transport
    except Stopped:
        is_open = False
    with contextlib.suppress(PlatformError):  # the device may be in the middle of something, or gone
        session.send(encode_message(SHUTDOWN))
    device.close()
    if is_open:
        with contextlib.suppress(PlatformError):
            api.close_transport()


def _show(text: str) -> None:
    print(f"device: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """The relay process. Its only argument is the descriptor of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for TVM's process, which then ends the relay
    with contextlib.suppress(Stopped):
        serve(Control(socket.socket(fileno=int(sys.argv[1]))))
