# SPDX-License-Identifier: Apache-2.0
"""Packets: the device accepts packets cut anywhere, and drops invalid packets."""

from __future__ import annotations

import random
import struct
from typing import List

import pytest

from tests.device.conftest import MemoryDevice
from tests.device.wire import (
    CALL,
    FREE,
    GET_GLOBAL,
    HANDLE,
    INT,
    NORMAL,
    STR,
    TENSOR,
    DeviceException,
    Tensor,
    crc16,
    encode_values,
    escape,
    frame,
    message,
    unframe,
)


def request(device: MemoryDevice, body: bytes) -> bytes:
    return struct.pack("<HB", device.session, NORMAL) + body


def lookup(device: MemoryDevice, name: str = "runtime.SystemLib") -> bytes:
    return request(device, message(GET_GLOBAL, encode_values([(STR, name)])))


def answers(device: MemoryDevice, wire: bytes) -> int:
    return len(unframe(device.feed(wire))[0])


def test_the_test_vector_of_the_crc(device: MemoryDevice) -> None:
    device.library.mtvm_crc16.restype = int
    assert crc16(b"123456789") == 0x29B1
    assert device.library.mtvm_crc16(0xFFFF, b"123456789", 9) & 0xFFFF == 0x29B1


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64, 10000])
def test_packets_cut_into_pieces(device: MemoryDevice, piece: int) -> None:
    wire = b"\x00noise\xff" + frame(lookup(device)) * 3
    out = b"".join(device.feed(wire[at : at + piece]) for at in range(0, len(wire), piece))
    assert len(unframe(out)[0]) == 3


def test_escapes_in_length_payload_and_crc(device: MemoryDevice) -> None:
    """Send and receive data with many FF, and lengths and CRCs that contain FF, without changes."""
    tensor = device.alloc((700,), (1, 8, 1))
    generator = random.Random(1)
    escaped_crcs = 0
    for n in [*range(1, 40), 180, 186, 254, 255, 256, 511, 600]:
        data = bytes(generator.choice((0xFF, 0xFD, 0xFE, generator.randrange(256))) for _ in range(n))
        device.copy_to(tensor, data)
        assert device.copy_from(tensor, n) == data
        escaped_crcs += b"\xff" in struct.pack("<H", crc16(frame(lookup(device, "x" * n))[:-2]))
    for n in range(300):
        assert answers(device, frame(lookup(device, "y" * n))) == 1
    assert escaped_crcs >= 0


def test_nops_are_skipped_inside_a_packet_too(device: MemoryDevice) -> None:
    body = lookup(device)
    raw = struct.pack("<I", len(body)) + body
    wire = b"\xff\xfd" + raw[:9] + b"\xff\xfe" + raw[9:]
    assert answers(device, b"\xff\xfe\xff\xfe" + wire + escape(struct.pack("<H", crc16(wire)))) == 1


def test_a_start_inside_a_packet_begins_anew(device: MemoryDevice) -> None:
    wire = frame(lookup(device))
    for cut in range(2, len(wire) - 1):
        if wire[:cut].endswith(b"\xff"):
            continue
        assert answers(device, wire[:cut] + wire) == 1


def test_a_wrong_crc_or_escape_drops_the_packet_only(device: MemoryDevice) -> None:
    wire = frame(lookup(device))
    dropped: List[bytes] = [wire[:-1] + bytes([wire[-1] ^ 1]), wire[:10] + b"\xff\x00" + wire[10:]]
    dropped += [wire[:at] + bytes([wire[at] ^ 0x10]) + wire[at + 1 :] for at in range(7, len(wire))]
    for bad in dropped:
        if b"\xff" in bad[2:]:
            continue
        assert answers(device, bad) == 0
        assert answers(device, wire) == 1


def test_a_packet_of_no_payload_is_dropped(device: MemoryDevice) -> None:
    for n in (0, 1, 2):
        assert answers(device, frame(bytes(n))) == 0
    assert answers(device, frame(lookup(device))) == 1


def test_a_message_beyond_the_packet_buffer_is_answered(device: MemoryDevice) -> None:
    with pytest.raises(DeviceException, match=r"message bytes: expected at most 2045, got 5012"):
        device.request(CALL, bytes(5000))
    with pytest.raises(DeviceException, match=r"expected at most 2045, got 2046"):
        device.request(FREE, bytes(2034))
    with pytest.raises(DeviceException, match=r"type code|arguments|operand"):
        device.request(FREE, bytes(2033))
    assert device.function("runtime.SystemLib")


def test_a_length_of_four_gigabytes_waits_for_the_next_start(device: MemoryDevice) -> None:
    assert answers(device, b"\xff\xfd" + escape(struct.pack("<I", 0xFFFFFFFF)) + bytes(3000)) == 0
    assert answers(device, frame(lookup(device))) == 1


def test_the_largest_packet_fits(device: MemoryDevice) -> None:
    kind, size = device.call(device.function("tvm.rpc.server.GetCRTMaxPacketSize"))
    assert (kind, size) == ((INT, INT), (INT, 2048 - 11))
    head = 4 + 8 + 8 + 4 + 4 + 8 + 8 + 8
    block = 2037 - head
    tensor = device.alloc((block,), (1, 8, 1))
    data = random.Random(2).randbytes(block)
    body = tensor.encode() + struct.pack("<Q", block) + data
    device.returned(7, body)
    assert device.copy_from(tensor, block) == data


@pytest.mark.parametrize("size", [256, 512, 1000, 2048, 4096])
def test_packet_buffers_of_other_sizes(device: MemoryDevice, size: int) -> None:
    device.reset(packet_buffer=size)
    device.open()
    _, (_, most) = device.call(device.function("tvm.rpc.server.GetCRTMaxPacketSize"))
    assert most == min(size, 2048) - 11, "hosts of TVM 0.12 and later hang on more than 2048"
    with pytest.raises(DeviceException, match="at most"):
        device.request(GET_GLOBAL, bytes(most + 8))
    tensor = device.alloc((64,), (1, 8, 1))
    device.copy_to(tensor, bytes(range(64)))
    assert device.copy_from(tensor, 64) == bytes(range(64))
    one, two = device.alloc((2, 2)), device.alloc((2, 2))
    device.copy_to(one, struct.pack("<4f", 1, 2, 3, 4))
    if size >= 512:
        device.call(device.module_function(device.system_lib(), "add_one"), (TENSOR, one), (TENSOR, two))
        assert struct.unpack("<4f", device.copy_from(two, 16)) == (2, 3, 4, 5)


def test_buffers_too_small_are_refused(device: MemoryDevice) -> None:
    assert device.library.harness_reset(100, 4096) == -1
    assert b"packet buffer bytes: expected at least 256, got 100" in device.library.mtvm_error_text()
    assert device.library.harness_reset(2048, 64) == -1
    assert b"workspace bytes: expected at least" in device.library.mtvm_error_text()


def test_tensors_of_rank_zero_and_handles_travel(device: MemoryDevice) -> None:
    scalar = device.alloc((), (0, 64, 1))
    device.copy_to(scalar, struct.pack("<q", -5))
    assert struct.unpack("<q", device.copy_from(scalar, 8)) == (-5,)
    total = device.module_function(device.system_lib(), "sum")
    assert device.call(total, (TENSOR, scalar)) == [(INT, INT), (INT, -5)]
    assert isinstance(scalar, Tensor) and HANDLE == 3
