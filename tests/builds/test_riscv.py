# SPDX-License-Identifier: Apache-2.0
"""The RISC-V family: emulated boards answer, say what went wrong and start again; real boards build."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from struct import pack

import pytest

from runtime.host import link
from runtime.host.build import build
from runtime.host.device import running_model
from runtime.host.errors import BuildError, ProtocolError
from runtime.host.platform import load_platform
from runtime.host.project import generate
from runtime.host.rpc import CALL_FUNC, RpcClient, decode_return, encode_message, encode_sequence
from tests.conftest import Baker
from tests.emulated import DIGITS, ROOM_OF_A_CALL, answers_as_expected, classifies_digits, new_session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/data/models"
EMULATED = ["qemu_virt_rv32", "qemu_virt_rv64", "hifive1"]
EVERY_DIGIT = "qemu_virt_rv32"
REAL = ["hifive1_revb", "sparkfun_red_v", "longan_nano"]

# Appended to the model, whose sources user code joins: a device function `user(what, number)`.
USER_CODE = r"""
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tvm/runtime/crt/module.h>

static volatile int sink;

__attribute__((noinline)) static int recurse(int n) {
  volatile char room[96];
  room[n % 96] = (char)n;
  return n == 0 ? 0 : recurse(n - 1) + room[n % 96];
}

static int user(TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource) {
  const uintptr_t number = (uintptr_t)args[1].v_int64;
  *result_code = kTVMArgInt;
  result->v_int64 = 0;
  switch (args[0].v_int64) {
    case 0: printf("%d and %s\n", 42, "words"); break;
    case 1: sink = recurse((int)number); break;
    case 2: *(volatile int *)number = 1; break;
    case 3: sink = *(volatile int *)number; break;
    case 4: ((void (*)(void))number)(); break;
    case 5: __asm volatile(".word 0"); break;
    case 6: __asm volatile("ecall"); break;
    case 7: assert(number != 0); break;
    case 8: {
      void *block = malloc(number);
      result->v_int64 = block == NULL ? -errno : 1;
      free(block);
      break;
    }
    case 9: for (uintptr_t i = 0; i < number; i++) { sink++; } break;
    case 10: puts("one\ntwo"); break;
    case 11: *(volatile uint8_t *)(uintptr_t)user = 0; break;
    case 12: {
      const TVMByteArray *bytes = args[1].v_handle;
      for (size_t i = 0; i < bytes->size; i++) { result->v_int64 += (uint8_t)bytes->data[i]; }
      break;
    }
  }
  return 0;
}

__attribute__((constructor)) static void offer(void) {
  TVMFuncRegisterGlobal("user", (TVMFunctionHandle)user, 0);
}
"""
PRINTS, RECURSES, STORES, LOADS, JUMPS, ILLEGAL, CALLS_THE_SYSTEM, ASSERTS, ALLOCATES, COUNTS = range(10)
PRINTS_LINES, WRITES_CODE, ADDS_UP = 10, 11, 12
ANSWER_SEC = 20.0
STACK_BYTES = {"qemu_virt_rv32": 16384, "qemu_virt_rv64": 16384, "hifive1": 2048}


@pytest.fixture(scope="module")
def platforms(tmp_path_factory):
    baker = Baker(tmp_path_factory.mktemp("riscv"))
    return {
        name: load_platform(baker(board_family="riscv", build_system=name).path) for name in ("make", "cmake")
    }


@pytest.fixture(scope="module")
def with_user_code(platforms, tmp_path_factory):
    """board -> its project with USER_CODE, built when it is first asked for."""
    projects = {}

    def project(board):
        if board not in projects:
            place = tmp_path_factory.mktemp("user") / board
            options = {"board": board, "warning_as_error": True}
            made = generate(platforms["make"], DIGITS / "digits_aot.tar", place, options)
            source = next((place / "model/codegen/host/src").glob("*lib0.c"))
            source.write_text(source.read_text() + USER_CODE)
            build(made)
            projects[board] = made
        return projects[board]

    return project


@pytest.mark.parametrize("build_system", ["make", "cmake"])
@pytest.mark.parametrize("board", EMULATED)
def test_the_digits_are_answered_exactly(platforms, board, build_system, tmp_path):
    options = {"board": board, "warning_as_error": True}
    project = generate(platforms[build_system], DIGITS / "digits_aot.tar", tmp_path / "project", options)
    build(project)
    every = board == EVERY_DIGIT and build_system == "make"
    usage = classifies_digits(project, None if every else 20)
    assert usage.stack.of == STACK_BYTES[board]
    assert 256 < usage.stack.most < usage.stack.of


@pytest.mark.parametrize("board", ["qemu_virt_rv32", "qemu_virt_rv64"])
@pytest.mark.parametrize("name", ["kws_i8_graph", "mlp_f32_aot"])
def test_a_model_answers_as_tvm_did_on_the_host(platforms, board, name, tmp_path):
    options = {"board": board, "warning_as_error": True}
    project = generate(platforms["make"], MODELS / f"{name}.tar", tmp_path / "project", options)
    build(project)
    answers_as_expected(project, MODELS / f"{name}.tar")


def test_a_model_that_the_board_cannot_hold_is_refused(platforms, tmp_path):
    options = {"board": "hifive1", "warning_as_error": True}
    project = generate(platforms["make"], MODELS / "kws_i8_graph.tar", tmp_path / "project", options)
    with pytest.raises(BuildError, match="hifive1 has 16,384"):
        build(project)


@pytest.mark.parametrize(("board", "build_system"), list(zip(REAL, ["make", "cmake", "make"])))
def test_a_real_board_is_built_for_its_own_memory(platforms, board, build_system, tmp_path):
    options = {"board": board, "warning_as_error": True}
    project = generate(platforms[build_system], DIGITS / "digits_aot.tar", tmp_path / "project", options)
    build(project)
    listing = subprocess.run(
        ["riscv64-unknown-elf-nm", str(project.firmware)], capture_output=True, text=True, check=True
    ).stdout
    addresses = {name: int(address, 16) for address, _, name in re.findall(r"(\w+) (\w) (\S+)", listing)}
    entry = project.board()
    assert addresses["mtvm_reset"] == entry.flash.address
    assert addresses["mtvm_stack_bottom"] == entry.ram.address
    assert addresses["__heap_end"] == entry.ram.address + entry.ram.bytes
    assert "printf" not in addresses and "_exit" not in addresses, "nothing of what nobody uses"


@pytest.mark.parametrize("board", EMULATED)
@pytest.mark.parametrize(
    ("what", "number", "words"),
    [
        (RECURSES, 1000, r"the stack overflowed at 0x\w+ 0x\w+"),
        (STORES, 0, r"store fault at 0x\w+ 0x0+"),
        (LOADS, 0x8000000, r"load fault at 0x\w+ 0x0*8000000"),
        (JUMPS, 0x10, r"(no instructions|illegal instruction) at 0x0+10 0x\w+"),
        (ILLEGAL, 0, r"illegal instruction at 0x\w+ 0x0+"),
        (CALLS_THE_SYSTEM, 0, r"unexpected trap at 0x\w+ 0x0+b"),
        (ASSERTS, 0, r"the firmware stopped itself; signal, caller: 0x0+6 0x\w+"),
        (WRITES_CODE, 0, r"store fault at 0x\w+ 0x\w+"),
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
        assert RpcClient(again).get_function("user")(COUNTS, 1) == 0
        again.close()
    finally:
        transport.close()


@pytest.mark.parametrize("board", ["qemu_virt_rv32", "qemu_virt_rv64"])
def test_what_is_printed_is_a_log_message_and_memory_is_allocated(with_user_code, board):
    logs = []
    with running_model(with_user_code(board), on_log=logs.append) as executor:
        user = executor.rpc.get_function("user")
        user(PRINTS, 0)
        user(PRINTS_LINES, 0)
        assert user(ALLOCATES, 1_000_000) == 1
        assert user(ALLOCATES, 100_000_000) == -12  # ENOMEM
    assert logs == ["42 and words", "one", "two"]


@pytest.mark.parametrize("board", EMULATED)
def test_a_packet_that_comes_while_a_kernel_runs_waits_whole(with_user_code, board):
    """The longest packet that the device takes, each byte of which is escaped on the wire."""
    with running_model(with_user_code(board)) as executor:
        rpc = executor.rpc
        user = rpc.get_function("user").handle
        longest = b"\xff" * (rpc.max_packet_bytes() - ROOM_OF_A_CALL)
        for arguments in ([COUNTS, 10_000_000], [ADDS_UP, longest]):
            rpc.session.send(encode_message(CALL_FUNC, pack("<Q", user.value) + encode_sequence(arguments)))
        answers = [decode_return(rpc.session.receive(ANSWER_SEC), "user") for _ in range(2)]
        assert [values[-1] for values in answers] == [0, 255 * len(longest)]


@pytest.mark.parametrize("board", EMULATED)
def test_the_nonce_differs_between_resets(with_user_code, board):
    transport = link.open_transport(with_user_code(board))
    try:
        nonces = set()
        for _ in range(4):
            session = new_session(transport, [])
            nonces.add(session.session_id >> 8)
            with pytest.raises(ProtocolError, match="restarted"):
                RpcClient(session).get_function("user")(STORES, 0)
        assert len(nonces) > 1
    finally:
        transport.close()
