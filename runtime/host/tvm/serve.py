# SPDX-License-Identifier: Apache-2.0
"""A board on TVM's RPC: it listens, is offered to the tracker, and has one session at a time.

A connection begins with the client's i32 magic, i32 length and its key: "client:", the match key of the
tracker's queue and, where the session has a limit, " -timeout=SECONDS". The server answers magic, i32 length,
"server:" and its own key; or another magic to whoever has no match key.

Each session is a process (see trial.py). So nothing that a candidate or a tool does reaches the server, which
ends it when its client has vanished or its time is up, with all that it started. The server has no threads:
it forks.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Final, Iterator, List, NamedTuple, NoReturn, Optional

from runtime import server
from runtime.host.errors import PlatformError
from runtime.host.rpc import EXCEPTION, encode_message, encode_sequence
from runtime.host.tvm.relay import GREETING, LONGEST_KEY, MAGIC, MISMATCH
from runtime.host.tvm.tracker import Address, Tracker, TrackerLost
from runtime.host.tvm.trial import Site, run_in_child

GREETING_SEC: Final = 2.0  # a stranger is not waited for
LOOK_SEC: Final = 2.0  # how often the tracker is asked whether the board is given away
LOOKS: Final = 3  # whoever was given it has not come in so many: it is offered again
REJOIN_SEC: Final = 1.0  # between tries to reach a tracker that is gone
GRACE_SEC: Final = 4.0  # what a session gets to give the board back
HANG_UP_SEC: Final = 1.0  # what it gets to notice by itself that its client has gone
HANG_UP: Final = getattr(select, "POLLRDHUP", select.POLLHUP)
REPORT_BYTES: Final = 4096
EVERYWHERE: Final = ("", "0.0.0.0", "::")

STAGES: Final = {
    "": "waiting for the client",
    "build": "building the model",
    "flash": "flashing the board",
    "run": "running on the board",
}


class Client(NamedTuple):
    """A client that the tracker has sent. limit_sec: how long its session may take; None without limit."""

    connection: socket.socket
    limit_sec: Optional[float]


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
        try:
            family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise PlatformError(
                f"Nothing can listen on {host}:{port}: {error.strerror}.",
                "Give --host an address of this machine, and --listen-port a free port or 0.",
            ) from error
        self._host = host
        self._port = int(self._listener.getsockname()[1])
        self._tracker: Optional[Tracker] = None

    def run(self) -> NoReturn:
        """Serve until something raises: a signal, the end of the lifeline (SystemExit), PlatformError."""
        with self._listener:
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
            except TrackerLost as error:
                self._say(f"{error.what} Trying again.")
                self._tracker.close()
                self._tracker = None

    def _join(self) -> Tracker:
        reachable_at = None if self._host in EVERYWHERE else self._host
        told = False
        while True:
            try:
                tracker = Tracker(self._tracker_address, self._site.served.key, reachable_at, self._port)
            except TrackerLost as error:
                if not told:
                    self._say(f"{error.what} Waiting for it.")
                told = True
                self._wait([], REJOIN_SEC)
            else:
                host, port = self._tracker_address
                self._say(
                    f"{self._site.served.board} is served as {self._site.served.key}"
                    f" on {self._host or '*'}:{self._port}, tracker {host}:{port}"
                )
                return tracker

    def _await_client(self, tracker: Tracker) -> Client:
        match_key = tracker.offer()
        looks = 0
        while True:
            ready = self._wait([self._listener.fileno(), tracker.fileno()], LOOK_SEC)
            if self._listener.fileno() in ready:
                client = self._greet(match_key)
                if client is not None:
                    return client
            elif tracker.is_waiting(match_key):  # raises, too, when the tracker has closed the connection
                looks = 0
            else:
                looks += 1
                if looks == LOOKS:
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

    def _greet(self, match_key: str) -> Optional[Client]:
        """The next connection, when its client has the match key; whoever else comes by is sent away."""
        connection, _ = self._listener.accept()
        connection.settimeout(GREETING_SEC)
        try:
            key, _, options = read_greeting(connection).partition(" ")
            if key == f"client:{match_key}":
                name = f"server:{self._site.served.key}".encode()
                connection.sendall(GREETING.pack(MAGIC, len(name)) + name)
                connection.settimeout(None)
                return Client(connection, limit_of(options))
            connection.sendall(struct.pack("<i", MISMATCH))
        except OSError:
            pass
        connection.close()
        return None

    def _hold_session(self, client: Client) -> None:
        self._sessions += 1
        place = Path(tempfile.mkdtemp(dir=str(self._site.scratch)))
        try:
            with self._worker(client.connection, place) as worker:
                worker.supervise(client, self._lifeline)
            if worker.is_late:
                _tell_late(client, worker.stage)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        took = worker.seconds()
        self._say(f"session {self._sessions}: {worker.outcome()}" + (f" ({took})" if took else ""))

    @contextlib.contextmanager
    def _worker(self, connection: socket.socket, place: Path) -> Iterator[Worker]:
        """The process of a session, which ends with the block."""
        ours, theirs = socket.socketpair()
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
        until = None if client.limit_sec is None else time.monotonic() + client.limit_sec
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        poll.register(client.connection, HANG_UP)
        if lifeline is not None:
            poll.register(lifeline, select.POLLIN)
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
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
                self._has_vanished = self.stage in ("build", "flash")
                if self._has_vanished or not self._ends_within(HANG_UP_SEC):
                    self._has_vanished = True
                return

    def end(self) -> None:
        """End the process and all that it has started, if it has not ended."""
        try:
            if not self._ends_within(0):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process_id, signal.SIGTERM)
                if not self._ends_within(GRACE_SEC):
                    end_tree(self._process_id)
            os.waitpid(self._process_id, 0)
        finally:
            self._reports.close()

    def outcome(self) -> str:
        """How the session went, for the one who watches."""
        if self.is_late:
            return f"out of time while {STAGES[self.stage]}"
        if self._has_vanished:
            return f"its client vanished while {STAGES[self.stage]}"
        if self._failure:
            return self._failure
        return "done" if self.stage else "looked at"

    def seconds(self) -> str:
        """How long each stage took."""
        ends = [moment for _, moment in self._begun[1:]] + [time.monotonic()]
        return ", ".join(
            f"{stage} {end - begun:.2f} s" for (stage, begun), end in zip(self._begun, ends) if stage
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
            self._failure = said.get("failed", self._failure)
        return bool(data)


def read_greeting(connection: socket.socket) -> str:
    """The key that a client comes with. Raises OSError for what is no greeting."""
    head = _receive(connection, GREETING.size)
    magic, length = GREETING.unpack(head)
    if magic != MAGIC or not 0 <= length <= LONGEST_KEY:
        raise OSError("not a client of TVM's RPC")
    return _receive(connection, length).decode("utf-8", "replace")


def limit_of(options: str) -> Optional[float]:
    """Seconds of "-timeout=SECONDS" among the options of a greeting; None where there is no such limit."""
    for option in options.split():
        name, _, value = option.partition("=")
        if name == "-timeout":
            with contextlib.suppress(ValueError):
                seconds = float(value)
                return seconds if 0 < seconds < float("inf") else None
    return None


def end_tree(process_id: int) -> None:
    """Kill a child of ours, and its process groups below it, without asking them."""
    below = server.child_processes(process_id)
    for child in below:
        end_tree(child)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process_id) == process_id:
            os.killpg(process_id, signal.SIGKILL)
        else:
            os.kill(process_id, signal.SIGKILL)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("it ends before its greeting")
        data += part
    return data


def _tell_late(client: Client, stage: str) -> None:
    """Say to a client that its time is up, in the words that make TVM raise RPCSessionTimeoutError."""
    text = (
        f"RPCSessionTimeoutError: The {client.limit_sec:g} s of this session ended while {STAGES[stage]}; "
        "raise the timeout of the runner, or look whether this candidate hangs."
    )
    with contextlib.suppress(OSError):
        client.connection.settimeout(GREETING_SEC)
        client.connection.sendall(encode_message(EXCEPTION, encode_sequence([text])))
