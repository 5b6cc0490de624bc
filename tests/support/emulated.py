# SPDX-License-Identifier: Apache-2.0
"""Shared code of the tests of bare-metal families: sessions with emulated boards, and expected answers."""

from __future__ import annotations

import errno
import re
import subprocess
import tarfile
import tempfile
from enum import IntEnum
from pathlib import Path
from struct import pack
from typing import Dict, List, Optional, Set

import numpy as np
import pytest

from runtime.host.boards.attachment import BY_DEFAULT
from runtime.host.boards.board import EMULATOR
from runtime.host.errors import ProtocolError
from runtime.host.execution import connection
from runtime.host.execution.device_memory import DeviceMemory
from runtime.host.execution.executor import Executor, Step
from runtime.host.execution.firmware_info import Usage, read_usage
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from runtime.host.project.project import Project
from runtime.host.transports.base import Transport
from runtime.host.wire.messages import CALL_FUNC, MODULE, Handle, Value, encode_message, encode_sequence
from runtime.host.wire.rpc import RpcClient, decode_return
from runtime.host.wire.session import Session, Timeouts
from tests.conftest import TEMPLATE, Baker

DIGITS = TEMPLATE / "examples/digits"
TIMEOUTS = Timeouts(1.0, 10.0, 30.0)
"""Shorter than the defaults, so that a failing test fails soon."""

LONGEST_ANSWER_SEC = 20.0

ROOM_OF_A_CALL = 128
"""Bytes of a packet with one long argument, without that argument."""

USER_CODE = TEMPLATE / "tests/builds/user_code.c"


class User(IntEnum):
    """Functions of user_code.c, in the order of that file."""

    RECURSES = 0
    READS = 1
    STORES = 2
    WRITES_CODE = 3
    JUMPS = 4
    RUNS_GARBAGE = 5
    GIVES_UP = 6
    ABORTS = 7
    ASSERTS = 8
    PRINTS = 9
    ALLOCATES = 10
    COMPUTES = 11
    CALLS_THE_SYSTEM = 12
    ADDS_UP = 13
    LOOPS = 14


class Family:
    """Board family: one platform for each build system, and projects built with these platforms."""

    def __init__(self, name: str, bake: Baker, scratch: Path) -> None:
        self._scratch = scratch
        self._with_user_code: Dict[str, Project] = {}
        self.platforms = {
            build_system: load_platform(bake(board_family=name, build_system=build_system).path)
            for build_system in ("make", "cmake")
        }

    def build(self, board: str, archive: Path, build_system: str = "make", **options: object) -> Project:
        """Generate and build a new project."""
        place = Path(tempfile.mkdtemp(prefix=f"{board}_", dir=self._scratch))
        options = {"board": board, "warning_as_error": True, **options}
        project = generate(self.platforms[build_system], archive, place / "project", options)
        build(project)
        return project

    def with_user_code(self, board: str) -> Project:
        """Return the board's project of the digits model and user_code.c. The first call builds it."""
        if board not in self._with_user_code:
            extra = tar_of(USER_CODE, self._scratch / "user_code.tar")
            self._with_user_code[board] = self.build(board, DIGITS / "digits_aot.tar", extra_files_tar=extra)
        return self._with_user_code[board]


def tar_of(source: Path, tar: Path) -> str:
    """Write a tar with one file and return its path, for the option extra_files_tar."""
    with tarfile.open(tar, "w") as members:
        members.add(source, source.name)
    return str(tar)


def symbols(project: Project, nm: str) -> Dict[str, int]:
    """Return the addresses of a firmware's symbols."""
    listing = subprocess.run([nm, str(project.firmware)], capture_output=True, text=True, check=True).stdout
    return {
        name: int(address, 16) for address, name in re.findall(r"^(\w+) \w (\S+)$", listing, re.MULTILINE)
    }


def new_session(transport: Transport, logs: List[str]) -> Session:
    """Open a session over an open transport. Log messages are appended to `logs`."""
    session = Session(transport, timeouts=TIMEOUTS, on_log=logs.append)
    session.open()
    return session


def answers_as_expected(project: Project, archive: Path) -> None:
    """Assert the recorded outputs for the recorded inputs: exact integers, floats within 1e-5."""
    with np.load(archive.with_suffix(".npz")) as data, running_model(project) as executor:
        for key in data.files:
            if key.startswith("input_"):
                executor.set_input(key[len("input_") :], data[key])
        executor.run()
        want = data["output_0"]
        tolerance = 1e-5 if want.dtype.kind == "f" else 0
        got = executor.get_output(0).reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def classifies_digits(project: Project, count: Optional[int]) -> Usage:
    """Assert that the device classifies the held-out digits exactly as the host, without a log message.

    Args:
        project: Built project of the digits model.
        count: Number of digits; None for all.

    Returns:
        Memory use that the firmware reports afterwards.
    """
    logs: List[str] = []
    with np.load(DIGITS / "digits_test.npz") as data, running_model(project, on_log=logs.append) as executor:
        for image, want in zip(data["images"][:count], data["expected"][:count]):
            np.testing.assert_array_equal(executor.infer({0: image[None]})[0].ravel(), want.ravel())
        usage = read_usage(executor.rpc)
    assert logs == []
    assert usage is not None
    return usage


def told_of_a_fault(project: Project, what: int, number: int) -> str:
    """Call a function of user_code.c that faults, and return the board's log message about the fault.

    Also assert that the board restarts without help and serves a new session.

    Args:
        project: Built project with user_code.c.
        what: Function, a member of User.
        number: Argument of that function.
    """
    transport = connection.open_transport(project)
    try:
        logs: List[str] = []
        session = new_session(transport, logs)
        with pytest.raises(ProtocolError, match="restarted"):
            RpcClient(session).get_function("user")(what, number)
        said = logs[-1]
        again = new_session(transport, logs)
        took = RpcClient(again).get_function("user")(User.COMPUTES, 1)
        assert isinstance(took, int) and took >= 1
        again.close()
        return said
    finally:
        transport.close()


def prints_and_allocates(project: Project, nbytes: int) -> None:
    """Assert that output of user code arrives as log messages and that allocation is limited.

    Args:
        project: Built project with user_code.c.
        nbytes: Allocation that must succeed. One of 100 MB must return ENOMEM.
    """
    logs: List[str] = []
    with running_model(project, on_log=logs.append) as executor:
        user = executor.rpc.get_function("user")
        user(User.PRINTS, 42)
        assert user(User.ALLOCATES, nbytes) == 0
        assert user(User.ALLOCATES, 100_000_000) == errno.ENOMEM
    assert logs == ["42 and words", "no end of line", "", "last", "one", "two"]


def takes_its_longest_packet_while_it_computes(project: Project) -> None:
    """Assert that the board receives its longest packet, every byte of which is escaped, during a call."""
    with running_model(project) as executor:
        rpc = executor.rpc
        user = rpc.get_function("user").handle
        longest = b"\xff" * (rpc.max_packet_bytes() - ROOM_OF_A_CALL)
        calls: List[List[Value]] = [[User.COMPUTES, 100_000], [User.ADDS_UP, longest]]
        for arguments in calls:
            rpc.session.send(encode_message(CALL_FUNC, pack("<Q", user.value) + encode_sequence(arguments)))
        answers = [decode_return(rpc.session.receive(LONGEST_ANSWER_SEC), "user") for _ in range(2)]
        took = answers[0][-1]
        assert isinstance(took, int) and took >= 100_000
        assert answers[1][-1] == 255 * len(longest)


def in_real_time(project: Project) -> Project:
    """Return the project of a board whose entry has "count_instructions": false."""
    qemu = {**project.board.runners[EMULATOR], "count_instructions": False}
    board = project.board._replace(runners={**project.board.runners, EMULATOR: qemu})
    return Project(project.platform, project.settings, board)


def counted(project: Project, *turns: int) -> List[int]:
    """Return the instructions that the board counts in loops of two instructions.

    Args:
        project: Built project with user_code.c, for a board that counts instructions.
        turns: Turns of each loop.
    """
    rate = connection.instruction_ns(project, BY_DEFAULT)
    assert rate is not None
    with running_model(project) as executor:
        rpc = executor.rpc
        user = rpc.get_function("user")
        steps = [Step(Handle(0, MODULE), user, (int(User.LOOPS), each)) for each in turns]
        return [Executor(rpc, DeviceMemory(rpc), [], [], [step]).instructions(rate) for step in steps]


def nonces(project: Project, restarts: int) -> Set[int]:
    """Return the board's nonces of several sessions, each ended by a restart of the firmware."""
    found = set()
    transport = connection.open_transport(project)
    try:
        for _ in range(restarts):
            session = new_session(transport, [])
            found.add(session.session_id >> 8)
            with pytest.raises(ProtocolError, match="restarted"):
                RpcClient(session).get_function("user")(User.GIVES_UP, 0)
    finally:
        transport.close()
    return found
