# SPDX-License-Identifier: Apache-2.0
"""Base85 of runtime.server, compared with the standard library's."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import server

BLOCK_BYTES = 4 * 2048
# Words for which a division by 85 ** k, done as a multiplication, could be off by one.
BORDER_WORDS = sorted(
    {
        min(max(factor * 85**power + offset, 0), 0xFFFFFFFF)
        for power in range(5)
        for factor in (0, 1, 2, 41, 81, 82, 84, 7224, 594459)
        for offset in (-1, 0, 1)
    }
    | {0xFFFFFFFF}
)


@given(st.binary(max_size=300))
def test_encodes_and_decodes_as_the_standard_library(data: bytes) -> None:
    text = server.b85encode(data)
    assert text == base64.b85encode(data)
    assert server.b85decode(text) == data


@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES + 3])
@pytest.mark.parametrize("byte", [b"\x00", b"\xff", b"\x55"])
def test_data_of_more_than_a_block(size: int, byte: bytes) -> None:
    data = byte * size
    text = base64.b85encode(data)
    assert server.b85encode(data) == text
    assert server.b85decode(text) == data


@pytest.mark.parametrize("turn", [0, 1], ids=["in even lanes", "in odd lanes"])
def test_every_border_of_a_division(turn: int) -> None:
    words = b"".join(word.to_bytes(4, "big") for word in BORDER_WORDS)
    data = b"\xff" * (4 * turn) + words + b"\xff" * 4
    assert server.b85encode(data) == base64.b85encode(data)
    assert server.b85decode(base64.b85encode(data)) == data


@given(st.text(st.characters(max_codepoint=0x7F), max_size=40) | st.binary(max_size=40))
def test_refuses_what_the_standard_library_refuses_with_the_same_words(text: object) -> None:
    assert _outcome(server.b85decode, text) == _outcome(base64.b85decode, text)


@pytest.mark.parametrize("place", [0, 4, 5, 5 * 2048 - 1, 5 * 2048, 5 * 3000 + 2])
@pytest.mark.parametrize("wrong", [b'"', b"\xff", b"~~~~~"], ids=["no digit", "no ASCII", "too large"])
def test_names_the_place_of_the_fault(place: int, wrong: bytes) -> None:
    text = bytearray(base64.b85encode(bytes(4 * 4000)))
    place -= place % 5 if len(wrong) == 5 else 0
    text[place : place + len(wrong)] = wrong
    with pytest.raises(ValueError, match=f" {place}$"):
        server.b85decode(bytes(text))


def test_takes_every_kind_of_bytes() -> None:
    data = bytes(range(100))
    text = base64.b85encode(data)
    for kind in (bytearray, memoryview):
        assert server.b85encode(kind(data)) == text
        assert server.b85decode(kind(text)) == data
    assert server.b85decode(text.decode("ascii")) == data


def test_text_that_is_not_ascii_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="ascii"):
        server.b85decode("äääää")


def _outcome(decode: object, text: object) -> object:
    assert callable(decode)
    try:
        return decode(text)
    except ValueError as error:
        return str(error)
