# SPDX-License-Identifier: Apache-2.0
"""The connection that tvm.micro.Session asks for: a relay process, and TVM's own RPC to it."""

from __future__ import annotations

import contextlib
import importlib
import json
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Final, List, Sequence

from runtime.host.errors import PlatformError
from runtime.host.system.processes import end_process
from runtime.host.tvm_session.errors import session_error

ROOT: Final = Path(__file__).resolve().parents[3]
PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from runtime.host.tvm_session.relay import main; main()"
)
GRACE_SEC: Final = 5.0
"""What a relay gets to end itself. It does so within half a second unless the API server hangs."""

_given: List[int] = []  # the descriptor that signals go to, if that is of a relay
_relays: List[Relay] = []  # that may be running: TVM keeps a connection, and nobody keeps its Session


class Relay:
    """A relay process, from its start to stop()."""

    def __init__(self, api_client: Any, timeouts: Sequence[float]) -> None:
        """Starts it, and waits for its session with the device. Raises an error of TVM's.

        api_client: TVM's client of the project's API server, whose transport is open. timeouts: the three of
        the Project API, in their order, in seconds.
        """
        key = secrets.token_hex(16)
        self._receives_signals = False
        self._control, theirs = socket.socketpair()
        pipes = {"read_fd": api_client.read_file.fileno(), "write_fd": api_client.write_file.fileno()}
        listener = socket.create_server(("127.0.0.1", 0))
        with theirs, listener:
            passed = {"listener_fd": listener.fileno(), **pipes}
            # Without the packages of this interpreter, which it does not need, it starts twice as fast.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", PROGRAM, str(ROOT), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *passed.values()),
            )
            port = listener.getsockname()[1]
        _relays.append(self)
        try:
            task = {**passed, "key": key, "timeouts": timeouts}
            self._control.sendall(json.dumps(task).encode("ascii") + b"\n")
            self._await_session()
            self._pass_signals_on()
            # With no arguments for the device: those that Connect takes on top are for other servers.
            self.rpc = importlib.import_module("tvm.rpc._ffi_api").Connect("127.0.0.1", port, key, False)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the relay. TVM may then use its API client again. Safe to call twice."""
        with contextlib.suppress(ValueError):
            _relays.remove(self)
        if self._receives_signals:
            self._receives_signals = False
            _send_signals_to([relay for relay in _relays if relay._receives_signals])
        self._control.close()
        end_process(self._process, GRACE_SEC)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _pass_signals_on(self) -> None:
        """Let Ctrl-C reach the relay, which then answers in place of the device: TVM itself waits on."""
        self._control.setblocking(False)
        self._receives_signals = True
        self._receives_signals = _send_signals_to([self])

    @property
    def control_fd(self) -> int:
        return self._control.fileno()

    def _await_session(self) -> None:
        with self._control.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            raise session_error(
                "TransportClosedError",
                "The process between TVM and the device ended before there was a session.\n"
                "What it printed says why.",
            )
        report: Dict[str, str] = json.loads(line)
        if report:
            raise session_error(report["kind"], f"{report['what']}\n{report['next']}")


def _send_signals_to(relays: List[Relay]) -> bool:
    """Let the last of these relays, or none, have the signals from now on.

    False where that is not for us to say: in another thread, and where an event loop has them.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    descriptor = relays[-1].control_fd if relays else -1
    before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    if before not in (-1, *_given):
        signal.set_wakeup_fd(before)
        return False
    _given[:] = [descriptor]
    return True


class ClosingTransport:
    """A session's transport, whose end is also the end of the relay."""

    def __init__(self, transport: Any, relay: Relay, api_client: Any) -> None:
        self._transport = transport
        self._relay = relay
        self._api_client = api_client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def __exit__(self, *error: Any) -> Any:
        self._relay.stop()
        gone = importlib.import_module("tvm.micro.project_api.client").ConnectionShutdownError
        try:
            return self._transport.__exit__(*error)
        except (OSError, gone):  # with the API server its transport is closed; that is what `error` says
            with contextlib.suppress(OSError):
                self._api_client.shutdown()
            return None


def connect(
    _session_name: str,
    _write: Callable[..., Any],
    _read: Callable[..., Any],
    retry_usec: int,
    start_usec: int,
    established_usec: int,
    cleanup: Callable[[], None],
    _enable_logging: bool = False,
) -> Any:
    """What TVM knows as micro._rpc_connect: an RPC session with the device, whose timeouts are microseconds.

    write and read are methods of the tvm.micro.Session as cleanup is. They are not called: the relay writes
    to the API server and reads from it in TVM's place.
    """
    session = getattr(cleanup, "__self__", None)
    transport = getattr(session, "transport_context_manager", None)
    api_client = getattr(transport, "_api_client", None)
    if session is None or api_client is None:
        raise PlatformError(
            "This TVM was built without microTVM, and what stands in for it reaches projects only.",
            "Give tvm.micro.Session the transport() of a project, or use a TVM built with USE_MICRO.",
        )
    for relay in [relay for relay in _relays if relay.has_ended]:
        relay.stop()
    relay = Relay(api_client, [usec / 1e6 for usec in (retry_usec, start_usec, established_usec)])
    session.transport = ClosingTransport(session.transport, relay, api_client)
    return relay.rpc
