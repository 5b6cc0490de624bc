# SPDX-License-Identifier: Apache-2.0
"""Data types of tensors, as used on the wire and in model files, and size limits of a tensor."""

from __future__ import annotations

import re
import struct
from math import prod
from typing import Final, NamedTuple, Optional, Sequence

MAX_NDIM: Final = 32
"""Most dimensions of a tensor. A message with more is treated as damaged; devices usually support 6."""

MAX_BITS: Final = 64  # of a lane: u8 on the wire; no code generator for a CPU has wider lanes
MAX_LANES: Final = 1024
MAX_TENSOR_BYTES: Final = 1 << 32
"""Address space of a 32-bit processor: a larger tensor is a mistake or an attack."""

_CODES: Final = ("int", "uint", "float", "handle", "bfloat")
_DTYPE: Final = struct.Struct("<BBH")
_NAME: Final = re.compile(r"(int|uint|float|handle|bfloat)([0-9]{1,3})(?:x([0-9]{1,5}))?")


class DType(NamedTuple):
    """A data type.

    Attributes:
        code: 0 int, 1 uint, 2 float, 3 handle, 4 bfloat.
        bits: Bits of one lane.
        lanes: Number of lanes.
    """

    code: int
    bits: int
    lanes: int = 1

    @classmethod
    def parse(cls, name: str) -> DType:
        """Return the data type with a name such as "float32", "int8x4" or "bool".

        Raises:
            ValueError: The name is not a data type, or exceeds MAX_BITS or MAX_LANES.
        """
        if name == "bool":
            return cls(1, 1)
        match = _NAME.fullmatch(name)
        dtype = cls(_CODES.index(match[1]), int(match[2]), int(match[3] or 1)) if match else None
        if dtype is None or not (1 <= dtype.bits <= MAX_BITS and 1 <= dtype.lanes <= MAX_LANES):
            raise ValueError(f"invalid data type {name[:80]!r}")
        return dtype

    @classmethod
    def unpack(cls, data: bytes, offset: int = 0) -> DType:
        """Return the data type that pack() wrote at an offset of data."""
        return cls(*_DTYPE.unpack_from(data, offset))

    def pack(self) -> bytes:
        """Return the four bytes of the wire format: u8 code, u8 bits, u16 lanes, little-endian."""
        return _DTYPE.pack(*self)

    @property
    def itemsize(self) -> int:
        """Bytes of one element, rounded up; a bool has one byte."""
        return (self.bits * self.lanes + 7) // 8

    def nbytes(self, shape: Sequence[int]) -> int:
        """Return the bytes of a compact tensor of this type.

        Elements smaller than a byte are packed, and the last byte may be partly used: metadata.json of TVM
        0.16 declares 2 bytes for int4[3]. A bool takes a whole byte.
        """
        bits = 8 if (self.bits, self.lanes) == (1, 1) else self.bits * self.lanes
        return (bits * prod(shape) + 7) // 8

    def __str__(self) -> str:
        if (self.code, self.bits, self.lanes) == (1, 1, 1):
            return "bool"
        code = _CODES[self.code] if self.code < len(_CODES) else f"type{self.code}_"
        return f"{code}{self.bits}" + (f"x{self.lanes}" if self.lanes > 1 else "")


def check_tensor(dtype: str, shape: Optional[Sequence[int]]) -> None:
    """Raise ValueError for a tensor that no device supports.

    Args:
        dtype: Name of a data type.
        shape: Extents, each 0 or more; None if unknown. Only the data type is checked then.

    Raises:
        ValueError: The data type is unknown, or the shape exceeds MAX_NDIM or MAX_TENSOR_BYTES.
    """
    size = DType.parse(dtype).itemsize
    if shape is not None and len(shape) > MAX_NDIM:
        raise ValueError(f"{len(shape)} dimensions, expected at most {MAX_NDIM}")
    for extent in shape or ():
        size *= extent
        if not 0 <= extent <= MAX_TENSOR_BYTES or size > MAX_TENSOR_BYTES:
            raise ValueError(f"invalid shape {list(shape or ())} for type {dtype}")


def describe(dtype: object, shape: Sequence[int]) -> str:
    """Return type and shape for a message, for example "int8 1x49x10"."""
    return f"{dtype} {'x'.join(map(str, shape)) or 'scalar'}"
