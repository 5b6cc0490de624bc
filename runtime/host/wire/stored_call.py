# SPDX-License-Identifier: Apache-2.0
"""Calls of a device function with more tensors than fit into a packet.

Their arguments are stored in the device's memory once, as they are on the wire, and the device function
mtvm.call_stored (runtime/device/src/stored.c) makes the call. A concatenation of 40 tensors is such a call.
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
    """Return the call of a function, ready to be made many times.

    allocate: data type and number of elements -> a new tensor on the device, which lives as long as the call.
    Raises ProtocolError where the device has no mtvm.call_stored and needs it.
    """
    tensors = [argument for argument in arguments if isinstance(argument, RemoteTensor)]
    ndims = [len(tensor.shape) for tensor in tensors]
    if len(tensors) < len(arguments) or fits_packet(ndims, rpc.max_packet_bytes()):
        return function.prepare(*arguments)
    call_stored = rpc.find_function(FUNCTION)
    if call_stored is None:
        raise ProtocolError(
            f"{function.name} takes {len(tensors)} tensors, which do not fit into a packet of "
            f"{rpc.max_packet_bytes()} bytes, and TVM's own runtime on the device has no other way.",
            "Generate the project with crt=bundled.",
        )
    data = b"".join(tensor.pack() for tensor in tensors)
    block = allocate(DType.parse("uint8"), len(data))
    rpc.copy_to(block, data)
    return call_stored.prepare(function.handle, block, len(tensors))
