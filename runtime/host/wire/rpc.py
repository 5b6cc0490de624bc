# SPDX-License-Identifier: Apache-2.0
"""Remote procedure calls to a device, over a session.

One message of the RPC (see messages.py) is one normal message of the session, and every request but Shutdown
has one reply.

A call's result is a packed sequence that starts with an integer, the type code of the result, and goes on
with the result itself; an array comes back as a tensor and the handle of the array object.
"""

from __future__ import annotations

from typing import Dict, Final, List, NoReturn, Optional, Sequence, Tuple, Type, TypeVar, Union

from runtime.host.dtype import DType
from runtime.host.errors import DeviceError, ProtocolError
from runtime.host.wire.messages import (
    ARRAY,
    CALL_FUNC,
    COPY_ACK,
    COPY_FROM_REMOTE,
    COPY_TO_REMOTE,
    DEV_ALLOC_DATA,
    DEV_FREE_DATA,
    EXCEPTION,
    FREE_HANDLE,
    FUNCTION,
    GET_GLOBAL_FUNC,
    HEAD,
    NULL,
    RETURN,
    SHUTDOWN,
    U64,
    Handle,
    Value,
    bad_reply,
    decode_sequence,
    encode_message,
    encode_sequence,
    split_message,
)
from runtime.host.wire.remote_tensor import CPU, Device, RemoteTensor
from runtime.host.wire.session import Session

ALIGNMENT: Final = 64
"""What TVM promises its kernels for the address of a tensor."""

_COPY_OVERHEAD: Final = 4 + 8 + 8 + 4 + 4 + 8 + 8
"""What a copy of n dimensions takes of the packet size beside its data and 8 * n."""


_T = TypeVar("_T")
_DONE: Final = encode_message(RETURN, encode_sequence([None]))
_CALL_DONE: Final = encode_message(RETURN, encode_sequence([NULL, None]))


class RpcClient:
    """Requests to the device of one session. Not for use by several threads."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._functions: Dict[str, RemoteFunction] = {}
        self._packet_bytes = 0
        self._system_lib: Optional[Handle] = None

    def shutdown(self) -> None:
        """Ends the conversation from our side. There is no reply; the device then waits for a new session."""
        self.session.send(encode_message(SHUTDOWN))

    def find_function(self, name: str) -> Optional[RemoteFunction]:
        """A global function of the device, or None when it has none of this name. Looked up once."""
        known = self._functions.get(name)
        if known is not None:
            return known
        handle = self._new(GET_GLOBAL_FUNC, [name], f"looking up {name}")
        if not handle:
            return None
        function = self._functions[name] = RemoteFunction(self, Handle(handle, FUNCTION), name)
        return function

    def get_function(self, name: str) -> RemoteFunction:
        """A global function of the device. DeviceError when it has none of this name."""
        function = self.find_function(name)
        if function is None:
            raise DeviceError(
                f"The device has no function {name}.",
                "Build and flash the project again; a firmware of other origin may leave this part out.",
            )
        return function

    def call(self, function: Union[Handle, RemoteFunction], *arguments: Value) -> Value:
        """Calls a function of the device and gives what it returns.

        An array comes back as a RemoteTensor that has a handle. DeviceError when the device answers with an
        exception.
        """
        if isinstance(function, RemoteFunction):
            return function(*arguments)
        return RemoteFunction(self, function, "a function")(*arguments)

    def system_lib(self) -> Handle:
        """The module of all functions that are linked into the firmware. Looked up once."""
        if self._system_lib is None:
            self._system_lib = _typed(self.get_function("runtime.SystemLib")(), Handle, "runtime.SystemLib")
        return self._system_lib

    def module_function(self, module: Handle, name: str) -> Optional[RemoteFunction]:
        """A function of a module, or None when it has none of this name."""
        handle = self.get_function("tvm.rpc.server.ModuleGetFunction")(module, name, 1)
        if not isinstance(handle, Handle) or not handle.value:
            return None
        return RemoteFunction(self, Handle(handle.value, FUNCTION), name)

    def max_packet_bytes(self) -> int:
        """The device's packet size as it states it: its receive buffer less 11. Looked up once."""
        if not self._packet_bytes:
            name = "tvm.rpc.server.GetCRTMaxPacketSize"
            self._packet_bytes = _typed(self.get_function(name)(), int, name)
        return self._packet_bytes

    def block_bytes(self, ndim: int) -> int:
        """How many bytes of a tensor of so many dimensions one copy request can carry, either way."""
        room = self.max_packet_bytes() - _COPY_OVERHEAD - 8 * ndim
        if room <= 0:
            raise ProtocolError(
                f"Packets of {self._packet_bytes} bytes cannot carry a tensor of {ndim} dimensions.",
                "Give the firmware a larger packet buffer.",
            )
        return min(room, self.session.max_body - HEAD.size)

    def allocate(self, nbytes: int, dtype: DType, device: Device = CPU, alignment: int = ALIGNMENT) -> int:
        """Address of nbytes of new memory on the device. DeviceError when it has not so much left."""
        return self._new(DEV_ALLOC_DATA, [device, nbytes, alignment, dtype], f"allocating {nbytes} bytes")

    def free(self, what: Union[int, RemoteTensor, Handle], device: Device = CPU) -> None:
        """Gives back memory (an address), an array (a tensor that has a handle), a module or a function."""
        if isinstance(what, RemoteTensor):
            what = Handle(what.handle, ARRAY)
        if isinstance(what, Handle):
            self._do(FREE_HANDLE, [Handle(what.value), what.kind], "freeing a handle")
        else:
            self._do(DEV_FREE_DATA, [device, Handle(what)], "freeing memory")

    def copy_to(self, tensor: RemoteTensor, data: bytes) -> None:
        """Copies data to a tensor of the device; the data must be as long as the tensor."""
        CopyTo(self, tensor)(data)

    def _request(self, code: int, operands: bytes, what: str) -> List[Value]:
        self.session.send(encode_message(code, operands))
        return decode_return(self.session.receive(), what)

    def _system_call(self, code: int, arguments: Sequence[Value], what: str) -> Value:
        """A request of code 9 or above: one value comes back."""
        values = self._request(code, encode_sequence(arguments), what)
        if len(values) != 1:
            raise bad_reply(f"{len(values)} values where one was expected ({what})")
        return values[0]

    def _new(self, code: int, arguments: Sequence[Value], what: str) -> int:
        """A system call that gives a handle or an address."""
        return _typed(self._system_call(code, arguments, what), Handle, what).value

    def _do(self, code: int, arguments: Sequence[Value], what: str) -> None:
        """A system call that gives nothing."""
        _typed(self._system_call(code, arguments, what), type(None), what)


class RemoteFunction:
    """A function of the device. Calling it takes one round trip."""

    def __init__(self, rpc: RpcClient, handle: Handle, name: str) -> None:
        self.handle = handle
        self.name = name
        self._rpc = rpc

    def __call__(self, *arguments: Value) -> Value:
        return self.prepare(*arguments)()

    def prepare(self, *arguments: Value) -> PreparedCall:
        """The call with these arguments, ready to be made many times."""
        return PreparedCall(self._rpc, self.handle, arguments, self.name)


class PreparedCall:
    """A call whose wire bytes are made once, valid for the session that it was made in."""

    __slots__ = ("_frame", "_name", "_session")

    def __init__(self, rpc: RpcClient, function: Handle, arguments: Sequence[Value], name: str) -> None:
        self._session = rpc.session
        self._name = name
        operands = U64.pack(function.value) + encode_sequence(arguments)
        self._frame = rpc.session.frame(encode_message(CALL_FUNC, operands))

    def __call__(self) -> Value:
        self._session.send_frame(self._frame)
        reply = self._session.receive()
        if reply == _CALL_DONE:
            return None
        return _result(decode_return(reply, self._name), self._name)


class CopyTo:
    """Copies to one tensor of the device, as often as it is called. Everything but the data is made once."""

    def __init__(self, rpc: RpcClient, tensor: RemoteTensor) -> None:
        self._session = rpc.session
        self._size = tensor.nbytes
        self._blocks = [
            (start, end, HEAD.pack(4 + len(place) + end - start, COPY_TO_REMOTE) + place)
            for start, end, place in _blocks(rpc, tensor)
        ]

    @property
    def blocks(self) -> int:
        """How many requests one copy takes."""
        return len(self._blocks)

    def __call__(self, data: bytes) -> None:
        if len(data) != self._size:
            raise ValueError(f"{len(data)} bytes for a tensor of {self._size}")
        session = self._session
        for start, end, head in self._blocks:
            session.send(head + data[start:end])
            reply = session.receive()
            if reply != _DONE:
                decode_return(reply, f"copying {self._size} bytes to the device")


class CopyFrom:
    """Copies from one tensor of the device, as often as it is called. The requests are made once."""

    def __init__(self, rpc: RpcClient, tensor: RemoteTensor) -> None:
        self._session = rpc.session
        self._blocks = [
            (end - start, rpc.session.frame(encode_message(COPY_FROM_REMOTE, place)))
            for start, end, place in _blocks(rpc, tensor)
        ]

    @property
    def blocks(self) -> int:
        """How many requests one copy takes."""
        return len(self._blocks)

    def __call__(self) -> bytes:
        session = self._session
        parts = []
        for size, frame in self._blocks:
            session.send_frame(frame)
            reply = session.receive()
            if len(reply) != HEAD.size + size or HEAD.unpack_from(reply) != (4 + size, COPY_ACK):
                _expect_copy(reply, size)
            parts.append(reply[HEAD.size :])
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _blocks(rpc: RpcClient, tensor: RemoteTensor) -> List[Tuple[int, int, bytes]]:
    """Start and end of each block, and the operands that say where it is: the tensor, moved on, and its
    size."""
    size = tensor.nbytes
    step = rpc.block_bytes(len(tensor.shape))
    blocks = []
    for start in range(0, size, step):
        end = min(start + step, size)
        blocks.append((start, end, tensor.pack(start) + U64.pack(end - start)))
    return blocks


def _expect_copy(reply: bytes, size: int) -> NoReturn:
    what = f"copying {size} bytes from the device"
    code, _ = split_message(reply)
    if code in (RETURN, EXCEPTION):
        decode_return(reply, what)
    raise bad_reply(f"a reply of code {code} and {len(reply)} bytes ({what})")


def decode_return(reply: bytes, what: str) -> List[Value]:
    """The values of a Return. DeviceError for an Exception, ProtocolError for anything else.

    what: the request, for the message of an error.
    """
    code, operands = split_message(reply)
    if code == RETURN:
        return decode_sequence(operands)
    if code != EXCEPTION:
        raise bad_reply(f"a reply of code {code} ({what})")
    texts = [value for value in decode_sequence(operands) if isinstance(value, str) and value]
    raise DeviceError(
        f"The device failed at {what}: {' '.join(texts) or 'it gave no reason'}.",
        "Read its reason; when it gives none, it was most likely out of memory.",
    )


def _result(values: List[Value], what: str) -> Value:
    """What a call returned: [type code, value], or [type code, tensor, handle of the array]."""
    if len(values) == 3 and isinstance(values[1], RemoteTensor) and isinstance(values[2], Handle):
        return values[1]._replace(handle=values[2].value)
    if len(values) == 2:
        code, value = values
        # Every kind of handle comes as an opaque one; only the result's own type code tells them apart.
        return Handle(value.value, code) if isinstance(value, Handle) and isinstance(code, int) else value
    raise bad_reply(f"a result of {len(values)} values ({what})")


def _typed(value: Value, kind: Type[_T], what: str) -> _T:
    if not isinstance(value, kind):
        raise bad_reply(f"{type(value).__name__} where {kind.__name__} was expected ({what})")
    return value
