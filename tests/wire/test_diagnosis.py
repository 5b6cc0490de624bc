# SPDX-License-Identifier: Apache-2.0
"""Explanations of a session that does not start: each kind of received data has its own next step."""

from __future__ import annotations

import pytest

from runtime.host.wire.diagnosis import Evidence, explain

NOTHING = Evidence(received=0, noise=0, heard=b"", damaged=0, packets=0, restarts=0, echoes=0, words="")

CASES = {
    "no bytes at all": (NOTHING, "sent nothing at all", "has power"),
    "a wrong baud rate": (
        NOTHING._replace(received=900, noise=900, heard=bytes([0x80, 0x00, 0xF8, 0x06] * 100)),
        "900 bytes, none of them in a packet (80 00 f8 06",
        "--baud-rate",
    ),
    "another program": (
        NOTHING._replace(received=12, noise=12, heard=b"Hello, LED!\n"),
        "text and no packets: 'Hello, LED!'",
        "flash this project again",
    ),
    "a reboot loop": (
        NOTHING._replace(received=200, packets=8, restarts=4, words="fault: bus fault at 0x08000132"),
        'restarted 4 times; its last words: "fault: bus fault at 0x08000132"',
        "watchdog",
    ),
    "a reboot loop without words": (
        NOTHING._replace(received=200, packets=8, restarts=4),
        "restarted 4 times",
        "crashes",
    ),
    "wrong CRC": (
        NOTHING._replace(received=90, noise=3, damaged=1, packets=2, heard=b"\xff\xfd"),
        "1 packet of it came damaged and 2 whole",
        "lower baud rate",
    ),
    "an echo": (
        NOTHING._replace(received=40, packets=4, echoes=2),
        "comes back as it is",
        "TX is wired to RX",
    ),
    "an older firmware": (
        NOTHING._replace(received=90, packets=3, restarts=1),
        "3 packets, but none that answers",
        "flash this project again",
    ),
}


@pytest.mark.parametrize(("evidence", "what", "next_step"), CASES.values(), ids=CASES)
def test_each_kind_of_silence_has_its_words(evidence: Evidence, what: str, next_step: str) -> None:
    said = explain(evidence)
    assert what in said[0]
    assert next_step in said[1]


def test_a_single_restart_is_no_loop() -> None:
    assert "restarted" not in explain(NOTHING._replace(received=30, packets=1, restarts=1))[0]
