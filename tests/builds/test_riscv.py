# SPDX-License-Identifier: Apache-2.0
"""RISC-V family: emulated boards answer, report faults and restart; real boards build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.host.errors import BuildError
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from tests.conftest import Baker
from tests.support.emulated import (
    DIGITS,
    Family,
    User,
    answers_as_expected,
    classifies_digits,
    nonces,
    prints_and_allocates,
    symbols,
    takes_its_longest_packet_while_it_computes,
    told_of_a_fault,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/data/models"
EMULATED = ["qemu_virt_rv32", "qemu_virt_rv64", "hifive1"]
EVERY_DIGIT = "qemu_virt_rv32"
REAL = ["hifive1_revb", "sparkfun_red_v", "longan_nano"]
STACK_BYTES = {"qemu_virt_rv32": 16384, "qemu_virt_rv64": 16384, "hifive1": 2048}


@pytest.fixture(scope="module")
def family(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family("riscv", bake_shared, tmp_path_factory.mktemp("riscv"))


@pytest.mark.parametrize("build_system", ["make", "cmake"])
@pytest.mark.parametrize("board", EMULATED)
def test_the_digits_are_answered_exactly(family: Family, board: str, build_system: str) -> None:
    every = board == EVERY_DIGIT and build_system == "make"
    usage = classifies_digits(
        family.build(board, DIGITS / "digits_aot.tar", build_system), None if every else 20
    )
    assert usage.stack is not None
    assert usage.stack.available == STACK_BYTES[board]
    assert 256 < usage.stack.most < usage.stack.available


@pytest.mark.parametrize("board", ["qemu_virt_rv32", "qemu_virt_rv64"])
@pytest.mark.parametrize("name", ["kws_i8_graph", "mlp_f32_aot"])
def test_a_model_answers_as_tvm_did_on_the_host(family: Family, board: str, name: str) -> None:
    answers_as_expected(family.build(board, MODELS / f"{name}.tar"), MODELS / f"{name}.tar")


def test_a_model_that_the_board_cannot_hold_is_refused(family: Family) -> None:
    with pytest.raises(BuildError, match="hifive1 has 16,384"):
        family.build("hifive1", MODELS / "kws_i8_graph.tar")


@pytest.mark.parametrize(("board", "build_system"), list(zip(REAL, ["make", "cmake", "make"])))
def test_a_real_board_is_built_for_its_own_memory(family: Family, board: str, build_system: str) -> None:
    project = family.build(board, DIGITS / "digits_aot.tar", build_system)
    addresses = symbols(project, "riscv64-unknown-elf-nm")
    entry = project.board
    assert entry.flash is not None and entry.ram is not None and entry.ram.address is not None
    assert addresses["mtvm_reset"] == entry.flash.address
    assert addresses["mtvm_stack_bottom"] == entry.ram.address
    assert addresses["__heap_end"] == entry.ram.address + entry.ram.bytes
    assert "printf" not in addresses and "_exit" not in addresses, "Firmware contains unused functions."


@pytest.mark.parametrize(
    ("board", "uart", "baud", "words"),
    [
        ("qemu_virt_rv32", "ns16550", 1_000_000, "slow for its baud rate: its divisor must be at least 1"),
        ("qemu_virt_rv32", "ns16550", 3, "fast for its baud rate: its divisor must be at most 0xffff"),
        ("hifive1", "sifive", 1_100_000, "slow for its baud rate: its divisor must be at least 16"),
        ("hifive1", "sifive", 240, "fast for its baud rate: its divisor must be at most 0x10000"),
    ],
)
def test_a_baud_rate_that_the_clock_cannot_make_is_reported_by_the_compiler(
    bake: Baker, tmp_path: Path, board: str, uart: str, baud: int, words: str
) -> None:
    platform = bake(board_family="riscv")
    boards = platform.path / "boards.json"
    boards.write_text(boards.read_text().replace('"baud": 115200', f'"baud": {baud}'))
    project = generate(
        load_platform(platform.path), DIGITS / "digits_aot.tar", tmp_path / "project", {"board": board}
    )
    assert f"runtime/device/ports/uart/{uart}.c" in project.settings.config.port_sources
    with pytest.raises(BuildError, match=f"the clock of the UART is too {words}"):
        build(project)


@pytest.mark.parametrize("board", EMULATED)
@pytest.mark.parametrize(
    ("what", "number", "words"),
    [
        (User.RECURSES, 0, r"the stack overflowed at 0x\w+ 0x\w+"),
        (User.STORES, 0, r"store fault at 0x\w+ 0x0+"),
        (User.READS, 0x8000000, r"load fault at 0x\w+ 0x0*8000000"),
        (User.JUMPS, 0x10, r"(no instructions|illegal instruction) at 0x0+10 0x\w+"),
        (User.RUNS_GARBAGE, 0, r"illegal instruction at 0x\w+ 0x0+"),
        (User.CALLS_THE_SYSTEM, 0, r"unexpected trap at 0x\w+ 0x0+b"),
        (User.ASSERTS, 0, r"the firmware stopped itself; signal, caller: 0x0+6 0x\w+"),
        (User.WRITES_CODE, 0, r"store fault at 0x\w+ 0x\w+"),
    ],
)
def test_a_fault_is_told_in_words_and_the_board_starts_again(
    family: Family, board: str, what: User, number: int, words: str
) -> None:
    said = told_of_a_fault(family.with_user_code(board), what, number)
    assert re.fullmatch(f"fault: {words}", said)


@pytest.mark.parametrize("board", ["qemu_virt_rv32", "qemu_virt_rv64"])
def test_what_is_printed_is_a_log_message_and_memory_is_allocated(family: Family, board: str) -> None:
    prints_and_allocates(family.with_user_code(board), 1_000_000)


@pytest.mark.parametrize("board", EMULATED)
def test_a_packet_that_comes_while_a_kernel_runs_waits_whole(family: Family, board: str) -> None:
    takes_its_longest_packet_while_it_computes(family.with_user_code(board))


@pytest.mark.parametrize("board", EMULATED)
def test_the_nonce_differs_between_resets(family: Family, board: str) -> None:
    assert len(nonces(family.with_user_code(board), 4)) > 1
