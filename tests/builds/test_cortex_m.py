# SPDX-License-Identifier: Apache-2.0
"""The Cortex-M family: emulated boards answer, say what went wrong and start again; real boards build."""

from __future__ import annotations

import re
import subprocess
import tarfile
import time
from pathlib import Path
from struct import pack

import pytest

from runtime.host import link
from runtime.host.boards import load_boards
from runtime.host.build import build
from runtime.host.device import running_model
from runtime.host.errors import ArchiveError, BuildError, ProtocolError
from runtime.host.platform import load_platform
from runtime.host.project import generate
from runtime.host.rpc import CALL_FUNC, RpcClient, decode_return, encode_message, encode_sequence
from runtime.host.runners.table import find_runner
from tests.conftest import Baker
from tests.emulated import DIGITS, ROOM_OF_A_CALL, answers_as_expected, classifies_digits, new_session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
USER_CODE = Path(__file__).with_name("user_code.c")
BOARDS = load_boards(ROOT / "{{cookiecutter.platform_slug}}/families/cortex_m/boards.json")
EMULATED = [board.name for board in BOARDS.values() if "qemu" in board.runners]
REAL = [board.name for board in BOARDS.values() if set(board.runners) != {"qemu"}]
EVERY_DIGIT = ("mps2_an385", "mps2_an386", "microbit")
# The functions of user_code.c, by their number.
RECURSES, READS, JUMPS, RUNS_GARBAGE, GIVES_UP, ABORTS, PRINTS, ALLOCATES, COMPUTES, ADDS_UP = range(10)
MODELS = [
    *((board, "mlp_f32_aot") for board in EMULATED),
    *((board, "kws_i8_graph") for board in EMULATED if BOARDS[board].ram_bytes >= 128 * 1024),
]


@pytest.fixture(scope="module")
def platforms(tmp_path_factory):
    baker = Baker(tmp_path_factory.mktemp("cortex_m"))
    return {
        name: load_platform(baker(board_family="cortex_m", build_system=name).path)
        for name in ("make", "cmake")
    }


@pytest.fixture
def built(platforms, tmp_path):
    """built(board, archive) is its project. The boards take turns with the build systems."""

    def make(board, archive, build_system=None, **options):
        build_system = build_system or ("make", "cmake")[list(BOARDS).index(board) % 2]
        options = {"board": board, "warning_as_error": True, **options}
        project = generate(platforms[build_system], archive, tmp_path / "project", options)
        build(project)
        return project

    return make


@pytest.fixture(scope="module")
def with_user_code(platforms, tmp_path_factory):
    """board -> its project with user_code.c, built when it is first asked for."""
    scratch = tmp_path_factory.mktemp("user")
    with tarfile.open(scratch / "user_code.tar", "w") as tar:
        tar.add(USER_CODE, USER_CODE.name)
    projects = {}

    def project(board):
        if board not in projects:
            options = {"board": board, "extra_files_tar": str(scratch / "user_code.tar")}
            projects[board] = generate(platforms["make"], DIGITS / "digits_aot.tar", scratch / board, options)
            build(projects[board])
        return projects[board]

    return project


def symbols(project):
    listing = subprocess.run(
        ["arm-none-eabi-nm", str(project.firmware)], capture_output=True, text=True, check=True
    ).stdout
    return {
        name: int(address, 16) for address, name in re.findall(r"^(\w+) \w (\S+)$", listing, re.MULTILINE)
    }


@pytest.mark.parametrize("board", EMULATED)
def test_the_digits_are_answered_exactly(built, board):
    project = built(board, DIGITS / "digits_aot.tar")
    usage = classifies_digits(project, None if board in EVERY_DIGIT else 8)
    assert usage.stack.of == BOARDS[board].stack_bytes
    assert 256 < usage.stack.most < 1400
    assert 0 < usage.workspace.most < usage.workspace.of


@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_both_build_systems_make_a_firmware_that_answers(built, build_system):
    answers_as_expected(
        built("mps2_an385", DATA / "archives/aot_c.tar", build_system), DATA / "archives/aot_c.tar"
    )


@pytest.mark.parametrize(("board", "name"), MODELS)
def test_a_model_answers_as_tvm_did_on_the_host(built, board, name):
    archive = DATA / f"models/{name}.tar"
    answers_as_expected(built(board, archive, optimization="O1"), archive)  # which compiles the fastest


def test_a_model_that_the_board_cannot_hold_is_refused(built):
    with pytest.raises(BuildError, match="lm3s6965evb has 65,536"):
        built("lm3s6965evb", DATA / "models/kws_i8_graph.tar")


@pytest.mark.parametrize("name", ["graph_llvm_m4", "graph_llvm_m4_hard"])
@pytest.mark.parametrize("board", ["mps2_an386", "mps2_an505"])
def test_objects_for_a_cortex_m4_run_whatever_way_floats_travel(built, board, name):
    archive = DATA / f"archives/{name}.tar"
    answers_as_expected(built(board, archive), archive)


@pytest.mark.parametrize(
    ("board", "name", "reason"),
    [
        ("mps2_an386", "graph_llvm", "for x86-64; mps2_an386 has an Arm with 32 bits"),
        ("mps2_an385", "graph_llvm_m4", "for Armv7E-M; mps2_an385 has an older core"),
        ("microbit", "graph_llvm_m4_hard", "for Armv7E-M; microbit has an older core"),
    ],
)
def test_objects_that_a_board_cannot_run_are_refused(built, board, name, reason):
    with pytest.raises(ArchiveError, match=reason):
        built(board, DATA / f"archives/{name}.tar")


@pytest.mark.parametrize("board", REAL)
def test_a_real_board_is_built_for_its_own_memory(built, board):
    names = symbols(built(board, DIGITS / "digits_aot.tar"))
    entry = BOARDS[board]
    assert entry.flash.address <= names["mtvm_reset"] < entry.flash.address + entry.flash.bytes
    assert names["mtvm_stack_bottom"] == entry.ram.address
    assert names["mtvm_heap_end"] == entry.ram.address + entry.ram.bytes
    assert not names.keys() & {"printf", "malloc", "_write", "_sbrk", "mtvm_console_put"}, "nobody prints"


@pytest.mark.parametrize("board", REAL)
def test_every_flash_tool_of_a_real_board_knows_what_it_is_told(board):
    for name in BOARDS[board].runners:
        find_runner(BOARDS[board], name).read_params(BOARDS[board])
    for config in BOARDS[board].runners.get("openocd", {}).get("config", []):
        assert (Path("/usr/share/openocd/scripts") / config).is_file()


def test_a_baud_rate_that_the_clock_cannot_make_is_told_when_compiling(bake, tmp_path):
    platform = bake(board_family="cortex_m")
    boards = platform.path / "boards.json"
    boards.write_text(boards.read_text().replace("115200", "5000000"))
    project = generate(load_platform(platform.path), DIGITS / "digits_aot.tar", tmp_path / "project", {})
    with pytest.raises(BuildError, match="the clock of the UART is too slow for its baud rate"):
        build(project)


FAULTS = [
    (READS, 0xFFFFFFF0, r"no such memory; code, address: 0x\w{8} 0xfffffff0"),
    (JUMPS, 0xE0000001, r"memory fault; code, caller: 0xe0000000 0x\w{8}"),
    (RUNS_GARBAGE, 0, r"no valid instruction; code, caller: 0x\w{8} 0x\w{8}"),
    (GIVES_UP, 0x1234, r"the firmware stopped itself; error, caller: 0x00001234 0x\w{8}"),
    (ABORTS, 0, r"the firmware stopped itself; signal, caller: 0x00000006 0x\w{8}"),
]
OVERFLOW = (RECURSES, 0, r"the stack overflowed; stack, its end: 0x\w{8} 0x\w{8}")
ON_A_CORTEX_M0 = [(RUNS_GARBAGE, 0, r"hard fault; code, caller: 0x\w{8} 0x\w{8}"), FAULTS[3]]


@pytest.mark.parametrize(
    ("board", "what", "number", "words"),
    [
        *(("mps2_an385", *fault) for fault in FAULTS),
        *(("microbit", *fault) for fault in ON_A_CORTEX_M0),
        *((board, *OVERFLOW) for board in ("mps2_an385", "mps2_an505", "lm3s6965evb", "microbit")),
        *((board, *FAULTS[0]) for board in ("mps2_an500", "mps3_an547", "netduinoplus2")),
    ],
)
def test_a_fault_is_told_in_words_and_the_board_starts_again(with_user_code, board, what, number, words):
    transport = link.open_transport(with_user_code(board))
    try:
        logs = []
        session = new_session(transport, logs)
        with pytest.raises(ProtocolError, match="restarted"):
            RpcClient(session).get_function("user")(what, number)
        assert re.fullmatch(f"fault: {words}", logs[-1])
        again = new_session(transport, logs)
        assert RpcClient(again).get_function("user")(COMPUTES, 1) >= 1
        again.close()
    finally:
        transport.close()


def test_a_fault_before_the_server_is_there_is_told_as_text(built, tmp_path):
    code = tmp_path / "early.c"
    code.write_text("__attribute__((constructor)) static void early(void) { __builtin_trap(); }\n")
    with tarfile.open(tmp_path / "early.tar", "w") as tar:
        tar.add(code, code.name)
    extra = str(tmp_path / "early.tar")
    transport = link.open_transport(built("mps2_an385", DIGITS / "digits_aot.tar", extra_files_tar=extra))
    try:
        said = b""
        while said.count(b"\n") < 2:
            said += transport.read(1, 10)
    finally:
        transport.close()
    assert re.match(rb"(fault: no valid instruction; code, caller: 0x\w{8} 0x\w{8}\n){2}", said)


@pytest.mark.parametrize("board", ["mps2_an385", "microbit", "mps2_an505"])
def test_what_is_printed_is_a_log_message_and_memory_is_allocated(with_user_code, board):
    logs = []
    with running_model(with_user_code(board), on_log=logs.append) as executor:
        user = executor.rpc.get_function("user")
        user(PRINTS, 42)
        assert user(ALLOCATES, 1000) == 1
        assert user(ALLOCATES, 100_000_000) == 0
    assert logs == ["42 and words", "no end of line", "", "last"]


@pytest.mark.parametrize("board", ["mps2_an385", "mps2_an505", "lm3s6965evb", "netduino2", "microbit"])
def test_a_packet_that_comes_while_a_kernel_runs_waits_whole(with_user_code, board):
    """The longest packet that the device takes, each byte of which is escaped on the wire."""
    with running_model(with_user_code(board)) as executor:
        rpc = executor.rpc
        user = rpc.get_function("user").handle
        longest = b"\xff" * (rpc.max_packet_bytes() - ROOM_OF_A_CALL)
        for arguments in ([COMPUTES, 100_000], [ADDS_UP, longest]):
            rpc.session.send(encode_message(CALL_FUNC, pack("<Q", user.value) + encode_sequence(arguments)))
        answers = [decode_return(rpc.session.receive(), "user") for _ in range(2)]
        assert answers[0][-1] >= 100_000
        assert answers[1][-1] == 255 * len(longest)


@pytest.mark.parametrize("board", ["mps2_an385", "microbit"])
def test_the_clock_neither_goes_back_nor_loses_a_period(with_user_code, board):
    """The 24 bits of mps2_an385's SysTick wrap twice meanwhile."""
    with running_model(with_user_code(board)) as executor:
        user = executor.rpc.get_function("user")
        started = time.monotonic()
        took = user(COMPUTES, 1_500_000)
        assert 1_500_000 <= took <= (time.monotonic() - started) * 1e6
        assert time.monotonic() - started < 1.5 + 0.6, "a period of SysTick is 0.67 s"


@pytest.mark.parametrize("board", ["mps2_an385", "microbit"])
def test_the_nonce_differs_between_resets(with_user_code, board):
    transport = link.open_transport(with_user_code(board))
    try:
        nonces = set()
        for _ in range(10):
            session = new_session(transport, [])
            nonces.add(session.session_id >> 8)
            with pytest.raises(ProtocolError, match="restarted"):
                RpcClient(session).get_function("user")(GIVES_UP, 0)
        assert len(nonces) > 5, "of 10 out of 255, seven or more differ in all but one of 50,000 cases"
    finally:
        transport.close()
