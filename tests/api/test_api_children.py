# SPDX-License-Identifier: Apache-2.0
"""Child processes of an API server: none outlives the server, however the server ends."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from runtime import server as server_module
from tests.support.api_server import ApiServer, make_platform, read_some, wait_for_end

CHILDREN = ["plain", "with a child of its own", "deaf to SIGTERM"]
ENDINGS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}

Started = Tuple[ApiServer, int]


@contextmanager
def start(directory: Path, hangups: signal.Handlers) -> Iterator[Started]:
    """Start a server and yield it with a descriptor that ends after the last process of the platform exits.

    Args:
        directory: Empty directory for the platform.
        hangups: Handling of SIGINT and SIGHUP at the start of the server; children inherit SIG_IGN.
    """
    alive, held = os.pipe()
    make_platform(directory, "children.py")
    previous = {number: signal.signal(number, hangups) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        server = ApiServer(directory, environment={"ALIVE_FD": str(held)}, pass_fds=[held])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    with server:
        os.close(held)
        yield server, alive
    os.close(alive)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    with start(tmp_path / "platform", signal.SIG_DFL) as pair:
        yield pair


@pytest.mark.parametrize("child", CHILDREN)
@pytest.mark.parametrize("own_group", [False, True], ids=["in our group", "in its own group"])
def test_children_end_when_the_pipe_closes(started: Started, child: str, own_group: bool) -> None:
    server, alive = started
    server.ask("build", options={"child": child, "own_group": own_group})
    server.close_requests()
    assert wait_for_end(alive) == b" closed"
    assert server.process.wait() == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_children_end_when_a_signal_ends_the_server(started: Started, ending: str) -> None:
    server, alive = started
    for child in CHILDREN:
        server.ask("build", options={"child": child, "own_group": True})
    server.process.send_signal(ENDINGS[ending])
    assert wait_for_end(alive) == b" closed"
    assert server.process.wait() == 128 + ENDINGS[ending]


def test_nohup_is_respected(tmp_path: Path) -> None:
    with start(tmp_path / "platform", signal.SIG_IGN) as (server, _alive):
        server.ask("server_info_query", tvm_version="0.18.0")
        server.process.send_signal(signal.SIGHUP)
        assert server.ask("server_info_query", tvm_version="0.18.0")["is_template"] is True


def test_a_signal_breaks_off_a_handler_that_is_busy_and_lets_it_tidy_up(started: Started) -> None:
    server, alive = started
    server.request("flash", options={})
    assert read_some(alive) == b"busy"
    server.process.send_signal(signal.SIGTERM)
    assert wait_for_end(alive) == b" tidied closed"


def test_a_handler_that_catches_everything_does_not_keep_the_server_alive(started: Started) -> None:
    server, alive = started
    server.request("write_transport", data="", timeout_sec=None)
    assert read_some(alive) == b"busy"
    server.process.send_signal(signal.SIGTERM)
    assert wait_for_end(alive) == b" swallowed closed"
    assert server.process.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("busy", ["flash", "read_transport"])
def test_a_client_that_vanishes_ends_a_server_that_is_busy(started: Started, busy: str) -> None:
    server, alive = started
    if busy == "read_transport":
        server.ask("open_transport", options={})
        server.request(busy, n=1, timeout_sec=None)
    else:
        server.request(busy, options={})
    assert read_some(alive) in (b"busy", b"reading")
    server.hang_up()
    assert wait_for_end(alive).endswith(b" closed")


def test_after_sigkill_a_device_sees_the_end_of_its_input(started: Started) -> None:
    server, alive = started
    server.ask("open_transport", options={})
    server.process.kill()
    assert wait_for_end(alive) == b""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_a_child_does_not_inherit_the_pipes_of_the_client(started: Started) -> None:
    server, _alive = started
    server.ask("build", options={"child": "plain", "own_group": False})
    (child,) = server_module.child_processes(server.process.pid)
    ours = {_pipe_of(os.getpid(), fd) for fd in (server.read_fd, server.write_fd)}
    assert not ours & {_pipe_of(child, int(entry.name)) for entry in Path(f"/proc/{child}/fd").iterdir()}


def _pipe_of(pid: int, fd: int) -> str:
    return os.readlink(f"/proc/{pid}/fd/{fd}")


def test_children_are_found_with_and_without_the_list_of_linux() -> None:
    read, write = os.pipe()
    child = os.posix_spawn(
        "/bin/sh", ["sh", "-c", "read line"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)]
    )
    try:
        assert child in server_module.child_processes(os.getpid())
        assert child in server_module._children_by_ps(os.getpid())
    finally:
        os.close(write)
        os.waitpid(child, 0)
        os.close(read)
