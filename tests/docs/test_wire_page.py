# SPDX-License-Identifier: Apache-2.0
"""docs/wire.md: its conversation is what the host tools read and write, and its tables have their numbers."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, NamedTuple, Tuple

from runtime.host.dtype import DType
from runtime.host.execution.firmware_info import FUNCTION as ABOUT
from runtime.host.wire import messages as codes
from runtime.host.wire import session
from runtime.host.wire.framing import DEFAULT_MAX_PAYLOAD, MIN_PAYLOAD, NOP_BYTE, Unframer, encode_frame
from runtime.host.wire.messages import (
    FUNCTION,
    OPAQUE,
    U64,
    Handle,
    decode_sequence,
    encode_message,
    encode_sequence,
    split_message,
)
from runtime.host.wire.remote_tensor import CPU, RemoteTensor
from runtime.host.wire.session import HEADER, LOG, NORMAL, START_INIT, START_REPLY, TERMINATE, VERSION
from runtime.host.wire.stored_call import FUNCTION as STORED
from tests.conftest import TEMPLATE

PAGE = (TEMPLATE / "docs" / "wire.md").read_text(encoding="utf-8")
LINE = re.compile(r"(host|device)\s+((?:[0-9a-f]{2} ?)+)\s*(?:#.*)?")
SESSION = 0x6B5A
FUNCTION_HANDLE = 0x6B5A1BA846000002
ADDRESS = 0x55DD4EA178C0
DATA = bytes([0x01, 0xFF, 0x03, 0xFE])


class Said(NamedTuple):
    """Consecutive bytes of one side."""

    side: str
    data: bytes


def conversation() -> List[Said]:
    """Return what the two sides send, in turns."""
    (block,) = (block for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    said: List[Said] = []
    for line in filter(None, block.splitlines()):
        found = LINE.fullmatch(line)
        assert found is not None, line
        data = bytes.fromhex(found[2])
        if said and said[-1].side == found[1]:
            said[-1] = Said(found[1], said[-1].data + data)
        else:
            said.append(Said(found[1], data))
    return said


def payloads() -> Iterator[Tuple[str, bytes]]:
    """Yield the payload of each frame. Nothing but the two nops is noise, and no frame is damaged."""
    unframers = {"host": Unframer(), "device": Unframer()}
    for side, data in conversation():
        for payload in unframers[side].feed(data):
            yield side, payload
    for unframer in unframers.values():
        assert (unframer.noise_bytes, unframer.last_noise) == (1, NOP_BYTE)
        assert (unframer.crc_errors, unframer.dropped, unframer.is_in_packet) == (0, 0, False)


def normal(code: int, operands: bytes = b"") -> bytes:
    return HEADER.pack(SESSION, NORMAL) + encode_message(code, operands)


def test_the_conversation_is_what_the_host_tools_write() -> None:
    function = Handle(FUNCTION_HANDLE)
    tensor = RemoteTensor(ADDRESS, DType.parse("int8"), (4,))
    window = tensor.pack() + U64.pack(len(DATA))
    expected = [
        ("device", HEADER.pack(0, TERMINATE)),
        ("host", HEADER.pack(0, TERMINATE)),
        ("host", HEADER.pack(SESSION & 0xFF, START_INIT) + bytes([VERSION])),
        ("device", HEADER.pack(SESSION, START_REPLY) + bytes([VERSION])),
        ("host", normal(codes.GET_GLOBAL_FUNC, encode_sequence(["tvm.rpc.server.GetCRTMaxPacketSize"]))),
        ("device", normal(codes.RETURN, encode_sequence([function]))),
        ("host", normal(codes.CALL_FUNC, U64.pack(function.value) + encode_sequence([]))),
        ("device", normal(codes.RETURN, encode_sequence([codes.INT, 2037]))),
        ("host", normal(codes.DEV_ALLOC_DATA, encode_sequence([CPU, 4, 16, DType.parse("int8")]))),
        ("device", normal(codes.RETURN, encode_sequence([Handle(ADDRESS)]))),
        ("host", normal(codes.COPY_TO_REMOTE, window + DATA)),
        ("device", normal(codes.RETURN, encode_sequence([None]))),
        ("host", normal(codes.COPY_FROM_REMOTE, window)),
        ("device", normal(codes.COPY_ACK, DATA)),
        ("host", normal(codes.GET_GLOBAL_FUNC, encode_sequence(["no_such_function"]))),
        ("device", normal(codes.RETURN, encode_sequence([Handle(0)]))),
        ("host", normal(99, encode_sequence([]))),
        ("device", normal(codes.EXCEPTION, encode_sequence(["no request has code 0x63"]))),
        ("host", normal(codes.SHUTDOWN)),
    ]
    assert list(payloads()) == expected
    written = {"host": NOP_BYTE, "device": NOP_BYTE}
    for side, payload in expected:
        written[side] += encode_frame(payload)
    for side, data in written.items():
        assert data == b"".join(said.data for said in conversation() if said.side == side)


def test_the_host_tools_decode_the_replies() -> None:
    normal_ones = [payload for side, payload in payloads() if side == "device"][2:]
    replies = [split_message(payload[HEADER.size :]) for payload in normal_ones]
    assert [code for code, _ in replies] == [4, 4, 4, 4, 8, 4, 5]
    values = [decode_sequence(operands) for code, operands in replies if code != codes.COPY_ACK]
    assert values == [
        [Handle(FUNCTION_HANDLE, OPAQUE)],
        [0, 2037],
        [Handle(ADDRESS)],
        [None],
        [Handle(0)],
        ["no request has code 0x63"],
    ]


def table_after(heading: str, number: int = 0) -> Dict[str, List[str]]:
    """Return the rows of a table of a section, by their first cell."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = [
        [cell.strip(" `") for cell in line.strip("|\n").split("|")]
        for line in tables[number].splitlines()[2:]
    ]
    return {row[0]: row[1:] for row in rows}


def test_messages_of_a_session_have_their_types() -> None:
    types = {int(code, 16): row[0] for code, row in table_after("Sessions", 1).items()}
    assert types == {
        START_INIT: "start, init",
        START_REPLY: "start, reply",
        TERMINATE: "terminate",
        LOG: "log",
        NORMAL: "normal",
    }


def test_messages_of_the_rpc_have_the_codes_of_the_device() -> None:
    header = (TEMPLATE / "runtime/device/src/rpc_codes.h").read_text(encoding="utf-8")
    numbers = {
        name.replace("_", "").lower(): int(code)
        for name, code in re.findall(r"MTVM_RPC_(\w+) = (\d+),", header)
    }
    assert {row[0].lower(): int(code) for code, row in table_after("RPC messages", 1).items()} == numbers


def test_values_have_the_type_codes_of_the_host_tools() -> None:
    names = {
        codes.INT: "integer",
        codes.UINT: "unsigned integer",
        codes.FLOAT: "float",
        codes.OPAQUE: "opaque handle",
        codes.NULL: "null",
        codes.DTYPE: "data type",
        codes.DEVICE: "device",
        codes.TENSOR: "tensor",
        codes.MODULE: "module",
        FUNCTION: "function",
        codes.TEXT: "string",
        codes.BYTES: "bytes",
        15: "boolean, TVM 0.18",
    }
    assert {int(code): row[0] for code, row in table_after("Sequences", 1).items()} == names


def test_functions_are_those_of_the_device() -> None:
    source = (TEMPLATE / "runtime/device/src/functions.c").read_text(encoding="utf-8")
    natives = source.split("natives[] = {")[1].split("};")[0]
    assert set(table_after("Functions")) == {*re.findall(r'\{"([^"]+)"', natives), ABOUT}
    assert STORED in table_after("Functions")
    executor = (TEMPLATE / "runtime/device/src/executor.c").read_text(encoding="utf-8")
    members = re.findall(r'^    \{"(\w+)", \w+\},', executor, re.MULTILINE)
    assert members and [name for name in members if f"`{name}(" not in PAGE] == []


def test_sizes_and_times_are_those_of_the_code() -> None:
    times = session.Timeouts()
    assert f"wait {session.FIRST_FRAME_SEC:g} s for it" in PAGE
    assert f"do so after {times.session_start_retry_timeout_sec:g} s" in PAGE
    assert re.search(rf"give up\s+after {times.session_start_timeout_sec:g} s", PAGE)
    assert f"{DEFAULT_MAX_PAYLOAD:,}" in PAGE and f"at least {MIN_PAYLOAD} bytes" in PAGE
    config = (TEMPLATE / "runtime/device/include/microtvm/config.h").read_text(encoding="utf-8")
    numbers = {
        name: int(value) for name, value in re.findall(r"#define (MTVM_\w+) (\d+)$", config, re.MULTILINE)
    }
    assert f"up to {numbers['MTVM_MAX_NDIM']} dimensions and {numbers['MTVM_MAX_ARGS']} arguments" in PAGE
    assert f"{numbers['MTVM_LARGEST_PACKET']:,} bytes as a rule" in PAGE
    assert f"and {numbers['MTVM_SMALLEST_PACKET']} at least" in PAGE
