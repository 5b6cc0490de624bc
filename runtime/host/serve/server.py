# SPDX-License-Identifier: Apache-2.0
"""A board on TVM's RPC: it listens, is offered to the tracker, and has one session at a time.

Each session is a process (see trial.py). So nothing that a candidate or a tool does reaches the server, which
ends it when its client has vanished or its time is up, with all that it started. The server has no threads:
it forks.
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

FIRST_REQUEST_SEC: Final = 30.0  # a client says at once what it wants; so long a model archive may take
TELL_SEC: Final = 2.0  # for a client to take its last answer
LOOK_SEC: Final = 2.0  # how often the tracker is asked whether the board is given away
MAX_MISSED_POLLS: Final = 3  # whoever was given it has not come in so many: it is offered again
REJOIN_SEC: Final = 1.0  # before each try to reach a tracker that is gone
GRACE_SEC: Final = 4.0  # what a session gets to give the board back
HANG_UP_SEC: Final = 1.0  # what it gets to notice by itself that its client has gone
HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)
REPORT_BYTES: Final = 4096
LONGEST_FAILURE: Final = 2000  # characters of a line of text
EVERYWHERE: Final = ("", "0.0.0.0", "::")

STAGES: Final = {
    "": "waiting for the client",
    "look": "looking at the board",
    "build": "building the model",
    "flash": "flashing the board",
    "run": "running on the board",
}
OUTCOMES: Final = {"": "its client asked for nothing", "look": "looked at"}  # "done" for all others


class Server:
    """Serves one board. say: takes a line of text for whoever watches.

    host: the address to listen on; port: 0 for any that is free. lifeline: a socket whose end is the server's
    end.
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
                f"Nothing can listen on {host}:{port}: {reason_of(error)}.",
                "Give --host an address of this machine, and --listen-port a free port or 0.",
            ) from error
        self._host = host
        self._port = int(listener.getsockname()[1])
        self._listener = Listener(listener, site.served.key)
        self._tracker: Optional[Tracker] = None

    def run(self) -> NoReturn:
        """Serve until something raises: a signal, the end of the lifeline (SystemExit), PlatformError."""
        with contextlib.closing(self._listener):
            while True:
                client = self._next_client()
                with client.connection:
                    self._hold_session(client)

    def _next_client(self) -> Client:
        """Offer the board until a client comes for it, whatever becomes of the tracker."""
        while True:
            if self._tracker is None:
                self._tracker = self._join()
            try:
                return self._await_client(self._tracker)
            except PlatformError as error:  # also when what it says makes no sense any more
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
                    raise  # its address is wrong
                if not told:
                    self._say(f"{error.what} Waiting for it. {error.next_step}")
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
            if tracker.is_waiting(match_key):  # raises, too, when the tracker has closed the connection
                looks = 0
            elif looks == MAX_MISSED_POLLS:
                match_key = tracker.offer()
                looks = 0

    def _wait(self, descriptors: List[int], seconds: float) -> List[int]:
        """Which of the descriptors can be read. SystemExit at the end of the lifeline."""
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
        """The process of a session, which ends with the block."""
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
    """The process of one session, seen from the server."""

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
        """What it is at, a key of STAGES."""
        return self._begun[-1][0]

    def supervise(self, client: Client, lifeline: Optional[socket.socket]) -> None:
        """Wait until the session ends, its client vanishes or its time is up. SystemExit at the end of the
        lifeline."""
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
        """End the process and all that it has started, if it has not ended. Not to be broken off."""
        hold_signals()
        try:
            end_fork(self._process_id, GRACE_SEC, self._ends_within)
        finally:
            self._reports.close()
            receive_signals()

    def outcome(self) -> str:
        """How the session went, for the one who watches."""
        if self.is_late:
            return f"out of time while {STAGES[self.stage]}"
        if self._failure:
            return self._failure
        if self._has_vanished:
            return f"its client vanished while {STAGES[self.stage]}"
        return OUTCOMES.get(self.stage, "done")

    def seconds(self) -> str:
        """How long each stage took."""
        ends = [moment for _, moment in self._begun[1:]] + [time.monotonic()]
        return ", ".join(
            f"{stage} {end - begun:.2f} s"
            for (stage, begun), end in zip(self._begun, ends)
            if stage not in OUTCOMES
        )

    def _ends_within(self, seconds: float) -> bool:
        """Whether the process closes its end of the socket, as it does last."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        while poll.poll(1000 * max(0.0, until - time.monotonic())):
            if not self._read_reports():
                return True
        return False

    def _read_reports(self) -> bool:
        """Take what the process has to say; False when it has ended."""
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
    """Return text that comes from the client in part as one line that a terminal can print."""
    return printable(shortened(text, LONGEST_FAILURE)).replace("\n", "\\n")


def _tell_late(client: Client, stage: str) -> None:
    """Say to a client that its time is up, in the words that make TVM raise RPCSessionTimeoutError."""
    text = (
        f"RPCSessionTimeoutError: The {client.limit_sec:g} s of this session ended while {STAGES[stage]}; "
        "raise the timeout of the runner, or look whether this candidate hangs."
    )
    with contextlib.suppress(OSError):
        client.connection.settimeout(TELL_SEC)
        client.connection.sendall(encode_message(EXCEPTION, encode_sequence([text])))
