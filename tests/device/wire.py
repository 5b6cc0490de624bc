# SPDX-License-Identifier: Apache-2.0
"""Small client of the wire protocol for tests of the device alone. It shares no code with the host tools.

Values of packed sequences are pairs (type code, value); tensors are `Tensor`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

TERMINATE, LOG, NORMAL, INIT, REPLY = 0x02, 0x03, 0x10, 0x00, 0x01
SHUTDOWN, INIT_SERVER, CALL, RETURN, EXCEPTION, COPY_FROM, COPY_TO, COPY_ACK = range(1, 9)
GET_GLOBAL, FREE, SET_DEVICE, GET_ATTR, ALLOC, FREE_DATA, SYNC, COPY_AMONG = range(9, 17)
ALLOC_SCOPE, CREATE_STREAM, FREE_STREAM, SET_STREAM = range(17, 21)
INT, FLOAT, HANDLE, NULL, DTYPE, DEVICE, TENSOR, MODULE, FUNCTION, STR, BYTES, NDARRAY, BOOL = (
    0, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15,
)  # fmt: skip

Values = List[Tuple[int, Any]]


@dataclass(frozen=True)
class Tensor:
    data: int
    shape: Tuple[int, ...]
    dtype: Tuple[int, int, int] = (2, 32, 1)
    byte_offset: int = 0
    device: Tuple[int, int] = (1, 0)
    ndim: Optional[int] = None

    def encode(self) -> bytes:
        ndim = len(self.shape) if self.ndim is None else self.ndim
        head = struct.pack("<QiiiBBH", self.data, *self.device, ndim, *self.dtype)
        return head + struct.pack(f"<{len(self.shape)}q", *self.shape) + struct.pack("<Q", self.byte_offset)

    @staticmethod
    def decode(data: bytes) -> Tuple[Tensor, bytes]:
        address, dev_type, dev_id, ndim, code, bits, lanes = struct.unpack_from("<QiiiBBH", data)
        shape = struct.unpack_from(f"<{ndim}q", data, 24)
        end = 24 + 8 * ndim
        (offset,) = struct.unpack_from("<Q", data, end)
        return Tensor(address, shape, (code, bits, lanes), offset, (dev_type, dev_id)), data[end + 8 :]


def crc16(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else (crc << 1) & 0xFFFF
    return crc


def escape(data: bytes) -> bytes:
    return data.replace(b"\xff", b"\xff\xff")


def frame(payload: bytes) -> bytes:
    body = b"\xff\xfd" + escape(struct.pack("<I", len(payload)) + payload)
    return body + escape(struct.pack("<H", crc16(body)))


def unframe(data: bytes) -> Tuple[List[bytes], bytes]:
    """Return the payloads of the complete packets in `data`, and the remaining bytes. Fail on a wrong CRC."""
    payloads: List[bytes] = []
    while True:
        start = data.find(b"\xff\xfd")
        if start < 0:
            return payloads, data[-1:] if data.endswith(b"\xff") else b""
        plain, at, crc_from = b"", start + 2, None
        while crc_from is None or len(plain) < crc_from[0] + 2:
            if at >= len(data) or (data[at] == 0xFF and at + 1 >= len(data)):
                return payloads, data[start:]
            if data[at] == 0xFF:
                assert data[at + 1] == 0xFF, "a packet of the device must not contain this escape"
                at += 1
            plain, at = plain + data[at : at + 1], at + 1
            if len(plain) >= 4 and crc_from is None:
                (length,) = struct.unpack_from("<I", plain)
                if len(plain) == 4 + length:
                    crc_from = (len(plain), at)
        assert struct.unpack("<H", plain[-2:])[0] == crc16(data[start : crc_from[1]]), "CRC of the device"
        payloads.append(plain[4:-2])
        data = data[at:]


def encode_values(values: Values) -> bytes:
    out = struct.pack("<i", len(values)) + b"".join(struct.pack("<i", code) for code, _ in values)
    for code, value in values:
        if code == NULL:
            continue
        if code == FLOAT:
            out += struct.pack("<d", value)
        elif code == DTYPE:
            out += struct.pack("<BBHi", *value[:3], 0)
        elif code == DEVICE:
            out += struct.pack("<ii", *value)
        elif code == TENSOR:
            out += value.encode()
        elif code in (STR, BYTES):
            data = value.encode() if isinstance(value, str) else value
            out += struct.pack("<Q", len(data)) + data
        else:
            out += struct.pack("<Q", value & (2**64 - 1))
    return out


def decode_values(data: bytes) -> Tuple[Values, bytes]:
    (count,) = struct.unpack_from("<i", data)
    codes = struct.unpack_from(f"<{count}i", data, 4)
    data = data[4 + 4 * count :]
    values: Values = []
    for code in codes:
        value: Any = None
        if code == TENSOR:
            value, data = Tensor.decode(data)
        elif code in (STR, BYTES):
            (length,) = struct.unpack_from("<Q", data)
            value, data = data[8 : 8 + length], data[8 + length :]
            value = value.decode() if code == STR else value
        elif code != NULL:
            fields = {INT: "<q", FLOAT: "<d", DTYPE: "<BBHi", DEVICE: "<ii"}.get(code, "<Q")
            unpacked = struct.unpack_from(fields, data)
            value = unpacked[0] if len(unpacked) == 1 else unpacked
            data = data[8:]
        values.append((code, value))
    return values, data


def message(code: int, operands: bytes = b"") -> bytes:
    return struct.pack("<Qi", 4 + len(operands), code) + operands


def split_message(data: bytes) -> Tuple[int, bytes]:
    length, code = struct.unpack_from("<Qi", data)
    assert length == len(data) - 8, "length of a message of the device"
    return code, data[12:]


class DeviceException(Exception):
    """Exception reply; its argument is the device's message."""


class Client:
    """Session with a device.

    A subclass implements `exchange`, which sends bytes and returns the payloads of the replies.
    """

    def __init__(self) -> None:
        self.session = 0
        self.logs: List[Tuple[int, str]] = []

    def exchange(self, data: bytes, replies: int) -> List[bytes]:
        raise NotImplementedError

    def payloads(self, data: bytes, replies: int = 1) -> List[Tuple[int, int, bytes]]:
        """Send bytes, and return (session id, type, body) of each reply. Log messages are added to `logs`."""
        out = []
        for payload in self.exchange(data, replies):
            session, kind = struct.unpack_from("<HB", payload)
            if kind == LOG:
                self.logs.append((session, payload[3:].decode()))
            else:
                out.append((session, kind, payload[3:]))
        return out

    def open(self, nonce: int = 0x28) -> int:
        data = b"\xfe" + frame(struct.pack("<HB", 0, TERMINATE)) + frame(struct.pack("<HBB", nonce, INIT, 1))
        replies = [p for p in self.payloads(data) if p[1] != TERMINATE]
        assert len(replies) == 1 and replies[0][1:] == (REPLY, b"\x01"), replies
        self.session = replies[0][0]
        assert self.session & 0xFF == nonce and self.session >> 8 != 0
        return self.session

    def raw(self, body: bytes) -> bytes:
        """Send one RPC message, and return its reply."""
        (reply,) = self.payloads(frame(struct.pack("<HB", self.session, NORMAL) + body))
        assert reply[:2] == (self.session, NORMAL)
        return reply[2]

    def request(self, code: int, operands: bytes = b"") -> Tuple[int, bytes]:
        answer, rest = split_message(self.raw(message(code, operands)))
        if answer == EXCEPTION:
            values, rest = decode_values(rest)
            assert rest == b"" and values[0][0] == STR and values[0][1]
            raise DeviceException(values[0][1])
        return answer, rest

    def returned(self, code: int, operands: bytes) -> Values:
        answer, rest = self.request(code, operands)
        assert answer == RETURN
        values, rest = decode_values(rest)
        assert rest == b""
        return values

    def sequence(self, code: int, *values: Tuple[int, Any]) -> Values:
        return self.returned(code, encode_values(list(values)))

    def call(self, handle: int, *values: Tuple[int, Any]) -> Values:
        return self.returned(CALL, struct.pack("<Q", handle) + encode_values(list(values)))

    def function(self, name: str) -> int:
        ((code, handle),) = self.sequence(GET_GLOBAL, (STR, name))
        assert code == HANDLE
        return int(handle)

    def system_lib(self) -> int:
        (kind, module) = self.call(self.function("runtime.SystemLib"))
        assert kind == (INT, MODULE) and module[0] == HANDLE
        return int(module[1])

    def module_function(self, module: int, name: str) -> int:
        kind, value = self.call(
            self.function("tvm.rpc.server.ModuleGetFunction"), (MODULE, module), (STR, name), (INT, 1)
        )
        if kind == (INT, NULL):
            return 0
        assert kind == (INT, FUNCTION) and value[0] == HANDLE
        return int(value[1])

    def aot(self, name: str = "default") -> int:
        create = self.function("tvm.aot_executor.create")
        kind, value = self.call(create, (MODULE, self.system_lib()), (DEVICE, (1, 0)), (STR, name))
        assert kind == (INT, MODULE)
        return int(value[1])

    def tensor(self, handle: int, *args: Tuple[int, Any]) -> Tuple[Tensor, int]:
        """Call get_input or get_output, and return the tensor and its handle."""
        kind, tensor, value = self.call(handle, *args)
        assert kind == (INT, NDARRAY) and tensor[0] == TENSOR and value[0] == HANDLE
        return tensor[1], int(value[1])

    def alloc(self, shape: Tuple[int, ...], dtype: Tuple[int, int, int] = (2, 32, 1)) -> Tensor:
        tensor = Tensor(0, shape, dtype)
        ((_, address),) = self.sequence(ALLOC_SCOPE, (TENSOR, tensor), (NULL, None))
        return replace(tensor, data=address)

    def free(self, handle: int, type_code: int) -> None:
        assert self.sequence(FREE, (HANDLE, handle), (INT, type_code)) == [(NULL, None)]

    def copy_to(self, tensor: Tensor, data: bytes) -> None:
        block = 1024
        for at in range(0, max(len(data), 1), block):
            part = data[at : at + block]
            window = replace(tensor, byte_offset=tensor.byte_offset + at)
            values = self.returned(COPY_TO, window.encode() + struct.pack("<Q", len(part)) + part)
            assert values == [(NULL, None)]

    def copy_from(self, tensor: Tensor, nbytes: int) -> bytes:
        out = b""
        while len(out) < nbytes:
            part = min(1024, nbytes - len(out))
            window = replace(tensor, byte_offset=tensor.byte_offset + len(out))
            code, data = self.request(COPY_FROM, window.encode() + struct.pack("<Q", part))
            assert code == COPY_ACK and len(data) == part
            out += data
        return out


def trace_packets(path: Path) -> Iterator[Tuple[str, bytes]]:
    """Yield the entries of a recording in order.

    They are ('mark', text), ('>', payload of the host) and ('<', payload of the device).
    """
    pending = {"host->device": b"", "device->host": b""}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if "mark" in entry:
            yield "mark", entry["mark"].encode()
            continue
        direction = entry["dir"]
        payloads, pending[direction] = unframe(pending[direction] + bytes.fromhex(entry.get("hex", "")))
        for payload in payloads:
            yield (">" if direction == "host->device" else "<"), payload
