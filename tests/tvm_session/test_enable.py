# SPDX-License-Identifier: Apache-2.0
"""Functions that the host tools provide to TVM, as far as they can be tested without a TVM."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from runtime.host.errors import PlatformError, ProtocolError, TransportClosed, TransportTimeout
from runtime.host.tvm_rpc.connection import GREETING, MAGIC, MISMATCH
from runtime.host.tvm_rpc.control import Control, Interrupted, Stopped, kind_of
from runtime.host.tvm_session.device_access import EMPTY_ANSWER, answer_bytes
from runtime.host.tvm_session.relay import accept
from runtime.host.tvm_session.trial_errors import kind_of as kind_of_trial
from runtime.host.wire.framing import encode_frame
from runtime.host.wire.messages import (
    CALL_FUNC,
    COPY_ACK,
    COPY_FROM_REMOTE,
    COPY_TO_REMOTE,
    DEV_ALLOC_DATA,
    EXCEPTION,
    FREE_HANDLE,
    GET_GLOBAL_FUNC,
    NULL,
    OPAQUE,
    RETURN,
    Handle,
    encode_message,
    encode_sequence,
)
from runtime.host.wire.session import HEADER
from tests.conftest import TEMPLATE


def run_python(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=TEMPLATE,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def fabricated_tvm(directory: Path, **files: str) -> str:
    """Write a package named tvm, and return its parent directory."""
    for name, text in {"__init__": "", "relay": "", **files}.items():
        file = directory / "tvm" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return str(directory)


class TestWithoutIt:
    def test_tvmc_says_what_to_install(self, tmp_path: Path) -> None:
        # The interpreter of the tests has a TVM, which is hidden here.
        absent = """raise ModuleNotFoundError("No module named 'tvm'", name='tvm')"""
        path = fabricated_tvm(tmp_path, __init__=absent)
        ran = run_python("-m", "runtime.host", "tvmc", "micro", "-h", path=path)
        assert ran.returncode == 1
        first, second = ran.stderr.splitlines()[:2]
        assert first == "error: This Python has no TVM."
        assert second.startswith('next:  Run `pip install "hhb-tvm==3.2.3" ')

    def test_a_tvm_that_lacks_a_package_says_which(self, tmp_path: Path) -> None:
        path = fabricated_tvm(tmp_path, relay="raise ImportError('The tflite package must be installed')")
        ran = run_python("-m", "runtime.host", "tvmc", path=path)
        assert "cannot be imported: The tflite package must be installed." in ran.stderr
        assert "tflite tqdm" in ran.stderr and "Traceback" not in ran.stderr

    def test_a_tvm_of_today_has_nothing_to_complete(self, tmp_path: Path) -> None:
        known = "__version__ = '0.25.0'\ndef get_global_func(name, allow_missing): pass\n"
        ran = run_python("-m", "runtime.host", "tvmc", path=fabricated_tvm(tmp_path, __init__=known))
        assert ran.stderr.startswith("error: TVM 0.25.0 has no microTVM: ")

    def test_the_tvm_of_compile_has_nothing_to_complete(self) -> None:
        ran = run_python("-m", "runtime.host", "tvmc")
        assert ran.stderr.startswith("error: TVM 0.") and " has no microTVM: TVM 0.18 was" in ran.stderr

    def test_a_complete_tvm_is_left_alone(self, tmp_path: Path) -> None:
        known = "def get_global_func(name, allow_missing): return name == 'micro._rpc_connect' or None\n"
        path = fabricated_tvm(tmp_path, __init__=known)
        program = "import runtime.host.tvm_micro, sys; print([m for m in sys.modules if m.startswith('tvm')])"
        ran = run_python("-c", program, path=path)
        assert ran.stdout == "['tvm', 'tvm.relay']\n", ran.stderr


POINTER = [Handle(64, OPAQUE)]


@pytest.mark.parametrize(
    ("code", "request_operands", "reply"),
    [
        (CALL_FUNC, b"", encode_message(RETURN, encode_sequence([NULL, None]))),
        (CALL_FUNC, b"", encode_message(RETURN, encode_sequence([0, 7]))),
        (CALL_FUNC, b"", encode_message(EXCEPTION, encode_sequence(["no such tensor"]))),
        (GET_GLOBAL_FUNC, b"", encode_message(RETURN, encode_sequence(POINTER))),
        (DEV_ALLOC_DATA, b"", encode_message(RETURN, encode_sequence(POINTER))),
        (COPY_TO_REMOTE, b"", encode_message(RETURN, encode_sequence([None]))),
        (FREE_HANDLE, b"", encode_message(RETURN, encode_sequence([None]))),
        (COPY_FROM_REMOTE, struct.pack("<Q", 100), encode_message(COPY_ACK, bytes(100))),
    ],
)
def test_no_answer_is_shorter_than_what_is_asked_for(
    code: int, request_operands: bytes, reply: bytes
) -> None:
    asked_for = answer_bytes(code, encode_message(code, request_operands))
    assert EMPTY_ANSWER < asked_for <= len(encode_frame(bytes(HEADER.size) + reply))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransportTimeout("a", "b"), "IoTimeoutError"),
        (TransportClosed("a", "b"), "TransportClosedError"),
        (ProtocolError("a", "b"), "SessionTerminatedError"),
        (Interrupted(), "SessionTerminatedError"),
    ],
)
def test_errors_have_the_names_that_tvm_gives_them(error: PlatformError, kind: str) -> None:
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ("tvm.error.RPCError: BuildError: The build failed.\nlib0.c:1: error", "COMPILE_DEVICE"),
        ("tvm.error.RPCSessionTimeoutError: The session timeout of 10 s expired.", "RUN_TIMEOUT"),
        (
            "runtime.host.tvm_session.errors.IoTimeoutError: The device did not reply within 1 s.",
            "RUN_TIMEOUT",
        ),
        ("tvm.error.RPCError: TransportClosedError: The device was terminated by SIGKILL.", "RUNTIME_DEVICE"),
        ("tvm.error.RPCError: no function is called BuildError", "RUNTIME_DEVICE"),
    ],
)
def test_the_error_kind_of_a_trial(raised: str, kind: str) -> None:
    trace = 'Traceback (most recent call last):\n  File "tvm/measure_methods.py", line 1, in run\n    run()\n'
    assert kind_of_trial(f"{trace}{raised}\n") == kind


class TestWhoMayCall:
    """Callers of a relay's port, which other users of this machine can reach."""

    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener

    @pytest.fixture
    def control(self) -> Iterator[Tuple[Control, socket.socket]]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            yield Control(ours), theirs

    @staticmethod
    def greet(listener: socket.socket, greeting: bytes) -> socket.socket:
        caller = socket.create_connection(listener.getsockname(), timeout=5)
        caller.sendall(greeting)
        return caller

    @staticmethod
    def greeting(key: bytes, magic: int = MAGIC) -> bytes:
        return GREETING.pack(magic, len(key)) + key

    def test_only_who_knows_the_key_gets_through(
        self, listener: socket.socket, control: Tuple[Control, socket.socket]
    ) -> None:
        strangers = [
            self.greeting(b"client:other"),
            self.greeting(b""),
            self.greeting(b"client:right", magic=7),
            struct.pack("<ii", MAGIC, 1 << 30),
            b"GET / HTTP/1.1\r\n\r\n",
        ]
        with contextlib.ExitStack() as callers:
            connections = [
                callers.enter_context(self.greet(listener, greeting))
                for greeting in (*strangers, self.greeting(b"client:right"))
            ]
            accept(listener, "right", control[0])
            for stranger in connections[:-1]:
                with contextlib.suppress(ConnectionResetError):  # it sent more than the relay read
                    assert stranger.recv(100) in (struct.pack("<i", MISMATCH), b"")
            magic, length = GREETING.unpack(connections[-1].recv(GREETING.size))
            assert magic == MAGIC and connections[-1].recv(length) == b"server:device"

    def test_a_stranger_who_says_nothing_does_not_hold_it_up(
        self, listener: socket.socket, control: Tuple[Control, socket.socket]
    ) -> None:
        with self.greet(listener, b""), self.greet(listener, self.greeting(b"client:right")):
            accept(listener, "right", control[0])

    def test_it_ends_when_nobody_calls_any_more(
        self, listener: socket.socket, control: Tuple[Control, socket.socket]
    ) -> None:
        relay_side, theirs = control
        theirs.close()
        with pytest.raises(Stopped):
            accept(listener, "right", relay_side)
