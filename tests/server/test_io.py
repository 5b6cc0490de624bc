# SPDX-License-Identifier: Apache-2.0
"""read_with_timeout and write_with_timeout of runtime.server on pipes, sockets and pseudo-terminals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import resource
import socket
import threading
import time
import tty
from typing import Iterator, List, Tuple

import pytest

from runtime import server

Ends = Tuple[int, int]
NOT_LONG_SEC = 0.05


def _pipe() -> Ends:
    return os.pipe()


def _socket() -> Ends:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def _terminal() -> Ends:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, theirs


KINDS = {"pipe": _pipe, "socket": _socket, "terminal": _terminal}


@pytest.fixture(params=[f"{blocking} {kind}" for kind in KINDS for blocking in ("blocking", "non-blocking")])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Yield an end to read from and an end to write to."""
    blocking, kind = request.param.split()
    fds = KINDS[kind]()
    for fd in fds:
        os.set_blocking(fd, blocking == "blocking")
    yield fds
    _close(fds)


@pytest.fixture
def pipe() -> Iterator[Ends]:
    fds = os.pipe()
    yield fds
    _close(fds)


def _close(fds: Ends) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def _processor_sec() -> float:
    return time.process_time()


class TestReading:
    def test_takes_what_is_there_up_to_n(self, ends: Ends) -> None:
        os.write(ends[1], b"abcde")
        assert server.read_with_timeout(ends[0], 3, 5.0) == b"abc"
        assert server.read_with_timeout(ends[0], 9, 0) == b"de"

    def test_times_out_when_nothing_comes(self, ends: Ends) -> None:
        began = time.monotonic()
        with pytest.raises(server.IoTimeoutError):
            server.read_with_timeout(ends[0], 1, NOT_LONG_SEC)
        assert time.monotonic() - began >= NOT_LONG_SEC

    @pytest.mark.parametrize("timeout_sec", [0, -1.0])
    def test_no_time_means_what_is_there_now(self, ends: Ends, timeout_sec: float) -> None:
        with pytest.raises(server.IoTimeoutError):
            server.read_with_timeout(ends[0], 1, timeout_sec)

    def test_bytes_that_come_after_a_timeout_are_read_next(self, ends: Ends) -> None:
        with pytest.raises(server.IoTimeoutError):
            server.read_with_timeout(ends[0], 4, 0)
        os.write(ends[1], b"late")
        assert server.read_with_timeout(ends[0], 4, 5.0) == b"late"

    @pytest.mark.parametrize("timeout_sec", [None, 30.0, 1e9])
    def test_waits_for_bytes_without_using_the_processor(self, ends: Ends, timeout_sec: float) -> None:
        writer = threading.Timer(0.2, os.write, (ends[1], b"x"))
        writer.start()
        began = _processor_sec()
        assert server.read_with_timeout(ends[0], 1, timeout_sec) == b"x"
        assert _processor_sec() - began < 0.1
        writer.join()

    def test_the_end_is_transport_closed_and_not_a_timeout(self, ends: Ends) -> None:
        os.close(ends[1])
        for _ in range(2):  # the owner closes the descriptor, so that a second call fails too
            with pytest.raises(server.TransportClosedError):
                server.read_with_timeout(ends[0], 1, 5.0)
        os.fstat(ends[0])

    def test_bytes_before_the_end_are_read_first(self, pipe: Ends) -> None:
        os.write(pipe[1], b"last")
        os.close(pipe[1])
        assert server.read_with_timeout(pipe[0], 100, 5.0) == b"last"
        with pytest.raises(server.TransportClosedError):
            server.read_with_timeout(pipe[0], 100, 5.0)

    def test_a_closed_descriptor_is_transport_closed(self, pipe: Ends) -> None:
        os.close(pipe[0])
        with pytest.raises(server.TransportClosedError):
            server.read_with_timeout(pipe[0], 1, 5.0)

    def test_no_bytes_wanted(self, pipe: Ends) -> None:
        assert server.read_with_timeout(pipe[0], 0, None) == b""

    def test_an_enormous_n_takes_no_memory(self, pipe: Ends) -> None:
        os.write(pipe[1], b"few")
        assert server.read_with_timeout(pipe[0], 1 << 50, 5.0) == b"few"

    def test_a_descriptor_above_1024(self, pipe: Ends) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if most <= 1100:
            pytest.skip(f"the limit of open files is {most}")
        high = fcntl.fcntl(pipe[0], fcntl.F_DUPFD, 1025)
        try:
            os.write(pipe[1], b"x")
            assert server.read_with_timeout(high, 1, 5.0) == b"x"
        finally:
            os.close(high)


class TestWriting:
    @pytest.mark.parametrize("timeout_sec", [None, 0, 5.0])
    def test_writes_all(self, ends: Ends, timeout_sec: float) -> None:
        assert server.write_with_timeout(ends[1], b"abc", timeout_sec) == 3
        assert os.read(ends[0], 10) == b"abc"

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_takes_every_kind_of_bytes(self, pipe: Ends, kind: type) -> None:
        assert server.write_with_timeout(pipe[1], kind(b"abc"), 1.0) == 3
        assert os.read(pipe[0], 10) == b"abc"

    @pytest.mark.parametrize("timeout_sec", [None, 30.0])
    def test_writes_more_than_fits_while_the_other_side_reads(self, ends: Ends, timeout_sec: float) -> None:
        data = os.urandom(300_000)
        read: List[bytes] = []

        def read_all() -> None:
            while sum(map(len, read)) < len(data):
                read.append(server.read_with_timeout(ends[0], 5000, 30.0))

        reader = threading.Thread(target=read_all)
        reader.start()
        assert server.write_with_timeout(ends[1], data, timeout_sec) == len(data)
        reader.join()
        assert b"".join(read) == data

    def test_a_full_pipe_times_out_and_says_how_much_was_written(self, ends: Ends) -> None:
        blocking = os.get_blocking(ends[1])
        began = time.monotonic()
        with pytest.raises(server.IoTimeoutError) as caught:
            server.write_with_timeout(ends[1], bytes(10_000_000), NOT_LONG_SEC)
        assert NOT_LONG_SEC <= time.monotonic() - began < 5.0
        assert "of 10000000 bytes were written" in caught.value.data["traceback"]
        assert os.get_blocking(ends[1]) == blocking

    def test_waits_for_room_without_using_the_processor(self, pipe: Ends) -> None:
        os.set_blocking(pipe[1], False)
        with pytest.raises(server.IoTimeoutError):
            server.write_with_timeout(pipe[1], bytes(10_000_000), 0)
        reader = threading.Timer(0.2, os.read, (pipe[0], 1_000_000))
        reader.start()
        began = _processor_sec()
        assert server.write_with_timeout(pipe[1], b"x", None) == 1
        assert _processor_sec() - began < 0.1
        reader.join()

    def test_nobody_reads_any_more(self, pipe: Ends) -> None:
        os.close(pipe[0])
        with pytest.raises(server.TransportClosedError):
            server.write_with_timeout(pipe[1], b"x", 5.0)

    @pytest.mark.parametrize("timeout_sec", [None, 5.0])
    def test_a_closed_descriptor_is_transport_closed(self, pipe: Ends, timeout_sec: float) -> None:
        os.close(pipe[1])
        with pytest.raises(server.TransportClosedError):
            server.write_with_timeout(pipe[1], b"x", timeout_sec)

    def test_nothing_to_write(self, pipe: Ends) -> None:
        assert server.write_with_timeout(pipe[1], b"", 0) == 0


class TestReplies:
    def test_a_reply_waits_for_room_in_a_pipe_that_does_not_block(self, pipe: Ends) -> None:
        os.set_blocking(pipe[1], False)
        data = os.urandom(300_000)
        read: List[bytes] = []
        reader = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(pipe[0], 65536), b"")))
        reader.start()
        with open(os.dup(pipe[1]), "wb", buffering=0) as file:  # noqa: PTH123  a descriptor
            server.write_all(file, data)
        os.close(pipe[1])
        reader.join()
        assert b"".join(read) == data


def test_a_system_without_poll_is_told_so(pipe: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.poll")
    with pytest.raises(server.ServerError, match="no poll"):
        server.read_with_timeout(pipe[0], 1, 1.0)
