# SPDX-License-Identifier: Apache-2.0
"""Frames: a decoder returns exactly the payloads that were encoded."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.host.wire.framing import MIN_PAYLOAD, NOP_BYTE, Unframer, encode_frame
from tests.support import traces

quick = settings(max_examples=60, deadline=None)

# Bytes with a meaning on the wire are drawn far more often than by chance.
wire_bytes = st.lists(
    st.one_of(st.sampled_from([0xFF, 0xFE, 0xFD, 0x00]), st.integers(0, 255)), max_size=60
).map(bytes)
messages = wire_bytes.map(lambda data: data + bytes(MIN_PAYLOAD))


def cut(data: bytes, places: List[int]) -> List[bytes]:
    """Return the data in pieces, cut at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends)]


def unframe(data: bytes, places: List[int] = []) -> List[bytes]:  # noqa: B006 (read only)
    unframer = Unframer()
    return [payload for piece in cut(data, places) for payload in unframer.feed(piece)]


def test_checksum_is_the_one_of_the_specification() -> None:
    # CRC-16/CCITT-FALSE of FF FD 03 00 00 00 00 00 02, as TVM sent it in the recording.
    assert encode_frame(b"\0\0\x02") == bytes.fromhex("fffd03000000000002" + "6677")


def test_escapes_length_payload_and_checksum() -> None:
    frame = encode_frame(b"\xff" * 255)
    assert frame[2:6] == b"\xff\xff\0\0"
    assert frame.count(b"\xff") >= 2 * 255 + 2
    assert unframe(frame) == [b"\xff" * 255]
    with_escaped_crc = next(
        frame
        for frame in (encode_frame(number.to_bytes(3, "little")) for number in range(2000))
        if frame[-3:-1] == b"\xff\xff" or frame[-2:] == b"\xff\xff"
    )
    assert len(unframe(with_escaped_crc)) == 1


@quick
@given(payloads=st.lists(messages, max_size=5), places=st.lists(st.integers(0, 10**4), max_size=12))
def test_any_payloads_come_through_however_the_stream_is_cut(
    payloads: List[bytes], places: List[int]
) -> None:
    assert unframe(NOP_BYTE + b"".join(map(encode_frame, payloads)), places) == payloads


@quick
@given(payload=st.binary(max_size=2), places=st.lists(st.integers(0, 100), max_size=5))
def test_a_payload_too_short_for_a_message_is_still_framed(payload: bytes, places: List[int]) -> None:
    assert unframe(encode_frame(payload), places) == [payload]


@quick
@given(noise=st.binary(max_size=40), payload=messages, places=st.lists(st.integers(0, 200), max_size=8))
def test_noise_before_a_frame_is_skipped(noise: bytes, payload: bytes, places: List[int]) -> None:
    # Noise may look like a packet that stops after an escape byte. Then the next frame is lost.
    assert unframe(noise + 2 * encode_frame(payload), places)[-1:] == [payload]


@quick
@given(garbage=wire_bytes, places=st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_at_all_neither_raise_nor_stop_what_follows(garbage: bytes, places: List[int]) -> None:
    unframer = Unframer(max_payload=64)
    for piece in cut(garbage, places):
        unframer.feed(piece)
        assert unframer.needed() >= 1
    # The first frame is lost if the garbage is a packet that stops after an escape byte.
    assert unframer.feed(2 * encode_frame(b"next one"))[-1:] == [b"next one"]


@quick
@given(payload=messages, position=st.integers(2, 200), change=st.integers(1, 255))
def test_a_damaged_frame_is_dropped_and_does_not_stop_what_follows(
    payload: bytes, position: int, change: int
) -> None:
    frame = bytearray(encode_frame(payload))
    frame[2 + position % (len(frame) - 2)] ^= change
    received = unframe(bytes(frame) + 2 * encode_frame(b"next one"))
    assert received in ([b"next one"], [b"next one"] * 2)


@quick
@given(first=messages, second=messages, length=st.integers(2, 200))
def test_a_start_inside_a_packet_abandons_it(first: bytes, second: bytes, length: int) -> None:
    begun = encode_frame(first)[:-1]
    unframer = Unframer()
    begun = begun[: 2 + length % (len(begun) - 1)]
    # A cut between an escape byte and its partner would combine the two into another escape.
    begun = begun[:-1] if begun.replace(b"\xff\xff", b"").endswith(b"\xff") else begun
    assert unframer.feed(begun + encode_frame(second)) == [second]
    assert unframer.dropped == 1


@quick
@given(payload=messages, place=st.integers(0, 200))
def test_a_nop_inside_a_packet_is_skipped_and_covered_by_the_checksum(payload: bytes, place: int) -> None:
    import struct
    from binascii import crc_hqx

    content = struct.pack("<I", len(payload)) + payload
    at = place % len(content)
    escaped = [content[:at].replace(b"\xff", b"\xff\xff"), content[at:].replace(b"\xff", b"\xff\xff")]
    raw = b"\xff\xfd" + b"\xff\xfe".join(escaped)
    frame = raw + struct.pack("<H", crc_hqx(raw, 0xFFFF)).replace(b"\xff", b"\xff\xff")
    assert unframe(frame) == [payload]
    assert unframe(frame, list(range(len(frame)))) == [payload]


def test_an_unknown_escape_drops_the_packet() -> None:
    frame = encode_frame(b"abcdef")
    unframer = Unframer()
    assert unframer.feed(frame[:8] + b"\xff\x01" + frame[8:] + encode_frame(b"next one")) == [b"next one"]
    assert unframer.dropped == 1


def test_a_length_beyond_the_bound_is_not_waited_for() -> None:
    unframer = Unframer(max_payload=100)
    assert unframer.feed(b"\xff\xfd\x65\0\0\0") == []
    assert unframer.dropped == 1
    assert unframer.needed() <= 11
    assert unframer.feed(encode_frame(bytes(100))) == [bytes(100)]


@quick
@given(payload=messages, noise=st.binary(max_size=5))
def test_needed_never_asks_for_more_than_the_frame_has(payload: bytes, noise: bytes) -> None:
    """Check that a reader which waits for exactly needed() bytes never waits for missing bytes."""
    data = noise + encode_frame(payload)
    unframer = Unframer(max_payload=1 << 16)
    received: List[bytes] = []
    while data and not received:
        needed = unframer.needed()
        if noise.count(b"\xff") == 0:
            assert needed <= len(data)
        received += unframer.feed(data[:needed])
        data = data[needed:]
    if noise.count(b"\xff") == 0:
        assert received == [payload]
        assert data == b""


def test_counts_what_it_skips() -> None:
    unframer = Unframer()
    damaged = bytearray(encode_frame(b"damaged"))
    damaged[-1] ^= 1
    unframer.feed(b"boot: ok\r\n" + bytes(damaged) + encode_frame(b"whole"))
    assert (unframer.noise_bytes, unframer.crc_errors, unframer.dropped) == (10, 1, 0)


@pytest.mark.parametrize("direction", [traces.HOST, traces.DEVICE])
@pytest.mark.parametrize("name", traces.NAMES)
def test_recorded_streams_are_encoded_again_byte_for_byte(name: str, direction: str) -> None:
    recorded = traces.stream(name, direction)
    payloads = unframe(recorded)
    assert len(payloads) > 30
    encoded = NOP_BYTE + b"".join(map(encode_frame, payloads))
    # A recording may end inside a frame, because the host closed its transport during its last message.
    assert recorded[: len(encoded)] == encoded
    assert recorded[len(encoded) :] in (b"", b"\xff\xfd")
    assert unframe(recorded, list(range(len(recorded)))) == payloads
