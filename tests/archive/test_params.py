# SPDX-License-Identifier: Apache-2.0
"""Parameter files."""

from __future__ import annotations

import contextlib
import struct
from math import prod
from pathlib import Path
from typing import Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.params import Param, parse_params
from runtime.host.dtype import DType
from runtime.host.errors import ArchiveError

DATA = Path(__file__).resolve().parents[1] / "data"

PARAMS = {
    "p0": Param(DType.parse("float32"), (2, 3), bytes(range(24))),
    "bias ß": Param(DType.parse("int8"), (), b"\xff"),
    "empty": Param(DType.parse("int64"), (0, 7), b""),
}


def written(params: Dict[str, Param]) -> bytes:
    """Return a parameter file in TVM's format."""
    names = b"".join(
        struct.pack("<Q", len(text)) + text for text in (name.encode("utf-8") for name in params)
    )
    tensors = b"".join(
        struct.pack("<QQiii", 0xDD5E40F096B4A13F, 0, 1, 0, len(param.shape))
        + struct.pack("<BBH", *param.dtype)
        + struct.pack(f"<{len(param.shape)}q", *param.shape)
        + struct.pack("<q", len(param.data))
        + param.data
        for param in params.values()
    )
    count = struct.pack("<Q", len(params))
    return struct.pack("<QQ", 0xF7E58D4F05049CB7, 0) + count + names + count + tensors


def test_names_types_shapes_and_data() -> None:
    assert parse_params(written(PARAMS)) == PARAMS
    assert parse_params(written({})) == {}


def test_the_file_of_an_archive() -> None:
    params = ModelArchive.open(DATA / "archives" / "graph_c_params.tar").parameters
    assert params
    for param in params.values():
        assert len(param.data) == param.dtype.itemsize * prod(param.shape)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 10**4))
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    blob = written(PARAMS)
    with pytest.raises(ArchiveError, match="damaged"):
        parse_params(blob[: cut % len(blob)])


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**4), value=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(position: int, value: int) -> None:
    blob = bytearray(written(PARAMS))
    blob[position % len(blob)] = value
    with contextlib.suppress(ArchiveError):
        parse_params(bytes(blob))


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, b"\0", "expected magic number 0xf7e58d4f05049cb7"),
        (16, b"\xff" * 8, "too short for"),
        (16 + 8, b"\xff" * 8, "is .* bytes too short"),
    ],
)
def test_says_what_is_wrong(position: int, value: bytes, message: str) -> None:
    blob = bytearray(written(PARAMS))
    blob[position : position + len(value)] = value
    with pytest.raises(ArchiveError, match=message):
        parse_params(bytes(blob))


def test_a_size_that_does_not_fit_the_shape_is_refused() -> None:
    wrong = {"p": Param(DType.parse("float32"), (2, 3), bytes(20))}
    with pytest.raises(ArchiveError, match=r"shape \[2, 3\] and type float32 declares 20 bytes"):
        parse_params(written(wrong))
    negative = {"p": Param(DType.parse("float32"), (-1, -3), bytes(12))}
    with pytest.raises(ArchiveError, match="declares 12 bytes"):
        parse_params(written(negative))
