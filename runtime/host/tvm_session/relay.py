# SPDX-License-Identifier: Apache-2.0
"""Relay process between TVM and a device: TVM's RPC over TCP on one side, a session on the other.

Both sides carry the same messages (wire/messages.py). On the TCP side the messages follow one another
(tvm_rpc/connection.py). On the device's side each is one normal message of the session (wire/session.py).

TVM waits for some replies with the interpreter lock held, and a thread of TVM's process could not send them.
So the relay is a separate process. It shares TVM's pipes to the API server, and TVM must not use these pipes
until the relay has exited. The relay exits between two requests: soon after the control socket is closed, or
when TVM closes its connection. Before it exits, it sends Shutdown to the device.

After an error of the session, the relay replies to that request and to each later one with an exception. The
message of the exception is a kind (control.KINDS), a colon and two sentences.
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
from runtime.host.wire.messages import EXCEPTION, SHUTDOWN, encode_message, encode_sequence
from runtime.host.wire.session import Session, Timeouts


def relay(caller: Caller, session: Session, device: Device) -> None:
    """Forward requests to the device, and replies to TVM, until TVM sends Shutdown.

    Args:
        caller: Connection from TVM.
        session: Session with the device.
        device: The device of the session.

    Raises:
        EOFError: TVM has closed the connection.
        Stopped: The relay must exit.
    """
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
    """Return the connection from TVM, and disconnect all other clients.

    Args:
        listener: Listening socket.
        key: Key that TVM sends in its greeting.
        control: Control socket of the relay.

    Raises:
        Stopped: The relay must exit.
    """
    wait = control.waiter_for(listener)
    while True:
        wait()
        connection, _ = listener.accept()
        connection.settimeout(SLICE_SEC)  # another client must not block TVM
        caller = Caller(connection, control)
        with contextlib.suppress(EOFError):
            if caller.greet(key):
                connection.settimeout(None)
                return caller
        connection.close()


def serve(control: Control) -> None:
    """Open the session of the task, report the result to TVM's process, and relay messages."""
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
        is_open = True  # TVM has closed the connection, and may never close its transport
    except Stopped:
        is_open = False
    with contextlib.suppress(PlatformError):  # the session may have ended, or the device may be gone
        session.send(encode_message(SHUTDOWN))
    device.close()
    if is_open:
        with contextlib.suppress(PlatformError):
            api.close_transport()


def main() -> None:
    """Run the relay process, whose only argument is the file descriptor of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # TVM's process handles Ctrl-C and forwards it
    with contextlib.suppress(Stopped):
        serve(Control(socket.socket(fileno=int(sys.argv[1]))))
