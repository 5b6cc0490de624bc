# SPDX-License-Identifier: Apache-2.0
"""Sessions: the messages that the device accepts, and the state after a session ends."""

from __future__ import annotations

import struct

import pytest

from tests.device.conftest import MemoryDevice
from tests.device.wire import (
    GET_GLOBAL,
    INIT,
    LOG,
    MODULE,
    NORMAL,
    REPLY,
    SHUTDOWN,
    STR,
    TERMINATE,
    DeviceException,
    encode_values,
    frame,
    message,
    unframe,
)


def init(nonce: int, version: bytes = b"\x01") -> bytes:
    return frame(struct.pack("<HB", nonce, INIT) + version)


def question(session: int) -> bytes:
    body = message(GET_GLOBAL, encode_values([(STR, "runtime.SystemLib")]))
    return frame(struct.pack("<HB", session, NORMAL) + body)


def test_after_reset_a_nop_and_the_end_of_all_sessions(device: MemoryDevice) -> None:
    hello = device.reset()
    assert hello == b"\xfe" + frame(struct.pack("<HB", 0, TERMINATE))


def test_the_reply_carries_both_nonces(device: MemoryDevice) -> None:
    device.reset(nonce=0x28)
    ((payload,), rest) = unframe(device.feed(init(0x77)))
    session, kind, version = struct.unpack("<HBB", payload)
    assert (session & 0xFF, kind, version, rest) == (0x77, REPLY, 1, b"")
    assert session >> 8 not in (0, 0x28), "the nonce must be the successor of the nonce of the reset"


@pytest.mark.parametrize("nonce", [0, 1, 0x5A, 0xFF])
def test_no_nonce_is_zero_and_sessions_differ(device: MemoryDevice, nonce: int) -> None:
    device.reset(nonce=nonce)
    seen = [device.open(3) >> 8 for _ in range(300)]
    assert 0 not in seen
    assert all(a != b for a, b in zip(seen, seen[1:]))


def test_messages_before_a_session_or_of_another_are_ignored(device: MemoryDevice) -> None:
    device.reset()
    assert device.feed(question(0)) == b""
    assert device.feed(question(0x1234)) == b""
    device.open()
    for other in (0, device.session ^ 1, device.session ^ 0x100, device.session & 0xFF):
        assert device.feed(question(other)) == b""
    assert device.feed(question(device.session)) != b""


def test_what_is_not_for_a_device_is_ignored(device: MemoryDevice) -> None:
    for kind in (REPLY, LOG, 0x04, 0x11, 0xFE):
        for session in (0, device.session):
            assert device.feed(frame(struct.pack("<HBB", session, kind, 1))) == b""
    assert device.feed(question(device.session)) != b""


def test_an_init_of_nonce_zero_or_of_a_wrong_length_is_dropped(device: MemoryDevice) -> None:
    assert device.feed(init(0)) == b""
    assert device.feed(init(0x2800)) == b""
    assert device.feed(init(5, b"")) == b""
    assert device.feed(init(5, b"\x01\x01")) == b""
    assert device.feed(question(device.session)) != b"", "the session continues"


def test_another_protocol_version_is_told_in_the_log(device: MemoryDevice) -> None:
    device.reset()
    assert device.payloads(init(5, b"\x02")) == []
    assert device.logs == [(0, "session protocol version: expected 1, got 2")]


def test_a_new_init_starts_a_new_session(device: MemoryDevice) -> None:
    old = device.session
    function = device.function("runtime.SystemLib")
    first = device.alloc((100,))
    new = device.open(0x29)
    assert new != old
    assert device.feed(question(old)) == b""
    assert device.alloc((100,)).data == first.data, "the memory of the old session must be free"
    with pytest.raises(DeviceException, match="not a handle of this session"):
        device.call(function)
    with pytest.raises(DeviceException, match="not a handle of this session"):
        device.free(function, 10)


def test_terminate_ends_the_session(device: MemoryDevice) -> None:
    for session in (device.session, 0):
        device.open()
        assert device.feed(frame(struct.pack("<HB", device.session ^ 0x8000, TERMINATE))) == b""
        assert device.feed(question(device.session)) != b""
        assert device.feed(frame(struct.pack("<HB", session and device.session, TERMINATE))) == b""
        assert device.feed(question(device.session)) == b""


def test_shutdown_has_no_reply_and_leaves_nothing(device: MemoryDevice) -> None:
    aot = device.aot("scale")
    address = device.alloc((8,)).data
    assert device.feed(frame(struct.pack("<HB", device.session, NORMAL) + message(SHUTDOWN))) == b""
    assert device.feed(question(device.session)) == b""
    assert device.library.mtvm_error_text() == b""
    device.open()
    again = device.aot("scale")
    assert device.alloc((8,)).data == address
    assert again != aot
    with pytest.raises(DeviceException, match="not a handle of this session"):
        device.free(aot, MODULE)


def test_logs_carry_the_session(device: MemoryDevice) -> None:
    device.library.mtvm_log(b"before")
    device.call(device.module_function(device.system_lib(), "says_hello"))
    assert device.logs[-1] == (device.session, "hello from a kernel")
    device.library.mtvm_log(b"x" * 5000)
    assert len(unframe(device.output())[0][0]) == 2048, "a log message must fit into the buffer of a host"
    device.reset()
    device.library.mtvm_log(b"no session yet")
    assert unframe(device.output())[0] == [struct.pack("<HB", 0, LOG) + b"no session yet"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"no function %s to measure", b"no function f to measure"),
        (b"%s and %s", b"f and f"),
        (b"50 % of 100%", b"50 % of 100%"),
        (b"%d", b"%d"),
    ],
)
def test_an_error_text_takes_a_name_where_it_has_exactly_percent_s(
    device: MemoryDevice, text: bytes, error: bytes
) -> None:
    assert device.library.mtvm_error(text, b"f") == -1
    assert device.library.mtvm_error_text() == error
