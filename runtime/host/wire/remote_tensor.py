# SPDX-License-Identifier: Apache-2.0
"""Tensors that live on a device, as the wire writes them."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Tuple

from runtime.host.dtype import MAX_NDIM, DType
from runtime.host.errors import ProtocolError


class Device(NamedTuple):
    """A device of TVM: type 1 is a CPU, the only kind on a microcontroller."""

    kind: int = 1
    number: int = 0


CPU: Final = Device()

_ADDRESS: Final = struct.Struct("<QiiiBBH")
_OFFSET: Final = struct.Struct("<Q")


class RemoteTensor(NamedTuple):
    """A tensor on the device: an address there, not the data.

    handle: of the array object, when the device gave one with the tensor; 0 otherwise.
    """

    data: int
    dtype: DType
    shape: Tuple[int, ...]
    byte_offset: int = 0
    device: Device = CPU
    handle: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return self.dtype.nbytes(self.shape)

    def pack(self, extra_offset: int = 0) -> bytes:
        """u64 data, i32 device type, i32 device id, i32 ndim, data type, i64 shape[ndim], u64 byte offset."""
        ndim = len(self.shape)
        return b"".join(
            (
                _ADDRESS.pack(self.data, *self.device, ndim, *self.dtype),
                struct.pack(f"<{ndim}q", *self.shape),
                _OFFSET.pack(self.byte_offset + extra_offset),
            )
        )

    @classmethod
    def unpack(cls, data: bytes, offset: int = 0) -> Tuple[RemoteTensor, int]:
        """The tensor at an offset of a message, and the offset after it. struct.error when the data is
        short."""
        address, kind, number, ndim, *dtype = _ADDRESS.unpack_from(data, offset)
        offset += _ADDRESS.size
        if not 0 <= ndim <= MAX_NDIM:
            raise ProtocolError(
                f"The device sent a tensor of {ndim} dimensions.", "Build and flash the project again."
            )
        shape = struct.unpack_from(f"<{ndim}q", data, offset)
        offset += 8 * ndim
        (byte_offset,) = _OFFSET.unpack_from(data, offset)
        tensor = cls(address, DType(*dtype), shape, byte_offset, Device(kind, number))
        return tensor, offset + _OFFSET.size
