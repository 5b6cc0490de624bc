# SPDX-License-Identifier: Apache-2.0
"""Remote procedure calls to a device, over a session.

One message of the RPC (messages.py) is one normal message of the session. Every request except Shutdown has
one reply.

The result of a call is a packed sequence: an integer with the type code of the result, then the result. An
array is returned as a tensor and the handle of the array object.
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
"""Alignment in bytes that TVM guarantees its kernels for the address of a tensor."""

_COPY_OVERHEAD: Final = 4 + 8 + 8 + 4 + 4 + 8 + 8
"""Bytes of a packet that a copy of n dimensions takes, in addition to its data and 8 * n."""

_T = TypeVar("_T")
_DONE: Final = encode_message(RETURN, encode_sequence([None]))
_CALL_DONE: Final = encode_message(RETURN, encode_sequence([NULL, None]))


class RpcClient:
    """Requests to the device of one session. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._functions: Dict[str, RemoteFunction] = {}
        self._packet_bytes = 0
        self._system_lib: Optional[Handle] = None

    def shutdown(self) -> None:
        """Send Shutdown, which has no reply. The device then waits for a new session."""
        self.session.send(encode_message(SHUTDOWN))

    def find_function(self, name: str) -> Optional[RemoteFunction]:
        """Return a global function of the device, or None if the device has none of this name.

        A function that was found is cached.
        """
        known = self._functions.get(name)
        if known is not None:
            return known
        handle = self._new(GET_GLOBAL_FUNC, [name], f"looking up {name}")
        if not handle:
            return None
        function = self._functions[name] = RemoteFunction(self, Handle(handle, FUNCTION), name)
        return function

    def get_function(self, name: str) -> RemoteFunction:
        """Return a global function of the device, or raise DeviceError if there is none of this name."""
        function = self.find_function(name)
        if function is None:
            raise DeviceError(
                f"The device has no function {name}.",
                "Build and flash the project again: the firmware may be from another source and lack this "
                "function.",
            )
        return function

    def call(self, function: Union[Handle, RemoteFunction], *arguments: Value) -> Value:
        """Call a function of the device and return its result.

        Args:
            function: The function, or its handle.
            *arguments: Arguments of the call.

        Returns:
            The result; an array is returned as a RemoteTensor with a handle.

        Raises:
            DeviceError: The device replied with an exception.
        """
        if isinstance(function, RemoteFunction):
            return function(*arguments)
        return RemoteFunction(self, function, "a function")(*arguments)

    def system_lib(self) -> Handle:
        """Return the module of all functions that are linked into the firmware. Cached."""
        if self._system_lib is None:
            self._system_lib = _typed(self.get_function("runtime.SystemLib")(), Handle, "runtime.SystemLib")
        return self._system_lib

    def module_function(self, module: Handle, name: str) -> Optional[RemoteFunction]:
        """Return a function of a module, or None if the module has none of this name."""
        handle = self.get_function("tvm.rpc.server.ModuleGetFunction")(module, name, 1)
        if not isinstance(handle, Handle) or not handle.value:
            return None
        return RemoteFunction(self, Handle(handle.value, FUNCTION), name)

    def max_packet_bytes(self) -> int:
        """Return the packet size that the device reports: the bytes of its receive buffer less 11. Cached."""
        if not self._packet_bytes:
            name = "tvm.rpc.server.GetCRTMaxPacketSize"
            self._packet_bytes = _typed(self.get_function(name)(), int, name)
        return self._packet_bytes

    def block_bytes(self, ndim: int) -> int:
        """Return how many bytes of a tensor one copy request can carry, in either direction.

        Args:
            ndim: Number of dimensions of the tensor.
        """
        room = self.max_packet_bytes() - _COPY_OVERHEAD - 8 * ndim
        if room <= 0:
            raise ProtocolError(
                f"Packets of {self._packet_bytes} bytes cannot carry a tensor of {ndim} dimensions.",
                "Build the firmware with a larger packet buffer, MTVM_PACKET_BUFFER_BYTES.",
            )
        return min(room, self.session.max_body - HEAD.size)

    def allocate(self, nbytes: int, dtype: DType, device: Device = CPU, alignment: int = ALIGNMENT) -> int:
        """Allocate memory on the device and return its address.

        Args:
            nbytes: Number of bytes.
            dtype: Data type of the elements.
            device: Device in TVM's sense.
            alignment: Alignment of the address in bytes.

        Raises:
            DeviceError: The device has too little free memory.
        """
        return self._new(DEV_ALLOC_DATA, [device, nbytes, alignment, dtype], f"allocating {nbytes} bytes")

    def free(self, what: Union[int, RemoteTensor, Handle], device: Device = CPU) -> None:
        """Free an object of the device.

        Args:
            what: Memory (an address), an array (a tensor with a handle), a module or a function.
            device: Device that holds the memory.
        """
        if isinstance(what, RemoteTensor):
            what = Handle(what.handle, ARRAY)
        if isinstance(what, Handle):
            self._do(FREE_HANDLE, [Handle(what.value), what.kind], "freeing a handle")
        else:
            self._do(DEV_FREE_DATA, [device, Handle(what)], "freeing memory")

    def copy_to(self, tensor: RemoteTensor, data: bytes) -> None:
        """Copy data to a tensor of the device; the data must have the size of the tensor."""
        CopyTo(self, tensor)(data)

    def _request(self, code: int, operands: bytes, what: str) -> List[Value]:
        self.session.send(encode_message(code, operands))
        return decode_return(self.session.receive(), what)

    def _system_call(self, code: int, arguments: Sequence[Value], what: str) -> Value:
        """Send a request of code 9 or above, and return the one value of the reply."""
        values = self._request(code, encode_sequence(arguments), what)
        if len(values) != 1:
            raise bad_reply(f"{len(values)} values: expected 1 ({what})")
        return values[0]

    def _new(self, code: int, arguments: Sequence[Value], what: str) -> int:
        """Make a system call that returns a handle or an address."""
        return _typed(self._system_call(code, arguments, what), Handle, what).value

    def _do(self, code: int, arguments: Sequence[Value], what: str) -> None:
        """Make a system call that returns nothing."""
        _typed(self._system_call(code, arguments, what), type(None), what)


class RemoteFunction:
    """A function of the device."""

    def __init__(self, rpc: RpcClient, handle: Handle, name: str) -> None:
        self.handle = handle
        self.name = name
        self._rpc = rpc

    def __call__(self, *arguments: Value) -> Value:
        """Call the function and return its result, in one round trip."""
        return self.prepare(*arguments)()

    def prepare(self, *arguments: Value) -> PreparedCall:
        """Return the call with these arguments, encoded for repeated use."""
        return PreparedCall(self._rpc, self.handle, arguments, self.name)


class PreparedCall:
    """A call that is encoded once and valid in its session only."""

    __slots__ = ("_frame", "_name", "_session")

    def __init__(self, rpc: RpcClient, function: Handle, arguments: Sequence[Value], name: str) -> None:
        self._session = rpc.session
        self._name = name
        operands = U64.pack(function.value) + encode_sequence(arguments)
        self._frame = rpc.session.frame(encode_message(CALL_FUNC, operands))

    def __call__(self) -> Value:
        """Make the call and return its result, in one round trip."""
        self._session.send_frame(self._frame)
        reply = self._session.receive()
        if reply == _CALL_DONE:
            return None
        return _result(decode_return(reply, self._name), self._name)


class CopyTo:
    """A repeatable copy to one tensor of the device. Everything except the data is encoded once."""

    def __init__(self, rpc: RpcClient, tensor: RemoteTensor) -> None:
        self._session = rpc.session
        self._size = tensor.nbytes
        self._blocks = [
            (start, end, HEAD.pack(4 + len(place) + end - start, COPY_TO_REMOTE) + place)
            for start, end, place in _blocks(rpc, tensor)
        ]

    @property
    def blocks(self) -> int:
        """Number of requests of one copy."""
        return len(self._blocks)

    def __call__(self, data: bytes) -> None:
        """Copy data to the tensor; raise ValueError if its size is not the tensor's."""
        if len(data) != self._size:
            raise ValueError(f"got {len(data)} bytes for a tensor of {self._size} bytes")
        session = self._session
        for start, end, head in self._blocks:
            session.send(head + data[start:end])
            reply = session.receive()
            if reply != _DONE:
                decode_return(reply, f"copying {self._size} bytes to the device")


class CopyFrom:
    """A repeatable copy from one tensor of the device. The requests are encoded once."""

    def __init__(self, rpc: RpcClient, tensor: RemoteTensor) -> None:
        self._session = rpc.session
        self._blocks = [
            (end - start, rpc.session.frame(encode_message(COPY_FROM_REMOTE, place)))
            for start, end, place in _blocks(rpc, tensor)
        ]

    @property
    def blocks(self) -> int:
        """Number of requests of one copy."""
        return len(self._blocks)

    def __call__(self) -> bytes:
        """Return the data of the tensor."""
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
    """Return start, end and operands of each block; operands are the tensor at the block and its size."""
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
    """Return the values of a Return message.

    Args:
        reply: The whole message.
        what: The request, for the error message.

    Raises:
        DeviceError: The message is an Exception.
        ProtocolError: The message is of another kind.
    """
    code, operands = split_message(reply)
    if code == RETURN:
        return decode_sequence(operands)
    if code != EXCEPTION:
        raise bad_reply(f"a reply of code {code} ({what})")
    texts = [value for value in decode_sequence(operands) if isinstance(value, str) and value]
    raise DeviceError(
        f"The device failed at {what}: {' '.join(texts) or 'the device sent no error message'}.",
        "Read the error message of the device. Without one, the device was most likely out of memory.",
    )


def _result(values: List[Value], what: str) -> Value:
    """Return the result of a call from [type code, value] or [type code, tensor, handle of the array]."""
    if len(values) == 3 and isinstance(values[1], RemoteTensor) and isinstance(values[2], Handle):
        return values[1]._replace(handle=values[2].value)
    if len(values) == 2:
        code, value = values
        # Every kind of handle arrives as OPAQUE; only the type code of the result shows the kind.
        return Handle(value.value, code) if isinstance(value, Handle) and isinstance(code, int) else value
    raise bad_reply(f"an invalid result of {len(values)} values ({what})")


def _typed(value: Value, kind: Type[_T], what: str) -> _T:
    if not isinstance(value, kind):
        raise bad_reply(f"a value of type {type(value).__name__}: expected {kind.__name__} ({what})")
    return value
