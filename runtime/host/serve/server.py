# SPDX-License-Identifier: Apache-2.0
"""Server of one board on TVM's RPC: offers the board to a tracker and runs one session at a time.

Each session runs in a forked process (trial.py), so no candidate and no tool can affect the server. When the
client disconnects or the session timeout expires, the server ends the process and all its children. The
server uses no threads, because it forks.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Final, Iterator, List, NoReturn, Optional

from runtime.host.errors import PlatformError, reason_of
from runtime.host.serve.processes import hold_signals, receive_signals
from runtime.host.serve.trial import Site, run_in_child
from runtime.host.system.processes import end_fork
from runtime.host.tvm_rpc.listener import Client, Listener
from runtime.host.tvm_rpc.tracker import Address, Tracker, TrackerLost
from runtime.host.wire.messages import EXCEPTION, encode_message, encode_sequence
from runtime.server import printable, shortened

FIRST_REQUEST_SEC: Final = 30.0  # limit of the first request, which contains the model archive
TELL_SEC: Final = 2.0  # limit of the last reply to a client
LOOK_SEC: Final = 2.0  # interval between polls of the tracker
MAX_MISSED_POLLS: Final = 3  # re-offer the board after this many polls without its client connecting
REJOIN_SEC: Final = 1.0  # interval between attempts to reach the tracker
GRACE_SEC: Final = 4.0  # time for a session to release the board after SIGTERM
HANG_UP_SEC: Final = 1.0  # time for a session to detect that its client has disconnected
HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)
REPORT_BYTES: Final = 4096
LONGEST_FAILURE: Final = 2000  # characters of a printed failure
EVERYWHERE: Final = ("", "0.0.0.0", "::")

STAGES: Final = {
    "": "waiting for the client",
    "look": "checking the availability of the board",
    "build": "building the model",
    "flash": "flashing the board",
    "run": "running on the board",
}
OUTCOMES: Final = {
    "": "client disconnected without a request",
    "look": "availability check",
}  # "done" for all others


class Server:
    """Server of one board.

    Args:
        site: Platform, board and directory of the sessions.
        tracker: Address of TVM's RPC tracker.
        host: Address to listen on; "" for all addresses.
        port: TCP port to listen on; 0 selects a free one.
        say: Function that prints a line of text.
        lifeline: Socket that closes when the parent process exits; the server then exits.

    Raises:
        PlatformError: The server cannot listen on the address.
    """

    def __init__(
        self,
        site: Site,
        tracker: Address,
        host: str,
        port: int,
        say: Callable[[str], None],
        lifeline: Optional[socket.socket] = None,
    ) -> None:
        self._site = site
        self._tracker_address = tracker
        self._say = say
        self._lifeline = lifeline
        self._sessions = 0
        self._has_joined = False
        try:
            family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise PlatformError(
                f"Cannot listen on {host}:{port}: {reason_of(error)}.",
                "Set --host to an address of this machine, and --listen-port to a free port or 0.",
            ) from error
        self._host = host
        self._port = int(listener.getsockname()[1])
        self._listener = Listener(listener, site.served.key)
        self._tracker: Optional[Tracker] = None

    def run(self) -> NoReturn:
        """Serve clients without a limit.

        Raises:
            SystemExit: The lifeline has closed, or the handler of a signal raised it.
            PlatformError: The address of the tracker is wrong, or another program replies there.
        """
        with contextlib.closing(self._listener):
            while True:
                client = self._next_client()
                with client.connection:
                    self._hold_session(client)

    def _next_client(self) -> Client:
        """Offer the board until a client connects; join the tracker again after a failure."""
        while True:
            if self._tracker is None:
                self._tracker = self._join()
            try:
                return self._await_client(self._tracker)
            except PlatformError as error:  # also for an invalid reply of the tracker
                self._say(f"{error.what} Trying again.")
                self._tracker.close()
                self._tracker = None
                self._wait([], REJOIN_SEC)

    def _join(self) -> Tracker:
        reachable_at = None if self._host in EVERYWHERE else self._host
        told = False
        while True:
            try:
                tracker = Tracker(self._tracker_address, self._site.served.key, reachable_at, self._port)
            except PlatformError as error:
                if not (self._has_joined or isinstance(error, TrackerLost)):
                    raise  # the address is wrong: retrying cannot help
                if not told:
                    self._say(f"{error.what} Trying again every {REJOIN_SEC:g} s. {error.next_step}")
                told = True
                self._wait([], REJOIN_SEC)
            else:
                host, port = self._tracker_address
                self._say(
                    f"{self._site.served.board} is served as {self._site.served.key}"
                    f" on {self._host or '*'}:{self._port}, tracker {host}:{port}"
                )
                self._has_joined = True
                return tracker

    def _await_client(self, tracker: Tracker) -> Client:
        match_key = tracker.offer()
        looks, look_at = 0, time.monotonic() + LOOK_SEC
        while True:
            wanted = [*self._listener.descriptors(), tracker.fileno()]
            ready = self._wait(wanted, max(0.0, look_at - time.monotonic()))
            client = self._listener.next_client(ready, match_key)
            if client is not None:
                return client
            if tracker.fileno() not in ready and time.monotonic() < look_at:
                continue
            look_at = time.monotonic() + LOOK_SEC
            looks += 1
            if tracker.is_waiting(match_key):  # raises if the tracker has closed the connection
                looks = 0
            elif looks == MAX_MISSED_POLLS:
                match_key = tracker.offer()
                looks = 0

    def _wait(self, descriptors: List[int], seconds: float) -> List[int]:
        """Return the descriptors that can be read. Raise SystemExit when the lifeline closes."""
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        if self._lifeline is not None:
            poll.register(self._lifeline, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(1000 * seconds)]
        if self._lifeline is not None and self._lifeline.fileno() in ready:
            raise SystemExit(0)
        return ready

    def _hold_session(self, client: Client) -> None:
        self._sessions += 1
        place = Path(tempfile.mkdtemp(dir=str(self._site.scratch)))
        try:
            with self._worker(client.connection, place) as worker:
                worker.supervise(client, self._lifeline)
            if worker.is_late and client.limit_sec is not None:
                _tell_late(client, worker.stage)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        took = worker.seconds()
        self._say(f"session {self._sessions}: {worker.outcome()}" + (f" ({took})" if took else ""))

    @contextlib.contextmanager
    def _worker(self, connection: socket.socket, place: Path) -> Iterator[Worker]:
        """Fork the process of a session; end the process at the end of the block."""
        ours, theirs = socket.socketpair()
        hold_signals()
        process_id = os.fork()
        if process_id == 0:
            ours.close()
            self._listener.close()
            if self._tracker is not None:
                self._tracker.close()
            run_in_child(connection, theirs, place, self._site)
        theirs.close()
        worker = Worker(process_id, ours)
        try:
            receive_signals()
            yield worker
        finally:
            worker.end()


class Worker:
    """Process of one session, as seen by the server.

    Args:
        process_id: Id of the forked process.
        reports: Socket that receives the reports of the process.
    """

    def __init__(self, process_id: int, reports: socket.socket) -> None:
        self._process_id = process_id
        self._reports = reports
        self._text = b""
        self._failure = ""
        self._has_vanished = False
        self._begun = [("", time.monotonic())]
        self.is_late = False

    @property
    def stage(self) -> str:
        """Current stage of the session, a key of STAGES."""
        return self._begun[-1][0]

    def supervise(self, client: Client, lifeline: Optional[socket.socket]) -> None:
        """Wait until the session ends, its client disconnects or its timeout expires.

        Raises:
            SystemExit: The lifeline has closed.
        """
        begun = time.monotonic()
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        poll.register(client.connection, HANG_UP)
        if lifeline is not None:
            poll.register(lifeline, select.POLLIN)
        while True:
            limit = client.limit_sec if self.stage else min(client.limit_sec or math.inf, FIRST_REQUEST_SEC)
            left = None if limit is None else max(0.0, begun + limit - time.monotonic())
            ready = [descriptor for descriptor, _ in poll.poll(None if left is None else 1000 * left)]
            if not ready:
                self.is_late = True
                return
            if lifeline is not None and lifeline.fileno() in ready:
                raise SystemExit(0)
            if self._reports.fileno() in ready:
                if not self._read_reports():
                    return
            else:
                cannot_see_hangup = self.stage in ("build", "flash") and not self._failure
                self._has_vanished = cannot_see_hangup or not self._ends_within(HANG_UP_SEC)
                return

    def end(self) -> None:
        """End the process and all its children, with signals blocked."""
        hold_signals()
        try:
            end_fork(self._process_id, GRACE_SEC, self._ends_within)
        finally:
            self._reports.close()
            receive_signals()

    def outcome(self) -> str:
        """Return the result of the session in words."""
        if self.is_late:
            return f"timeout while {STAGES[self.stage]}"
        if self._failure:
            return self._failure
        if self._has_vanished:
            return f"client disconnected while {STAGES[self.stage]}"
        return OUTCOMES.get(self.stage, "done")

    def seconds(self) -> str:
        """Return the time of each stage: "build 1.20 s, flash 0.30 s"."""
        ends = [moment for _, moment in self._begun[1:]] + [time.monotonic()]
        return ", ".join(
            f"{stage} {end - begun:.2f} s"
            for (stage, begun), end in zip(self._begun, ends)
            if stage not in OUTCOMES
        )

    def _ends_within(self, seconds: float) -> bool:
        """Return whether the process exits within `seconds`; its end of the socket closes at the exit."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        while poll.poll(1000 * max(0.0, until - time.monotonic())):
            if not self._read_reports():
                return True
        return False

    def _read_reports(self) -> bool:
        """Process the next reports. Return whether the process is still running."""
        try:
            data = self._reports.recv(REPORT_BYTES)
        except OSError:
            return False
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            said: Dict[str, str] = json.loads(line)
            if "stage" in said:
                self._begun.append((said["stage"], time.monotonic()))
            self._failure = _on_one_line(said.get("failed", self._failure))
        return bool(data)


def _on_one_line(text: str) -> str:
    """Return `text`, parts of which come from the client, as one printable line."""
    return printable(shortened(text, LONGEST_FAILURE)).replace("\n", "\\n")


def _tell_late(client: Client, stage: str) -> None:
    """Send a client the timeout error, with the name from which TVM raises RPCSessionTimeoutError."""
    text = (
        f"RPCSessionTimeoutError: The session timeout of {client.limit_sec:g} s expired while "
        f"{STAGES[stage]}. Increase the timeout of the runner, or check whether this candidate hangs."
    )
    with contextlib.suppress(OSError):
        client.connection.settimeout(TELL_SEC)
        client.connection.sendall(encode_message(EXCEPTION, encode_sequence([text])))
