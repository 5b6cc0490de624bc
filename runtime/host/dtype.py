# SPDX-License-Identifier: Apache-2.0
"""Data types of tensors, as the wire and the model files write them, and the limits of a tensor."""

from __future__ import annotations

import re
import struct
from math import prod
from typing import Final, NamedTuple, Optional, Sequence

MAX_NDIM: Final = 32
"""More dimensions than this are taken for a damaged message. Devices hold 6 as a rule."""

MAX_BITS: Final = 64  # of a lane: u8 on the wire; no code generator for a CPU has wider ones
MAX_LANES: Final = 1024
MAX_TENSOR_BYTES: Final = 1 << 32
"""More memory than a 32-bit processor can address: such a tensor is a mistake or an attack."""

_CODES: Final = ("int", "uint", "float", "handle", "bfloat")
_DTYPE: Final = struct.Struct("<BBH")
_NAME: Final = re.compile(r"(int|uint|float|handle|bfloat)([0-9]{1,3})(?:x([0-9]{1,5}))?")


class DType(NamedTuple):
    """A data type: code 0 int, 1 uint, 2 float, 3 handle, 4 bfloat; bits of one lane; number of lanes."""

    code: int
    bits: int
    lanes: int = 1

    @classmethod
    def parse(cls, name: str) -> DType:
        """From a name such as "float32", "int8x4" or "bool". ValueError for another."""
        if name == "bool":
            return cls(1, 1)
        match = _NAME.fullmatch(name)
        dtype = cls(_CODES.index(match[1]), int(match[2]), int(match[3] or 1)) if match else None
        if dtype is None or not (1 <= dtype.bits <= MAX_BITS and 1 <= dtype.lanes <= MAX_LANES):
            raise ValueError(f"not a data type: {name[:80]!r}")
        return dtype

    @classmethod
    def unpack(cls, data: bytes, offset: int = 0) -> DType:
        return cls(*_DTYPE.unpack_from(data, offset))

    def pack(self) -> bytes:
        """u8 code, u8 bits, u16 lanes."""
        return _DTYPE.pack(*self)

    @property
    def itemsize(self) -> int:
        """Bytes of one element; a bool takes one."""
        return (self.bits * self.lanes + 7) // 8

    def nbytes(self, shape: Sequence[int]) -> int:
        """Return the bytes of a compact tensor of this type.

        Elements of less than a byte are packed, and the last byte may be partly used: metadata.json of TVM
        0.16 gives 2 bytes for int4[3]. A bool takes a whole byte.
        """
        bits = 8 if (self.bits, self.lanes) == (1, 1) else self.bits * self.lanes
        return (bits * prod(shape) + 7) // 8

    def __str__(self) -> str:
        if (self.code, self.bits, self.lanes) == (1, 1, 1):
            return "bool"
        code = _CODES[self.code] if self.code < len(_CODES) else f"type{self.code}_"
        return f"{code}{self.bits}" + (f"x{self.lanes}" if self.lanes > 1 else "")


def check_tensor(dtype: str, shape: Optional[Sequence[int]]) -> None:
    """Raise ValueError for a tensor that no device has: an unknown data type, or too many elements."""
    size = DType.parse(dtype).itemsize
    if shape is not None and len(shape) > MAX_NDIM:
        raise ValueError(f"a tensor of {len(shape)} dimensions")
    for extent in shape or ():
        size *= extent
        if not 0 <= extent <= MAX_TENSOR_BYTES or size > MAX_TENSOR_BYTES:
            raise ValueError(f"a tensor of shape {list(shape or ())} and type {dtype}")


def describe(dtype: object, shape: Sequence[int]) -> str:
    """For messages: "int8 1x49x10"."""
    return f"{dtype} {'x'.join(map(str, shape)) or 'scalar'}"
