# SPDX-License-Identifier: Apache-2.0
"""Served board with malicious and faulty clients."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import select
import signal
import socket
import struct
import tarfile
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest

from runtime.host.errors import DeviceError
from runtime.host.serve import server, trial
from runtime.host.serve.request import MAX_REQUEST_BYTES, Served
from runtime.host.tvm_rpc import listener as listener_module
from runtime.host.tvm_rpc.listener import Client as Admitted
from runtime.host.tvm_rpc.listener import Listener
from runtime.host.wire.messages import GET_GLOBAL_FUNC, encode_message
from tests.conftest import Baker
from tests.support.rpc_peers import (
    DEADLINE_SEC,
    MODEL,
    RPC_MAGIC,
    SYSTEM_LIB,
    Client,
    ServedBoard,
    Tracker,
    session_of,
)

CROWD = 50
SOON_SEC = 10.0  # less than serving the clients of a crowd one after another takes
HALF_GREETINGS = (b"", struct.pack("<i", RPC_MAGIC), struct.pack("<ii", RPC_MAGIC, 100) + b"client:")


def crowd(stack: contextlib.ExitStack, port: int) -> None:
    """Open connections that send nothing or an incomplete greeting."""
    for number in range(CROWD):
        stranger = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        stranger.sendall(HALF_GREETINGS[number % len(HALF_GREETINGS)])


def refused(served: ServedBoard, *arguments: Any) -> str:
    """Return the error that a client with this request receives."""
    client = served.session(*arguments)
    with pytest.raises(DeviceError) as error:
        client.finds(SYSTEM_LIB)
    client.connection.close()
    return str(error.value)


class TestStrangers:
    @pytest.mark.slow
    def test_a_crowd_keeps_no_client_waiting(self, served: ServedBoard, tracker: Tracker) -> None:
        offer = tracker.next_offer()
        with contextlib.ExitStack() as stack:
            crowd(stack, offer.port)
            started = time.monotonic()
            client = Client(offer, *session_of(MODEL))
            assert client.finds(SYSTEM_LIB)
            crowd(stack, offer.port)  # during a session
            client.shut_down()
            assert served.works()
            assert time.monotonic() - started < SOON_SEC

    @pytest.mark.parametrize(
        "greeting",
        [
            struct.pack("<ii", RPC_MAGIC, 2**31 - 1),
            struct.pack("<ii", RPC_MAGIC, -1),
            struct.pack("<ii", RPC_MAGIC + 1, 10) + b"client:lab",
            b"GET / HTTP/1.1\r\n\r\n",
        ],
    )
    def test_what_is_no_greeting_is_hung_up_on(self, entrance: Tuple[Listener, int], greeting: bytes) -> None:
        house, port = entrance
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SEC) as stranger:
            stranger.sendall(greeting)
            assert house.next_client(ready(house), "lab:1") is None
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""

    def test_a_greeting_may_come_in_pieces(self, entrance: Tuple[Listener, int]) -> None:
        house, port = entrance
        key = b"client:lab:1 -timeout=7"
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SEC) as stranger:
            client = None
            for byte in struct.pack("<ii", RPC_MAGIC, len(key)) + key:
                assert client is None
                stranger.sendall(bytes([byte]))
                client = house.next_client(ready(house), "lab:1")
            assert client is not None and client.limit_sec == 7
            client.connection.close()

    def test_who_is_too_slow_has_to_go(
        self, entrance: Tuple[Listener, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house, port = entrance
        monkeypatch.setattr(listener_module, "GREETING_SEC", -1.0)
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SEC) as stranger:
            assert house.next_client(ready(house), "lab:1") is None
            assert stranger.recv(1) == b""

    def test_a_crowd_has_an_end(
        self, entrance: Tuple[Listener, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house, port = entrance
        monkeypatch.setattr(listener_module, "MAX_PENDING", 3)
        with contextlib.ExitStack() as stack:
            came = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_SEC))
                for _ in range(5)
            ]
            assert house.next_client(ready(house), "lab:1") is None
            assert len(house.descriptors()) == 1 + 3
            assert [first.recv(1) for first in came[:2]] == [b"", b""]


@pytest.fixture
def entrance() -> Iterator[Tuple[Listener, int]]:
    """Yield a listener, and its TCP port."""
    listener = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(Listener(listener, "lab")) as house:
        yield house, listener.getsockname()[1]


def ready(house: Listener) -> Any:
    """Return the readable descriptors, once there are some."""
    poll = select.poll()
    for descriptor in house.descriptors():
        poll.register(descriptor, select.POLLIN)
    found = poll.poll(1000 * DEADLINE_SEC)
    assert found
    return [descriptor for descriptor, _ in found]


class TestRequests:
    @pytest.mark.slow
    def test_what_cannot_be_taken_is_told_why(self, served: ServedBoard) -> None:
        for archive, why in (
            (bomb(), "decompresses to more than 256 MiB"),
            (archive_with("../x"), "points outside of the archive"),
            (archive_with("/tmp/x"), "has an absolute path"),
            (archive_with("x", kind=tarfile.SYMTYPE), "is a symbolic link"),
            (bytes(MAX_REQUEST_BYTES), "this board takes 16,777,216"),
        ):
            assert why in refused(served, *session_of(archive))
        assert "no project option" in refused(served, *session_of(MODEL)[:3], r'{"\ud800\u001b[2J": 1}')
        assert "\x1b" not in served.end()

    def test_garbage_after_the_greeting_frees_the_board(self, served: ServedBoard, tracker: Tracker) -> None:
        offer = tracker.next_offer()
        with socket.create_connection(("127.0.0.1", offer.port), DEADLINE_SEC) as stranger:
            key = f"client:{offer.match_key}".encode()
            stranger.sendall(struct.pack("<ii", RPC_MAGIC, len(key)) + key + b"\xff" * 100)
            tracker.next_offer()

    @pytest.mark.slow
    def test_a_client_that_reads_no_answers_may_vanish(self, served: ServedBoard) -> None:
        client = served.session()  # a client without a model, whose replies are faster than a board's
        requests = encode_message(GET_GLOBAL_FUNC) * 10_000
        poll = select.poll()
        poll.register(client.connection, select.POLLOUT)
        client.connection.setblocking(False)
        at = 0
        while poll.poll(500):  # until the server reads no more
            at = (at + client.connection.send(requests[at:])) % len(requests)
        client.vanish()
        assert served.works()

    @pytest.mark.slow
    def test_sessions_that_end_as_they_begin_do_the_board_no_harm(
        self, served: ServedBoard, tracker: Tracker
    ) -> None:
        """End sessions before their process has installed its handler for the signal."""
        for _ in range(10):
            offer = tracker.next_offer()
            with socket.create_connection(("127.0.0.1", offer.port), DEADLINE_SEC) as stranger:
                key = f"client:{offer.match_key} -timeout=1e-9".encode()
                stranger.sendall(struct.pack("<ii", RPC_MAGIC, len(key)) + key)
        assert served.works()

    def test_a_client_that_never_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "FIRST_REQUEST_SEC", 0.01)
        ours, theirs = socket.socketpair()
        connection, client = socket.socketpair()
        with ours, theirs, connection, client:
            worker = server.Worker(0, ours)
            worker.supervise(Admitted(connection, None), None)
            assert worker.outcome() == "out of time while waiting for the client"

    def test_a_fault_of_the_host_tools_is_an_answer(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("\ud800 unforeseen")

        monkeypatch.setattr(trial, "read_request", fail)
        with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
            client = stack.enter_context(socket.create_connection(listener.getsockname(), DEADLINE_SEC))
            connection = stack.enter_context(listener.accept()[0])
            control, _theirs = map(stack.enter_context, socket.socketpair())
            site: Any = trial.Site(None, Served("lab", "host", {}), {}, tmp_path)  # type: ignore[arg-type]
            session = threading.Thread(
                target=trial.hold_session, args=(connection, control, tmp_path, site), daemon=True
            )
            session.start()
            client.sendall(encode_message(2, b"") + encode_message(GET_GLOBAL_FUNC, b""))
            answer = b""
            while b"unforeseen" not in answer:
                part = client.recv(4096)
                assert part, answer
                answer += part
            assert (
                b"Internal error in the host tools: RuntimeError: \\ud800 unforeseen (test_attacks.py:"
                in answer
            )
            session.join(DEADLINE_SEC)


class TestTracker:
    @pytest.mark.slow
    def test_one_that_talks_nonsense_is_joined_again(self, served: ServedBoard, tracker: Tracker) -> None:
        tracker.next_offer()
        for said in (b"HTTP/1.1 400", struct.pack("<i", 1) + b"5", struct.pack("<i", 3) + b"\xff{["):
            tracker.say(said)
            tracker.next_offer()
        assert served.end().count("is not TVM's RPC tracker. Trying again.") == 3


COMPILER = """#!/bin/sh
[ -e "{hangs}" ] && echo x > "{hangs}" && exec sleep 1000
exec /usr/bin/cc "$@"
"""


class TestEnd:
    """`serve` receives a signal at each stage of a session and leaves nothing behind."""

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_while_it_runs(self, served: ServedBoard, number: signal.Signals) -> None:
        client = served.session(*session_of(MODEL))
        assert client.finds(SYSTEM_LIB)
        check_end(served, number)

    @pytest.mark.slow
    def test_while_it_builds(self, bake: Baker, tracker: Tracker, tmp_path: Path) -> None:
        tools, hangs = tmp_path / "tools", tmp_path / "hangs"
        tools.mkdir()
        (tools / "cc").write_text(COMPILER.format(hangs=hangs))
        (tools / "cc").chmod(0o755)
        served = ServedBoard(bake(), tracker, tools=str(tools))
        offer = tracker.next_offer()
        os.mkfifo(hangs)
        compiling = os.open(hangs, os.O_RDONLY | os.O_NONBLOCK)
        client = Client(offer, *session_of(MODEL))
        try:
            poll = select.poll()
            poll.register(compiling, select.POLLIN)
            assert poll.poll(1000 * DEADLINE_SEC)
            check_end(served, signal.SIGTERM, signal.SIGTERM)
        finally:
            client.vanish()
            os.close(compiling)
            served.end()


def check_end(served: ServedBoard, *numbers: signal.Signals) -> None:
    below = served.below()
    assert below
    started = time.monotonic()
    for number in numbers:
        served.process.send_signal(number)
    served.end()
    assert time.monotonic() - started < SOON_SEC
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert list(served.scratch.iterdir()) == []


def bomb() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for _ in range(257):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def archive_with(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return an archive with an invalid member."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        tar.addfile(member)
    return packed.getvalue()
