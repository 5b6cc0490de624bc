# SPDX-License-Identifier: Apache-2.0
"""The process between TVM and a device: TVM's RPC over TCP on one side, a session on the other.

Both carry the same messages (see wire/rpc.py). On the TCP side they follow one another (see
tvm_rpc/connection.py), on the device's side each is one normal message of the session (see device_access.py).

It is a process of its own because TVM waits for some answers with the interpreter lock held: a thread of
TVM's process could not give them. It shares TVM's pipes to the API server. TVM must not use them until the
relay has ended, and the relay ends between two requests: soon after the control socket is closed, or when TVM
closes its connection. Then the device is told.

An error of the session answers the request that met it and each later one, as an exception whose text is a
kind (see control.py), a colon and two sentences.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys

from runtime.host.errors import PlatformError
from runtime.host.system.logs import log_device
from runtime.host.tvm_rpc.connection import Caller
from runtime.host.tvm_rpc.control import SLICE_SEC, Control, Stopped, kind_of
from runtime.host.tvm_session.device_access import Device, reach_device
from runtime.host.wire.api_client import ApiConnection
from runtime.host.wire.rpc import EXCEPTION, SHUTDOWN, encode_message, encode_sequence
from runtime.host.wire.session import Session, Timeouts


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
    session = Session(device, timeouts=Timeouts(*task["timeouts"]), on_log=log_device)
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


def main() -> None:
    """The relay process. Its only argument is the descriptor of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for TVM's process, which then ends the relay
    with contextlib.suppress(Stopped):
        serve(Control(socket.socket(fileno=int(sys.argv[1]))))
