# SPDX-License-Identifier: Apache-2.0
"""Cortex-M family: emulated boards answer, report faults and restart; real boards build."""

from __future__ import annotations

import re
import time
from pathlib import Path
from struct import pack
from typing import Callable, List, Optional

import pytest

from runtime.host.boards.table import load_boards
from runtime.host.errors import ArchiveError, BuildError, ProtocolError
from runtime.host.execution import connection
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from runtime.host.project.project import Project
from runtime.host.runners.table import find_runner
from runtime.host.wire.messages import CALL_FUNC, encode_message, encode_sequence
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session
from tests.conftest import Baker
from tests.support.emulated import (
    DIGITS,
    TIMEOUTS,
    Family,
    User,
    answers_as_expected,
    classifies_digits,
    in_real_time,
    new_session,
    nonces,
    prints_and_allocates,
    symbols,
    takes_its_longest_packet_while_it_computes,
    tar_of,
    told_of_a_fault,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
BOARDS = load_boards(ROOT / "{{cookiecutter.platform_slug}}/families/cortex_m/boards.json")
EMULATED = [board.name for board in BOARDS.values() if "qemu" in board.runners]
REAL = [board.name for board in BOARDS.values() if set(board.runners) != {"qemu"}]
EVERY_DIGIT = ("mps2_an385", "mps2_an386", "microbit")
MODELS = [
    *((board, "mlp_f32_aot") for board in EMULATED),
    *((board, "kws_i8_graph") for board in EMULATED if (BOARDS[board].ram_bytes or 0) >= 128 * 1024),
]


Built = Callable[..., Project]


@pytest.fixture(scope="module")
def family(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family("cortex_m", bake_shared, tmp_path_factory.mktemp("cortex_m"))


@pytest.fixture
def built(family: Family) -> Built:
    """Return a function from board and archive to a built project. Boards alternate the build system."""

    def make(board: str, archive: Path, build_system: Optional[str] = None, **options: object) -> Project:
        build_system = build_system or ("make", "cmake")[list(BOARDS).index(board) % 2]
        return family.build(board, archive, build_system, **options)

    return make


@pytest.mark.parametrize("board", EMULATED)
def test_the_digits_are_answered_exactly(built: Built, board: str) -> None:
    project = built(board, DIGITS / "digits_aot.tar")
    usage = classifies_digits(project, None if board in EVERY_DIGIT else 8)
    assert usage.stack is not None
    assert usage.stack.available == BOARDS[board].stack_bytes
    assert 256 < usage.stack.most < 1400
    assert 0 < usage.workspace.most < usage.workspace.available


@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_both_build_systems_make_a_firmware_that_answers(built: Built, build_system: str) -> None:
    answers_as_expected(
        built("mps2_an385", DATA / "archives/aot_c.tar", build_system), DATA / "archives/aot_c.tar"
    )


@pytest.mark.parametrize(("board", "name"), MODELS)
def test_a_model_answers_as_tvm_did_on_the_host(built: Built, board: str, name: str) -> None:
    archive = DATA / f"models/{name}.tar"
    answers_as_expected(built(board, archive, optimization="O1"), archive)  # O1 compiles the fastest


def test_a_model_that_the_board_cannot_hold_is_refused(built: Built) -> None:
    with pytest.raises(BuildError, match="lm3s6965evb has 65,536"):
        built("lm3s6965evb", DATA / "models/kws_i8_graph.tar")


@pytest.mark.parametrize("name", ["graph_llvm_m4", "graph_llvm_m4_hard"])
@pytest.mark.parametrize("board", ["mps2_an386", "mps2_an505"])
def test_objects_for_a_cortex_m4_run_whatever_way_floats_travel(built: Built, board: str, name: str) -> None:
    archive = DATA / f"archives/{name}.tar"
    answers_as_expected(built(board, archive), archive)


@pytest.mark.parametrize(
    ("board", "name", "reason"),
    [
        ("mps2_an386", "graph_llvm", "for x86-64, but board mps2_an386 has an Arm core with 32 bits"),
        ("mps2_an385", "graph_llvm_m4", "for Armv7E-M, but board mps2_an385 has an older core"),
        ("microbit", "graph_llvm_m4_hard", "for Armv7E-M, but board microbit has an older core"),
    ],
)
def test_objects_that_a_board_cannot_run_are_refused(
    built: Built, board: str, name: str, reason: str
) -> None:
    with pytest.raises(ArchiveError, match=reason):
        built(board, DATA / f"archives/{name}.tar")


@pytest.mark.parametrize("board", REAL)
def test_a_real_board_is_built_for_its_own_memory(built: Built, board: str) -> None:
    names = symbols(built(board, DIGITS / "digits_aot.tar"), "arm-none-eabi-nm")
    entry = BOARDS[board]
    assert entry.flash is not None and entry.flash.address is not None
    assert entry.ram is not None and entry.ram.address is not None
    assert entry.flash.address <= names["mtvm_reset"] < entry.flash.address + entry.flash.bytes
    assert names["mtvm_stack_bottom"] == entry.ram.address
    assert names["mtvm_heap_end"] == entry.ram.address + entry.ram.bytes
    assert not names.keys() & {"printf", "malloc", "_write", "_sbrk", "mtvm_console_put"}, (
        "Firmware without output must not contain these functions."
    )


@pytest.mark.parametrize("board", REAL)
def test_every_flash_tool_of_a_real_board_knows_what_it_is_told(board: str) -> None:
    for name in BOARDS[board].runners:
        find_runner(BOARDS[board], name).read_params(BOARDS[board])
    for config in BOARDS[board].runners.get("openocd", {}).get("config", []):
        assert (Path("/usr/share/openocd/scripts") / config).is_file()


def test_a_baud_rate_that_the_clock_cannot_make_is_told_when_compiling(bake: Baker, tmp_path: Path) -> None:
    platform = bake(board_family="cortex_m")
    boards = platform.path / "boards.json"
    boards.write_text(boards.read_text().replace("115200", "5000000"))
    project = generate(load_platform(platform.path), DIGITS / "digits_aot.tar", tmp_path / "project", {})
    with pytest.raises(BuildError, match="the UART clock is too slow for the baud rate"):
        build(project)


FAULTS = [
    (User.READS, 0xFFFFFFF0, r"invalid address; code, address: 0x\w{8} 0xfffffff0"),
    (User.JUMPS, 0xE0000001, r"memory fault; code, caller: 0xe0000000 0x\w{8}"),
    (User.RUNS_GARBAGE, 0, r"invalid instruction; code, caller: 0x\w{8} 0x\w{8}"),
    (User.GIVES_UP, 0x1234, r"the firmware stopped itself; error, caller: 0x00001234 0x\w{8}"),
    (User.ABORTS, 0, r"the firmware stopped itself; signal, caller: 0x00000006 0x\w{8}"),
    (User.STORES, 0xFFFFFFF0, r"invalid address; code, address: 0x\w{8} 0xfffffff0"),
    (User.CALLS_THE_SYSTEM, 0, r"unexpected interrupt; code, caller: 0x\w{8} 0x\w{8}"),
]
STOPS = 100
NRF_TIMER_STOP = 0x40008004
"""A write of 1 stops TIMER0 (nRF51 Series Reference Manual 3.0: TIMER)."""

OVERFLOW = (User.RECURSES, 0, r"the stack overflowed; stack pointer, stack end: 0x\w{8} 0x\w{8}")
ON_A_CORTEX_M0 = [(User.RUNS_GARBAGE, 0, r"hard fault; code, caller: 0x\w{8} 0x\w{8}"), FAULTS[3]]


@pytest.mark.parametrize(
    ("board", "what", "number", "words"),
    [
        *(("mps2_an385", *fault) for fault in FAULTS),
        *(("microbit", *fault) for fault in ON_A_CORTEX_M0),
        *((board, *OVERFLOW) for board in ("mps2_an385", "mps2_an505", "lm3s6965evb", "microbit")),
        *((board, *FAULTS[0]) for board in ("mps2_an500", "mps3_an547", "netduinoplus2")),
    ],
)
def test_a_fault_is_told_in_words_and_the_board_starts_again(
    family: Family, board: str, what: User, number: int, words: str
) -> None:
    said = told_of_a_fault(family.with_user_code(board), what, number)
    assert re.fullmatch(f"fault: {words}", said)


def test_every_stop_of_the_firmware_is_told_and_followed_by_a_restart(family: Family) -> None:
    """Include stops while bytes are in transit, and a host that reconnects before the restart."""
    project = family.with_user_code("microbit")
    transport = connection.open_transport(project)
    noise = bytes(range(1, 200))
    try:
        for turn in range(STOPS):
            logs: List[str] = []
            session = Session(transport, timeouts=TIMEOUTS, on_log=logs.append, first_frame_sec=0.0)
            session.open()
            user = RpcClient(session).get_function("user").handle
            call = session.frame(
                encode_message(CALL_FUNC, pack("<Q", user.value) + encode_sequence([User.GIVES_UP, turn]))
            )
            transport.write(call + noise[: turn % len(noise)], 5.0)
            with pytest.raises(ProtocolError, match="restarted"):
                session.receive()
            assert [log.split(",")[0] for log in logs] == ["fault: the firmware stopped itself; error"]
    finally:
        transport.close()


def test_a_timer_that_was_stopped_does_not_keep_the_board_from_its_restart(family: Family) -> None:
    project = family.with_user_code("microbit")
    transport = connection.open_transport(project)
    try:
        for _ in range(2):
            session = new_session(transport, [])
            user = RpcClient(session).get_function("user")
            user(User.STORES, NRF_TIMER_STOP)
            with pytest.raises(ProtocolError, match="restarted"):
                user(User.GIVES_UP, 1)
    finally:
        transport.close()


def test_a_fault_before_the_server_is_there_is_told_as_text(built: Built, tmp_path: Path) -> None:
    code = tmp_path / "early.c"
    code.write_text("__attribute__((constructor)) static void early(void) { __builtin_trap(); }\n")
    extra = tar_of(code, tmp_path / "early.tar")
    transport = connection.open_transport(
        built("mps2_an385", DIGITS / "digits_aot.tar", extra_files_tar=extra)
    )
    try:
        said = b""
        while said.count(b"\n") < 2:
            said += transport.read(1, 10)
    finally:
        transport.close()
    assert re.match(rb"(fault: invalid instruction; code, caller: 0x\w{8} 0x\w{8}\n){2}", said)


@pytest.mark.parametrize("board", ["mps2_an385", "microbit", "mps2_an505"])
def test_what_is_printed_is_a_log_message_and_memory_is_allocated(family: Family, board: str) -> None:
    prints_and_allocates(family.with_user_code(board), 1000)


@pytest.mark.parametrize("board", ["mps2_an385", "mps2_an505", "lm3s6965evb", "netduino2", "microbit"])
def test_a_packet_that_comes_while_a_kernel_runs_waits_whole(family: Family, board: str) -> None:
    takes_its_longest_packet_while_it_computes(family.with_user_code(board))


@pytest.mark.parametrize("board", ["mps2_an385", "microbit"])
def test_the_clock_neither_goes_back_nor_loses_a_period(family: Family, board: str) -> None:
    """Measure a time in which the 24-bit SysTick of mps2_an385 wraps twice."""
    with running_model(in_real_time(family.with_user_code(board))) as executor:
        user = executor.rpc.get_function("user")
        started = time.monotonic()
        took = user(User.COMPUTES, 1_500_000)
        assert isinstance(took, int)
        assert 1_500_000 <= took <= (time.monotonic() - started) * 1e6
        assert time.monotonic() - started < 1.5 + 0.6, "SysTick lost a period of 0.67 s."


@pytest.mark.parametrize("board", ["mps2_an385", "microbit"])
def test_the_nonce_differs_between_resets(family: Family, board: str) -> None:
    found = nonces(family.with_user_code(board), 10)
    assert len(found) > 5, "Of 10 nonces out of 255, seven or more differ in all but one of 50,000 cases."
