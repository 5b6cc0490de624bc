# SPDX-License-Identifier: Apache-2.0
"""Served board and its two peers without TVM: the tracker and a client."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from runtime.host.system.processes import child_processes
from runtime.host.wire.messages import GET_GLOBAL_FUNC, Handle, encode_message, encode_sequence
from runtime.host.wire.rpc import decode_return
from tests.conftest import Platform

DEADLINE_SEC = 60.0
TRACKER_MAGIC = struct.pack("<i", 0x2F271)
RPC_MAGIC = 0xFF271
MODEL = (Path(__file__).resolve().parents[1] / "data").joinpath("models/mlp_f32_aot.tar").read_bytes()
SYSTEM_LIB = "runtime.SystemLib"


class Offer(NamedTuple):
    """Board offered to a tracker: its queue, its address, and the match key for a client."""

    queue: str
    address: str
    port: int
    match_key: str


class Tracker:
    """Tracker that passes every offered board to the test.

    Attributes:
        offers: Offered boards.
        infos: Information that servers sent about themselves.
        gone: One entry for each connection that has closed.
        taken: Match keys that clients have used.
    """

    def __init__(self, port: int = 0) -> None:
        self.offers: queue.Queue[Offer] = queue.Queue()
        self.infos: List[Dict[str, Any]] = []
        self.gone: queue.Queue[None] = queue.Queue()
        self.taken: List[str] = []
        tracker = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                tracker._connections.append(self.request)
                with contextlib.suppress(OSError):
                    tracker._serve(self.request)
                tracker.gone.put(None)

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._connections: List[socket.socket] = []
        self._listener = Listener(("127.0.0.1", port), Connection)
        self.port: int = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def next_offer(self) -> Offer:
        return self.offers.get(timeout=DEADLINE_SEC)

    def say(self, data: bytes) -> None:
        """Send data without a request."""
        self._connections[-1].sendall(data)

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        for connection in self._connections:
            connection.close() if connection.fileno() < 0 else connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        assert receive(connection, 4) == TRACKER_MAGIC
        connection.sendall(TRACKER_MAGIC)
        waiting: List[str] = []
        while True:
            request = json.loads(receive(connection, *struct.unpack("<i", receive(connection, 4))))
            answer: Any = 0
            if request[0] == 5:
                self.infos.append(request[1])
            elif request[0] == 3:
                _, name, (port, match_key), address = request
                waiting.append(match_key)
                self.offers.put(Offer(name, address, port, match_key))
            elif request[0] == 7:
                answer = [key for key in waiting if key not in self.taken]
            text = json.dumps(answer).encode()
            connection.sendall(struct.pack("<i", len(text)) + text)


class Client:
    """Client of TVM's RPC, connected to an offered board."""

    def __init__(self, offer: Offer, *arguments: Any, options: str = "", match_key: str = "") -> None:
        self.connection = socket.create_connection((offer.address, offer.port), DEADLINE_SEC)
        key = f"client:{match_key or offer.match_key}{options}".encode()
        self.connection.sendall(struct.pack("<ii", RPC_MAGIC, len(key)) + key)
        (self.magic,) = struct.unpack("<i", receive(self.connection, 4))
        if self.magic != RPC_MAGIC:
            return
        self.server_key = receive(self.connection, *struct.unpack("<i", receive(self.connection, 4)))
        self.send(2, struct.pack("<Q", 5) + b"0.8.0" + encode_sequence(arguments))
        assert decode_return(self.receive(), "the first message") == [None]

    def send(self, code: int, operands: bytes = b"") -> None:
        self.connection.sendall(encode_message(code, operands))

    def ask(self, code: int, *arguments: Any) -> Any:
        """Send a request and return its only result. Raise DeviceError for an exception of the server."""
        self.send(code, encode_sequence(arguments))
        (value,) = decode_return(self.receive(), f"request {code}")
        return value

    def finds(self, function: str) -> bool:
        """Return whether the board has a global function of this name."""
        handle = self.ask(GET_GLOBAL_FUNC, function)
        assert isinstance(handle, Handle)
        return handle.value != 0

    def receive(self) -> bytes:
        head = receive(self.connection, 8)
        return head + receive(self.connection, *struct.unpack("<Q", head))

    def shut_down(self) -> None:
        self.send(1)
        self.connection.close()

    def vanish(self) -> None:
        """Close the connection without a shutdown message."""
        self.connection.close()


class ServedBoard:
    """Running `serve` process, and its tracker.

    Args:
        platform: Platform that serves.
        tracker: Tracker to offer the board to.
        options: Further options of the command.
        tools: Directory searched for programs before PATH.
    """

    def __init__(self, platform: Platform, tracker: Tracker, *options: str, tools: str = "") -> None:
        self.tracker = tracker
        # Separate, because a killed server leaves files in its temporary directory.
        self.scratch = Path(tempfile.mkdtemp(dir=platform.path.parent))
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "runtime.host", "serve"),
                *("--tracker", tracker.address, "--key", "lab", *options),
            ],
            cwd=platform.path,
            env={
                **os.environ,
                "TMPDIR": str(self.scratch),
                "PATH": os.pathsep.join(filter(None, (tools, os.environ["PATH"]))),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def session(self, *arguments: Any, options: str = "") -> Client:
        return Client(self.tracker.next_offer(), *arguments, options=options)

    def works(self) -> bool:
        """Return whether the server still builds a model and finds its functions."""
        client = self.session(*session_of(MODEL))
        found = client.finds(SYSTEM_LIB)
        client.shut_down()
        return found

    def below(self) -> List[int]:
        """Return the process ids of all children and grandchildren."""
        found = child_processes(self.process.pid)
        for process_id in found:
            found += child_processes(process_id)
        return found

    def end(self) -> str:
        """Terminate the server and return its output."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=DEADLINE_SEC)[0]


def session_of(archive: bytes, options: Optional[Dict[str, Any]] = None) -> Tuple[Any, ...]:
    """Return the arguments that TVM's module loader for tuning sends."""
    name = "tvm.micro.compile_and_create_micro_session"
    return (name, archive, "/a/path/of/the/client", json.dumps(options or {}), None, 0)


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
