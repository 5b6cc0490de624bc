# SPDX-License-Identifier: Apache-2.0
"""Parameter files of a model archive (parameters/<module>.params).

Layout, little-endian::

    u64 magic, u64 reserved
    u64 number of names, for each: u64 length, string
    u64 number of tensors (equal to the number of names), for each:
        u64 magic, u64 reserved, i32 device type, i32 device id, i32 ndim,
        u8 type code, u8 bits, u16 lanes, i64 shape[ndim], i64 size in bytes, data
"""

from __future__ import annotations

import struct
from typing import Dict, Final, NamedTuple, Tuple

from runtime.host.dtype import MAX_NDIM, DType
from runtime.host.errors import ArchiveError

LIST_MAGIC: Final = 0xF7E58D4F05049CB7
TENSOR_MAGIC: Final = 0xDD5E40F096B4A13F

_U64: Final = struct.Struct("<Q")
_TENSOR: Final = struct.Struct("<QQiiiBBH")


class Param(NamedTuple):
    """One parameter.

    Attributes:
        dtype: Data type.
        shape: Extents.
        data: Elements in row-major order, little-endian.
    """

    dtype: DType
    shape: Tuple[int, ...]
    data: bytes


def parse_params(blob: bytes) -> Dict[str, Param]:
    """Return the parameters by name.

    Raises:
        ArchiveError: The file is truncated or is not a parameter file.
    """
    try:
        return _parse(blob)
    except (struct.error, ValueError) as error:
        raise ArchiveError(
            f"The parameters of the model archive are damaged: {error}.", "Export the model again."
        ) from error


def _parse(blob: bytes) -> Dict[str, Param]:
    magic, position = _number(blob, 0)
    if magic != LIST_MAGIC:
        raise ValueError(f"expected magic number {LIST_MAGIC:#x}, got {magic:#x}")
    count, position = _number(blob, position + 8)
    names = []
    for _ in range(_plausible(count, 8, blob, position)):
        length, position = _number(blob, position)
        text, position = _bytes(blob, position, length)
        names.append(text.decode("utf-8"))
    count, position = _number(blob, position)
    if count != len(names):
        raise ValueError(f"{len(names)} names but {count} tensors")
    params = {}
    for name in names:
        params[name], position = _tensor(blob, position)
    return params


def _tensor(blob: bytes, position: int) -> Tuple[Param, int]:
    magic, _, _, _, ndim, *dtype_fields = _TENSOR.unpack_from(blob, position)
    if magic != TENSOR_MAGIC or not 0 <= ndim <= MAX_NDIM:
        raise ValueError("a tensor has a wrong magic number or number of dimensions")
    position += _TENSOR.size
    shape = struct.unpack_from(f"<{ndim}q", blob, position)
    size, position = _number(blob, position + 8 * ndim)
    dtype = DType(*dtype_fields)
    if min(shape, default=0) < 0 or size != dtype.nbytes(shape):
        raise ValueError(f"a tensor of shape {list(shape)} and type {dtype} declares {size} bytes")
    data, position = _bytes(blob, position, size)
    return Param(dtype, shape, data), position


def _plausible(count: int, least_bytes: int, blob: bytes, position: int) -> int:
    """Return a count of items; raise ValueError if the rest of the file is too short for them."""
    if count * least_bytes > len(blob) - position:
        raise ValueError(f"the file is too short for {count} parameters")
    return count


def _number(blob: bytes, position: int) -> Tuple[int, int]:
    return int(_U64.unpack_from(blob, position)[0]), position + 8


def _bytes(blob: bytes, position: int, length: int) -> Tuple[bytes, int]:
    end = position + length
    if end > len(blob):
        raise ValueError(f"the file is {end - len(blob)} bytes too short")
    return blob[position:end], end
