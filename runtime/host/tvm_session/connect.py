# SPDX-License-Identifier: Apache-2.0
"""Connection of tvm.micro.Session to a device: a relay process, and TVM's own RPC to the relay."""

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
"""Time in seconds for a relay to exit. It exits within half a second unless the API server hangs."""

_given: List[int] = []  # the descriptor that receives signals, if it belongs to a relay
_relays: List[Relay] = []  # may be running: TVM can keep a connection without its Session


class Relay:
    """Relay process, from its start to stop()."""

    def __init__(self, api_client: Any, timeouts: Sequence[float]) -> None:
        """Start the relay, and wait until it has a session with the device.

        Args:
            api_client: TVM's client of the project's API server, with an open transport.
            timeouts: Retry, start and established timeout of TVM's session, in seconds.

        Raises:
            Exception: An error class of TVM, when no session was established.
        """
        key = secrets.token_hex(16)
        self._receives_signals = False
        self._control, theirs = socket.socketpair()
        pipes = {"read_fd": api_client.read_file.fileno(), "write_fd": api_client.write_file.fileno()}
        listener = socket.create_server(("127.0.0.1", 0))
        with theirs, listener:
            passed = {"listener_fd": listener.fileno(), **pipes}
            # Without the site packages, which the relay does not need, it starts twice as fast.
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
            # No further arguments: they are for servers other than devices.
            self.rpc = importlib.import_module("tvm.rpc._ffi_api").Connect("127.0.0.1", port, key, False)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the relay. TVM may then use its API client again. Later calls have no effect."""
        with contextlib.suppress(ValueError):
            _relays.remove(self)
        if self._receives_signals:
            self._receives_signals = False
            _send_signals_to([relay for relay in _relays if relay._receives_signals])
        self._control.close()
        end_process(self._process, GRACE_SEC)

    @property
    def has_ended(self) -> bool:
        """True after the relay process has exited."""
        return self._process.poll() is not None

    def _pass_signals_on(self) -> None:
        """Forward Ctrl-C to the relay.

        The relay then sends a reply in place of the device. TVM itself continues to wait after Ctrl-C.
        """
        self._control.setblocking(False)
        self._receives_signals = True
        self._receives_signals = _send_signals_to([self])

    @property
    def control_fd(self) -> int:
        """File descriptor of the socket to the relay."""
        return self._control.fileno()

    def _await_session(self) -> None:
        with self._control.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            raise session_error(
                "TransportClosedError",
                "The relay process exited before a session was established.\n"
                "See the output of the relay above.",
            )
        report: Dict[str, str] = json.loads(line)
        if report:
            raise session_error(report["kind"], f"{report['what']}\n{report['next']}")


def _send_signals_to(relays: List[Relay]) -> bool:
    """Forward signals to the last of these relays, or to none.

    Returns:
        Whether the signals are forwarded. They are not forwarded in other threads, nor when an event loop
        already receives them.
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
    """Transport of a session that also ends the relay when it is closed."""

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
        except (OSError, gone):  # the API server is gone, and its transport closed; `error` reports it
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
    """Return an RPC session with the device: TVM's function micro._rpc_connect.

    TVM's other arguments are methods of tvm.micro.Session, as `cleanup` is. They are not called, because the
    relay writes to the API server and reads from it in place of TVM.

    Args:
        retry_usec: Interval between attempts to start a session, in microseconds.
        start_usec: Timeout for the start of a session, in microseconds.
        established_usec: Timeout for a reply in an established session, in microseconds.
        cleanup: Method of the tvm.micro.Session to connect.

    Raises:
        PlatformError: When the session has no API server of a project.
    """
    session = getattr(cleanup, "__self__", None)
    transport = getattr(session, "transport_context_manager", None)
    api_client = getattr(transport, "_api_client", None)
    if session is None or api_client is None:
        raise PlatformError(
            "This TVM was built without microTVM, and runtime.host.tvm_micro supports only projects.",
            "Pass the transport() of a project to tvm.micro.Session, or use a TVM built with USE_MICRO.",
        )
    for relay in [relay for relay in _relays if relay.has_ended]:
        relay.stop()
    relay = Relay(api_client, [usec / 1e6 for usec in (retry_usec, start_usec, established_usec)])
    session.transport = ClosingTransport(session.transport, relay, api_client)
    return relay.rpc
