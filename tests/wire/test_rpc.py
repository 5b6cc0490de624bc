# SPDX-License-Identifier: Apache-2.0
"""Remote calls: every type of value, every request, and invalid replies."""

from __future__ import annotations

import contextlib
import struct
from typing import Any, Callable, Dict, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.host.dtype import DType, describe
from runtime.host.errors import DeviceError, ProtocolError
from runtime.host.wire import messages
from runtime.host.wire.messages import (
    ARRAY,
    FUNCTION,
    MODULE,
    Handle,
    Value,
    decode_sequence,
    encode_message,
    encode_sequence,
)
from runtime.host.wire.remote_tensor import CPU, Device, RemoteTensor
from runtime.host.wire.rpc import CopyFrom, RpcClient, decode_return
from runtime.host.wire.session import HEADER, NORMAL, Session
from tests.support import traces
from tests.support.peers import ScriptedDevice, ScriptedTransport, rpc_message

quick = settings(max_examples=60, deadline=None)

F32 = DType.parse("float32")
TENSOR = RemoteTensor(0x1000, F32, (2, 3), 8)

VALUES = {
    "none": (None, 4, ""),
    "int": (-2, 0, "feffffffffffffff"),
    "bool": (True, 0, "0100000000000000"),
    "float": (1.5, 2, "000000000000f83f"),
    "opaque": (Handle(0x0102), 3, "0201000000000000"),
    "module": (Handle(1, MODULE), 9, "0100000000000000"),
    "function": (Handle(2, FUNCTION), 10, "0200000000000000"),
    "dtype": (DType(0, 8, 4), 5, "0008040000000000"),
    "device": (Device(1, 2), 6, "0100000002000000"),
    "text": ("xß", 11, "030000000000000078c39f"),
    "empty text": ("", 11, "0000000000000000"),
    "bytes": (b"\xff\x00", 12, "0200000000000000ff00"),
    "tensor": (
        TENSOR,
        7,
        "0010000000000000" "0100000000000000" "02000000" "02200100"
        "0200000000000000" "0300000000000000" "0800000000000000",
    ),
    "scalar tensor": (
        RemoteTensor(1, DType(0, 8), ()),
        7,
        "0100000000000000" "0100000000000000" "00000000" "00080100" "0000000000000000",
    ),
}  # fmt: skip


class TestSequence:
    @pytest.mark.parametrize("name", VALUES)
    def test_every_kind_of_value(self, name: str) -> None:
        value, code, spelled = VALUES[name]
        expected = struct.pack("<ii", 1, code) + bytes.fromhex(spelled)
        assert encode_sequence([value]) == expected
        assert decode_sequence(expected) == [value]

    def test_all_kinds_together(self) -> None:
        values: List[Value] = [value for value, _, _ in VALUES.values()]
        encoded = encode_sequence(values)
        assert encoded[:4] == struct.pack("<i", len(values))
        assert decode_sequence(b"before" + encoded, 6) == values

    def test_unsigned_integers_are_read(self) -> None:
        assert decode_sequence(struct.pack("<iiQ", 1, 1, 2**64 - 1)) == [2**64 - 1]

    def test_what_the_wire_does_not_know_is_refused(self) -> None:
        with pytest.raises(TypeError, match="complex"):
            encode_sequence([1j])  # type: ignore[list-item]

    @quick
    @given(cut=st.integers(0, 10**4))
    def test_a_sequence_that_is_cut_off_is_an_error(self, cut: int) -> None:
        encoded = encode_sequence([value for value, _, _ in VALUES.values()])
        with pytest.raises(ProtocolError, match="The device sent"):
            decode_sequence(encoded[: cut % len(encoded)])

    @quick
    @given(data=st.binary(max_size=80))
    def test_no_bytes_at_all_do_worse_than_a_protocol_error(self, data: bytes) -> None:
        with contextlib.suppress(ProtocolError):
            decode_sequence(data)

    @pytest.mark.parametrize(
        ("spelled", "message"),
        [
            ("ffffffff", "sequence of -1 values"),
            ("ffffff7f", "sequence of 2147483647 values"),
            ("01000000" "0e000000" "0000000000000000", "unknown type code 14"),
            ("01000000" "0b000000" "ffffffffffffffff", "text of 18446744073709551615 bytes"),
            ("01000000" "07000000" + "00" * 16 + "ffffff7f" + "00" * 12, "tensor of 2147483647 dimensions"),
            ("01000000" "04000000" "00", "1 bytes too many"),
        ],
    )  # fmt: skip
    def test_absurd_sizes_are_refused_before_they_are_believed(self, spelled: str, message: str) -> None:
        with pytest.raises(ProtocolError, match=message):
            decode_sequence(bytes.fromhex(spelled))


class TestDataTypes:
    @pytest.mark.parametrize(
        ("name", "fields", "itemsize"),
        [
            ("int8", (0, 8, 1), 1),
            ("uint16", (1, 16, 1), 2),
            ("float32", (2, 32, 1), 4),
            ("float64", (2, 64, 1), 8),
            ("int8x4", (0, 8, 4), 4),
            ("bool", (1, 1, 1), 1),
            ("handle64", (3, 64, 1), 8),
            ("bfloat16", (4, 16, 1), 2),
        ],
    )
    def test_names(self, name: str, fields: Tuple[int, int, int], itemsize: int) -> None:
        dtype = DType.parse(name)
        assert tuple(dtype) == fields
        assert str(dtype) == name
        assert dtype.itemsize == itemsize
        assert DType.unpack(dtype.pack()) == dtype

    @pytest.mark.parametrize("name", ["", "int", "float32x", "double", "int8x4x2"])
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="invalid data type"):
            DType.parse(name)

    def test_descriptions(self) -> None:
        assert describe(F32, (1, 64)) == "float32 1x64"
        assert describe(F32, ()) == "float32 scalar"


class Board:
    """Scripted device with some functions, which replies to requests from a table."""

    def __init__(self, packet: int = 2037) -> None:
        self.requests: List[Tuple[int, bytes]] = []
        self.answers: Dict[int, Callable[[bytes], bytes]] = {
            messages.GET_GLOBAL_FUNC: self._look_up,
            messages.CALL_FUNC: self._call,
            messages.COPY_TO_REMOTE: lambda operands: returned([None]),
            messages.COPY_FROM_REMOTE: self._read,
        }
        self.functions: Dict[str, Callable[..., List[Value]]] = {
            "tvm.rpc.server.GetCRTMaxPacketSize": lambda: [0, packet],
        }
        self.memory = bytes(range(256)) * 64
        self.transport = ScriptedTransport(ScriptedDevice(self._reply))
        session = Session(self.transport)
        session.open()
        self.rpc = RpcClient(session)

    def _reply(self, body: bytes) -> Any:
        size, code = struct.unpack_from("<Qi", body)
        assert size == len(body) - 8
        self.requests.append((code, body[12:]))
        return self.answers[code](body[12:]) if code in self.answers else None

    def _look_up(self, operands: bytes) -> bytes:
        (name,) = decode_sequence(operands)
        known = list(self.functions)
        return returned([Handle(known.index(name) + 1 if name in known else 0)])

    def _call(self, operands: bytes) -> bytes:
        (handle,) = struct.unpack_from("<Q", operands)
        name = list(self.functions)[handle - 1]
        return returned(self.functions[name](*decode_sequence(operands, 8)))

    def _read(self, operands: bytes) -> bytes:
        tensor, end = RemoteTensor.unpack(operands)
        (size,) = struct.unpack_from("<Q", operands, end)
        start = tensor.data + tensor.byte_offset
        return rpc_message(messages.COPY_ACK, self.memory[start : start + size])


def returned(values: List[Value]) -> bytes:
    return rpc_message(messages.RETURN, encode_sequence(values))


@pytest.fixture
def board() -> Board:
    return Board()


class TestCalls:
    @pytest.mark.parametrize(
        ("answer", "result"),
        [
            ([4, None], None),
            ([0, 42], 42),
            ([2, 0.5], 0.5),
            ([11, "text"], "text"),
            ([12, b"bytes"], b"bytes"),
            ([3, Handle(7)], Handle(7)),
            ([9, Handle(7)], Handle(7, MODULE)),
            ([10, Handle(7)], Handle(7, FUNCTION)),
            ([13, TENSOR, Handle(9)], TENSOR._replace(handle=9)),
        ],
    )
    def test_results(self, board: Board, answer: List[Value], result: Value) -> None:
        board.functions["f"] = lambda *arguments: answer
        assert board.rpc.get_function("f")(1, "x") == result
        assert board.rpc.call(Handle(2, FUNCTION), 1, "x") == result

    def test_a_function_is_looked_up_once(self, board: Board) -> None:
        board.functions["f"] = lambda: [4, None]
        for _ in range(3):
            board.rpc.get_function("f")()
        assert [code for code, _ in board.requests].count(messages.GET_GLOBAL_FUNC) == 1

    def test_an_unknown_function(self, board: Board) -> None:
        assert board.rpc.find_function("no.such") is None
        with pytest.raises(DeviceError, match=r"no function no\.such"):
            board.rpc.get_function("no.such")

    def test_a_module_function(self, board: Board) -> None:
        board.functions["runtime.SystemLib"] = lambda: [9, Handle(0x8000)]
        board.functions["tvm.rpc.server.ModuleGetFunction"] = lambda module, name, imports: (
            [10, Handle(5)] if name == "run" else [4, None]
        )
        library = board.rpc.system_lib()
        assert library == Handle(0x8000, MODULE)
        found = board.rpc.module_function(library, "run")
        assert found is not None
        assert found.handle == Handle(5, FUNCTION)
        assert board.rpc.module_function(library, "walk") is None

    @pytest.mark.parametrize(("text", "shown"), [("out of memory", "out of memory"), ("", "gave no reason")])
    def test_an_exception_has_the_devices_words(self, board: Board, text: str, shown: str) -> None:
        board.functions["f"] = lambda: [4, None]
        function = board.rpc.get_function("f")
        board.answers[messages.CALL_FUNC] = lambda operands: rpc_message(
            messages.EXCEPTION, encode_sequence([text])
        )
        with pytest.raises(DeviceError, match=f"failed at f: .*{shown}"):
            function()

    @pytest.mark.parametrize(
        ("reply", "message"),
        [
            (rpc_message(messages.COPY_ACK, b""), "reply of code 8"),
            (rpc_message(messages.CALL_FUNC, b""), "reply of code 3"),
            (rpc_message(messages.RETURN, b""), "cut off|sequence"),
            (rpc_message(messages.RETURN, encode_sequence([1, 2, 3, 4])), "result of 4 values"),
            (rpc_message(messages.RETURN, encode_sequence([None]))[:-1], "claims to have"),
            (b"", "only 0 bytes"),
        ],
    )
    def test_a_reply_of_the_wrong_kind(self, board: Board, reply: bytes, message: str) -> None:
        board.functions["f"] = lambda: [4, None]
        function = board.rpc.get_function("f")
        board.answers[messages.CALL_FUNC] = lambda operands: reply
        with pytest.raises(ProtocolError, match=message):
            function()

    def test_a_result_of_the_wrong_type(self, board: Board) -> None:
        board.functions["runtime.SystemLib"] = lambda: [11, "a library"]
        with pytest.raises(ProtocolError, match=r"str where Handle was expected \(runtime.SystemLib\)"):
            board.rpc.system_lib()


SYSTEM_CALLS: List[Tuple[Callable[[RpcClient], Any], int, List[Value], Value, Any]] = [
    (lambda rpc: rpc.allocate(24, F32), 13, [CPU, 24, 64, F32], Handle(0x99), 0x99),
    (lambda rpc: rpc.free(0x99), 14, [CPU, Handle(0x99)], None, None),
    (lambda rpc: rpc.free(Handle(4, MODULE)), 10, [Handle(4), 9], None, None),
    (lambda rpc: rpc.free(Handle(4, FUNCTION)), 10, [Handle(4), 10], None, None),
    (lambda rpc: rpc.free(TENSOR._replace(handle=4)), 10, [Handle(4), ARRAY], None, None),
]


class TestSystemCalls:
    @pytest.mark.parametrize(("request_", "code", "operands", "answer", "result"), SYSTEM_CALLS)
    def test_request_and_reply(
        self,
        board: Board,
        request_: Callable[[RpcClient], Any],
        code: int,
        operands: List[Value],
        answer: Value,
        result: Any,
    ) -> None:
        board.answers[code] = lambda _: returned([answer])
        assert request_(board.rpc) == result
        assert board.requests == [(code, encode_sequence(operands))]

    def test_shutdown_has_no_reply(self, board: Board) -> None:
        board.rpc.shutdown()
        assert board.requests == [(1, b"")]

    def test_too_many_values_are_refused(self, board: Board) -> None:
        board.answers[messages.DEV_FREE_DATA] = lambda _: returned([None, None])
        with pytest.raises(ProtocolError, match="2 values where one was expected"):
            board.rpc.free(0x99)


class TestCopies:
    def test_blocks_fill_the_devices_packets_and_no_more(self) -> None:
        board = Board(packet=200)
        tensor = RemoteTensor(0, F32, (10, 10), 16)
        data = bytes(range(256)) * 2
        board.rpc.copy_to(tensor, data[:400])
        copies = [operands for code, operands in board.requests if code == messages.COPY_TO_REMOTE]
        block = 200 - (4 + 8 + 8 + 4 + 4 + 8 + 8 * 2 + 8)
        starts = list(range(0, 400, block))
        assert len(copies) == len(starts) == 3
        for start, operands in zip(starts, copies):
            chunk = data[start : min(start + block, 400)]
            assert operands == tensor.pack(start) + struct.pack("<Q", len(chunk)) + chunk
        # The largest message is as long as the receive buffer that the packet size describes.
        longest = max(len(payload) for payload in board.transport.sent)
        assert longest == 200 + 11

    def test_reads_come_together(self) -> None:
        board = Board(packet=200)
        tensor = RemoteTensor(100, F32, (10, 10), 16)
        assert CopyFrom(board.rpc, tensor)() == board.memory[116:516]

    def test_an_empty_tensor_takes_no_message(self, board: Board) -> None:
        empty = RemoteTensor(0, F32, (0, 4))
        board.rpc.copy_to(empty, b"")
        assert CopyFrom(board.rpc, empty)() == b""
        assert not [code for code, _ in board.requests if code in (6, 7)]

    def test_data_of_another_size_is_refused(self, board: Board) -> None:
        with pytest.raises(ValueError, match="5 bytes for a tensor of 24"):
            board.rpc.copy_to(TENSOR, b"short")

    def test_packets_too_small_for_anything(self) -> None:
        with pytest.raises(ProtocolError, match="cannot carry a tensor of 2 dimensions"):
            CopyFrom(Board(packet=60).rpc, TENSOR)()

    @pytest.mark.parametrize(
        ("reply", "error", "message"),
        [
            (rpc_message(messages.COPY_ACK, bytes(23)), ProtocolError, "reply of code 8 and 35 bytes"),
            (rpc_message(messages.COPY_ACK, bytes(25)), ProtocolError, "reply of code 8 and 37 bytes"),
            (
                rpc_message(messages.EXCEPTION, encode_sequence(["no such memory"])),
                DeviceError,
                "no such memory",
            ),
            (returned([None]), ProtocolError, "reply of code 4"),
        ],
    )
    def test_a_read_with_a_wrong_answer(self, board: Board, reply: bytes, error: type, message: str) -> None:
        board.answers[messages.COPY_FROM_REMOTE] = lambda _: reply
        with pytest.raises(error, match=message):
            CopyFrom(board.rpc, TENSOR)()

    def test_a_write_with_a_wrong_answer(self, board: Board) -> None:
        board.answers[messages.COPY_TO_REMOTE] = lambda _: rpc_message(
            messages.EXCEPTION, encode_sequence(["no such memory"])
        )
        with pytest.raises(DeviceError, match="copying 24 bytes to the device: no such memory"):
            board.rpc.copy_to(TENSOR, bytes(24))


@pytest.mark.parametrize("name", traces.NAMES)
def test_recorded_messages_are_encoded_again_byte_for_byte(name: str) -> None:
    """Decode every message of both sides into values, and encode the values again."""
    checked = 0
    for direction, payloads in traces.turns(name):
        for payload in payloads:
            if payload[2] != NORMAL:
                continue
            message = payload[HEADER.size :]
            _, code = struct.unpack_from("<Qi", message)
            operands = message[12:]
            if code == messages.CALL_FUNC:
                again = operands[:8] + encode_sequence(decode_sequence(operands, 8))
            elif code in (messages.COPY_TO_REMOTE, messages.COPY_FROM_REMOTE):
                tensor, end = RemoteTensor.unpack(operands)
                again = tensor.pack() + operands[end:]
                (size,) = struct.unpack_from("<Q", operands, end)
                assert size == tensor.nbytes
            elif code == messages.COPY_ACK:
                again = operands
            else:
                again = encode_sequence(decode_sequence(operands))
            assert encode_message(code, again) == message, (direction, code)
            checked += 1
    assert checked > 60


def test_the_recorded_failure_is_an_exception_without_text() -> None:
    last = [payload for _, payloads in traces.turns("mlp_f32_aot") for payload in payloads][-1]
    with pytest.raises(DeviceError, match="gave no reason"):
        decode_return(last[HEADER.size :], "a call")
