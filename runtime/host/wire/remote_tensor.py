# SPDX-License-Identifier: Apache-2.0
"""Wire format of tensors in the memory of a device."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Tuple

from runtime.host.dtype import MAX_NDIM, DType
from runtime.host.errors import ProtocolError


class Device(NamedTuple):
    """A device in TVM's sense.

    Attributes:
        kind: TVM's device type; 1 is a CPU, the only type on a microcontroller.
        number: TVM's device id.
    """

    kind: int = 1
    number: int = 0


CPU: Final = Device()

_ADDRESS: Final = struct.Struct("<QiiiBBH")
_OFFSET: Final = struct.Struct("<Q")


class RemoteTensor(NamedTuple):
    """A tensor in the memory of the device, by its address.

    Attributes:
        data: Address in the memory of the device.
        dtype: Data type of the elements.
        shape: Number of elements of each dimension.
        byte_offset: Offset of the first element from `data`, in bytes.
        device: Device that holds the tensor.
        handle: Handle of the array object that the device returned with the tensor; 0 for none.
    """

    data: int
    dtype: DType
    shape: Tuple[int, ...]
    byte_offset: int = 0
    device: Device = CPU
    handle: int = 0

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return self.dtype.nbytes(self.shape)

    def pack(self, extra_offset: int = 0) -> bytes:
        """Return the wire bytes of the tensor.

        Args:
            extra_offset: Bytes to add to the byte offset.

        Returns:
            u64 data, i32 device type, i32 device id, i32 ndim, data type, i64 shape[ndim], u64 byte offset.
        """
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
        """Return the tensor at an offset of a message, and the offset after the tensor.

        Raises:
            ProtocolError: The number of dimensions is invalid.
            struct.error: The message ends inside the tensor.
        """
        address, kind, number, ndim, *dtype = _ADDRESS.unpack_from(data, offset)
        offset += _ADDRESS.size
        if not 0 <= ndim <= MAX_NDIM:
            raise ProtocolError(
                f"The device sent a tensor of {ndim} dimensions: expected 0 to {MAX_NDIM}.",
                "Build and flash the project again.",
            )
        shape = struct.unpack_from(f"<{ndim}q", data, offset)
        offset += 8 * ndim
        (byte_offset,) = _OFFSET.unpack_from(data, offset)
        tensor = cls(address, DType(*dtype), shape, byte_offset, Device(kind, number))
        return tensor, offset + _OFFSET.size
