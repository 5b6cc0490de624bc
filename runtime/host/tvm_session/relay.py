# SPDX-License-Identifier: Apache-2.0
"""Relay process between TVM and a device: TVM's RPC over TCP on one side, a session on the other.

Both sides carry the same messages (wire/rpc.py). On the TCP side the messages follow one another
(tvm_rpc/connection.py). On the device's side each is one normal message of the session (device_access.py).

The relay is a separate process because TVM waits for some replies with the interpreter lock held. A thread of
TVM's process could not send them. The relay shares TVM's pipes to the API server, so TVM must not use the
pipes until the relay has exited. The relay exits between two requests, soon after the control socket is
closed, or when TVM closes its connection. It then ends the session with the device.

After an error of the session, the reply to the current request and to all later ones is an exception. Its
text is a kind (tvm_rpc/control.py), a colon and two sentences.
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
    """Relay requests and replies until TVM sends Shutdown.

    Args:
        caller: Connection of TVM.
        session: Open session with the device.
        device: Device of the session.

    Raises:
        EOFError: When TVM closes its connection.
        Stopped: When the relay must exit.
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
    """Return TVM's connection. Other clients are rejected.

    Args:
        listener: Listening socket.
        key: Key that TVM sends.
        control: Control socket of this process.

    Raises:
        Stopped: When the relay must exit.
    """
    wait = control.waiter_for(listener)
    while True:
        wait()
        connection, _ = listener.accept()
        connection.settimeout(SLICE_SEC)  # a client that sends nothing must not block
        caller = Caller(connection, control)
        with contextlib.suppress(EOFError):
            if caller.greet(key):
                connection.settimeout(None)
                return caller
        connection.close()


def serve(control: Control) -> None:
    """Open the requested session, report the result, and relay."""
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
        is_open = True  # TVM has closed its connection, and may never close its transport
    except Stopped:
        is_open = False
    with contextlib.suppress(PlatformError):  # the device may be busy or gone
        session.send(encode_message(SHUTDOWN))
    device.close()
    if is_open:
        with contextlib.suppress(PlatformError):
            api.close_transport()


def main() -> None:
    """Run the relay process. Its only argument is the file descriptor of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for TVM's process, which ends the relay
    with contextlib.suppress(Stopped):
        serve(Control(socket.socket(fileno=int(sys.argv[1]))))
