# SPDX-License-Identifier: Apache-2.0
"""Calls of a device function with more tensors than fit into a packet.

The host copies the arguments to the device's memory once, in their wire format. The device function
mtvm.call_stored (runtime/device/src/stored.c) then makes the call. A concatenation of 40 tensors is such a
call.
"""

from __future__ import annotations

from typing import Callable, Final, Sequence

from runtime.host.dtype import DType
from runtime.host.errors import ProtocolError
from runtime.host.wire.messages import Value
from runtime.host.wire.packet_size import fits_packet
from runtime.host.wire.remote_tensor import RemoteTensor
from runtime.host.wire.rpc import PreparedCall, RemoteFunction, RpcClient

FUNCTION: Final = "mtvm.call_stored"


def prepare(
    rpc: RpcClient,
    function: RemoteFunction,
    arguments: Sequence[Value],
    allocate: Callable[[DType, int], RemoteTensor],
) -> PreparedCall:
    """Return the call of a function, encoded for repeated use.

    Args:
        rpc: Client of the device's session.
        function: Function to call.
        arguments: Arguments of the call.
        allocate: Returns a new tensor on the device, for a data type and a number of elements. The tensor
            must stay allocated until the last use of the call.

    Raises:
        ProtocolError: The call needs mtvm.call_stored, and the device does not have this function.
    """
    tensors = [argument for argument in arguments if isinstance(argument, RemoteTensor)]
    ndims = [len(tensor.shape) for tensor in tensors]
    if len(tensors) < len(arguments) or fits_packet(ndims, rpc.max_packet_bytes()):
        return function.prepare(*arguments)
    call_stored = rpc.find_function(FUNCTION)
    if call_stored is None:
        raise ProtocolError(
            f"{function.name} takes {len(tensors)} tensors, which do not fit into a packet of "
            f"{rpc.max_packet_bytes()} bytes, and the device has no function {FUNCTION}.",
            "Generate the project with crt=bundled: TVM's own C runtime does not contain this function.",
        )
    data = b"".join(tensor.pack() for tensor in tensors)
    block = allocate(DType.parse("uint8"), len(data))
    rpc.copy_to(block, data)
    return call_stored.prepare(function.handle, block, len(tensors))
