# SPDX-License-Identifier: Apache-2.0
"""Wire format of the messages of TVM's RPC.

One message is a u64 number of bytes that follow, an i32 code, and operands. Operands are mostly a packed
sequence: i32 n, i32 type code[n], then n values:

* 8 bytes for an integer, a float, a handle or a device;
* nothing for null;
* 4 bytes and 4 bytes of padding for a data type;
* the layout of RemoteTensor.pack for a tensor;
* a u64 length and the contents for a string or bytes.
"""

from __future__ import annotations

import struct
from typing import Final, List, NamedTuple, Sequence, Tuple, Union

from runtime.host.dtype import DType
from runtime.host.errors import ProtocolError
from runtime.host.wire.remote_tensor import Device, RemoteTensor

SHUTDOWN: Final = 1
CALL_FUNC: Final = 3
RETURN: Final = 4
EXCEPTION: Final = 5
COPY_FROM_REMOTE: Final = 6
COPY_TO_REMOTE: Final = 7
COPY_ACK: Final = 8
GET_GLOBAL_FUNC: Final = 9
FREE_HANDLE: Final = 10
DEV_ALLOC_DATA: Final = 13
DEV_FREE_DATA: Final = 14

INT: Final = 0
UINT: Final = 1
FLOAT: Final = 2
OPAQUE: Final = 3
NULL: Final = 4
DTYPE: Final = 5
DEVICE: Final = 6
TENSOR: Final = 7
MODULE: Final = 9
FUNCTION: Final = 10
TEXT: Final = 11
BYTES: Final = 12
ARRAY: Final = 13  # an array object; only the type code of a handle

HEAD: Final = struct.Struct("<Qi")  # head of a message: bytes that follow, code
U64: Final = struct.Struct("<Q")
_I32: Final = struct.Struct("<i")
_I64: Final = struct.Struct("<q")
_F64: Final = struct.Struct("<d")
_PAIR: Final = struct.Struct("<ii")


class Handle(NamedTuple):
    """Handle of an object on the device.

    Attributes:
        value: Number that the device assigned.
        kind: OPAQUE, MODULE, FUNCTION or ARRAY.
    """

    value: int
    kind: int = OPAQUE


Value = Union[None, int, float, str, bytes, Handle, Device, DType, RemoteTensor]


def encode_sequence(values: Sequence[Value]) -> bytes:
    """Return a packed sequence.

    Args:
        values: Values of the sequence, in order.

    Raises:
        TypeError: A value has a type without a type code.
    """
    codes: List[int] = []
    parts: List[bytes] = []
    for value in values:
        code, part = _encode_value(value)
        codes.append(code)
        parts.append(part)
    return struct.pack(f"<{len(codes) + 1}i", len(codes), *codes) + b"".join(parts)


def _encode_value(value: Value) -> Tuple[int, bytes]:
    if isinstance(value, Handle):
        return value.kind, U64.pack(value.value)
    if isinstance(value, RemoteTensor):
        return TENSOR, value.pack()
    if isinstance(value, Device):
        return DEVICE, _PAIR.pack(*value)
    if isinstance(value, DType):
        return DTYPE, value.pack() + bytes(4)
    if value is None:
        return NULL, b""
    if isinstance(value, int):
        return INT, _I64.pack(value)
    if isinstance(value, float):
        return FLOAT, _F64.pack(value)
    if isinstance(value, str):
        text = value.encode("utf-8")
        return TEXT, U64.pack(len(text)) + text
    if isinstance(value, bytes):
        return BYTES, U64.pack(len(value)) + value
    raise TypeError(f"{type(value).__name__} cannot be sent to a device")


def decode_sequence(data: bytes, offset: int = 0) -> List[Value]:
    """Return the values of a packed sequence.

    Args:
        data: Bytes that end with the sequence.
        offset: Start of the sequence in `data`.

    Raises:
        ProtocolError: The sequence is invalid, or does not end where `data` ends.
    """
    try:
        (count,) = _I32.unpack_from(data, offset)
        if not 0 <= count <= (len(data) - offset) // 4:
            raise bad_reply(f"a sequence of {count} values in {len(data) - offset} bytes")
        codes = struct.unpack_from(f"<{count}i", data, offset + 4)
        offset += 4 + 4 * count
        values: List[Value] = []
        for code in codes:
            value, offset = _decode_value(code, data, offset)
            values.append(value)
    except struct.error as error:
        raise bad_reply("an incomplete sequence") from error
    if offset != len(data):
        raise bad_reply(f"a sequence with {len(data) - offset} bytes after its end")
    return values


def _decode_value(code: int, data: bytes, offset: int) -> Tuple[Value, int]:
    if code == NULL:
        return None, offset
    if code == TENSOR:
        return RemoteTensor.unpack(data, offset)
    (word,) = U64.unpack_from(data, offset)
    offset += 8
    if code == INT:
        return int(_I64.unpack_from(data, offset - 8)[0]), offset
    if code == UINT:
        return int(word), offset
    if code == FLOAT:
        return float(_F64.unpack_from(data, offset - 8)[0]), offset
    if code in (OPAQUE, MODULE, FUNCTION):
        return Handle(word, code), offset
    if code == DTYPE:
        return DType.unpack(data, offset - 8), offset
    if code == DEVICE:
        return Device(*_PAIR.unpack_from(data, offset - 8)), offset
    if code in (TEXT, BYTES):
        end = offset + word
        if end > len(data):
            raise bad_reply(f"an incomplete string of {word} bytes")
        contents = data[offset:end]
        return (contents.decode("utf-8", "replace") if code == TEXT else contents), end
    raise bad_reply(f"a value of unknown type code {code}")


def bad_reply(what: str) -> ProtocolError:
    """Return the error for a message that violates the protocol.

    Args:
        what: The object of the sentence "The device sent ...".
    """
    return ProtocolError(
        f"The device sent {what}.",
        "Build and flash the project again, so that host and device use the same protocol.",
    )


def encode_message(code: int, operands: bytes = b"") -> bytes:
    """Return an RPC message: u64 number of bytes that follow, i32 code, operands."""
    return HEAD.pack(4 + len(operands), code) + operands


def split_message(reply: bytes) -> Tuple[int, bytes]:
    """Return code and operands of a message.

    Args:
        reply: The whole message.

    Raises:
        ProtocolError: The message is too short, or its length field is wrong.
    """
    if len(reply) < HEAD.size:
        raise bad_reply(f"a message of {len(reply)} bytes: expected at least {HEAD.size}")
    size, code = HEAD.unpack_from(reply)
    if size != len(reply) - 8:
        raise bad_reply(f"a message of {len(reply) - 8} bytes whose length field is {size}")
    return code, reply[HEAD.size :]
