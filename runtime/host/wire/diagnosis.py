# SPDX-License-Identifier: Apache-2.0
"""Explanation of why a session does not start, from the bytes that the device sent.

The rules are applied in order, and the first rule that fits the evidence supplies the explanation. Each rule
describes only the received bytes.
"""

from __future__ import annotations

import re
from typing import Callable, Final, NamedTuple, Optional, Tuple

HEARD_BYTES: Final = 512
"""Number of first bytes from a device that are kept as evidence."""

SHOWN_BYTES: Final = 24
SHOWN_TEXT: Final = 120
FEWEST_RESTARTS: Final = 2
"""Fewest restarts that count as a loop. A device restarts once when it is flashed or its port is opened."""

MOSTLY_TEXT: Final = 0.9
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]")


class Evidence(NamedTuple):
    """Record of the bytes that a device sent while the host opened a session.

    Attributes:
        received: Number of bytes.
        noise: Number of those bytes that were outside of packets.
        damaged: Number of packets with a wrong CRC or a wrong form.
        packets: Number of complete packets.
        restarts: Number of packets in which the device reported a reset.
        echoes: Number of the host's own packets that came back.
        words: Last log message of the device; empty for none.
    """

    received: int
    noise: int
    heard: bytes  # the first HEARD_BYTES bytes, as received
    damaged: int
    packets: int
    restarts: int
    echoes: int
    words: str


def explain(evidence: Evidence) -> Tuple[str, str]:
    """Return the problem, as the end of a sentence, and the next step."""
    for rule in _RULES:
        found = rule(evidence)
        if found is not None:
            return found
    return _stranger(evidence)


def _silent(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if evidence.received:
        return None
    return (
        "the device sent nothing",
        "Check that the board has power, that this firmware was flashed, and that the serial port is the "
        "board's port. Then press the board's reset button while `python mtvm.py monitor` runs: a "
        "firmware of this platform sends a packet when it starts. If the boards.json entry is new, check "
        "uart.kind, uart.address and setup.",
    )


def _echoing(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.echoes:
        return None
    return (
        "the host's own packets came back unchanged",
        "Check the wires and the serial port: TX may be wired to RX, or a terminal program may echo the "
        "bytes.",
    )


def _restarting(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if evidence.restarts < FEWEST_RESTARTS:
        return None
    words = f'; its last log message: "{evidence.words}"' if evidence.words else ""
    return (
        f"the device restarted {evidence.restarts} times{words}",
        "Check the last log message, the power supply, and that no watchdog is enabled: the device crashes "
        "or is reset before it can reply. If the device runs out of memory, increase workspace_size_bytes.",
    )


def _damaged(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.damaged:
        return None
    return (
        f"{_count(evidence.damaged, 'packet')} from the device arrived damaged and {evidence.packets} intact",
        "Try a lower baud rate in boards.json (then build and flash) and a shorter cable, and check the "
        "board's clock_hz: the line is noisy, or the baud rates of host and device differ slightly.",
    )


def _text(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.noise or evidence.packets or not evidence.heard:
        return None
    letters = len(_TEXT.findall(evidence.heard))
    if letters < MOSTLY_TEXT * len(evidence.heard):
        return None
    text = evidence.heard.decode("ascii", "replace").strip()[:SHOWN_TEXT]
    return (
        f"the device sends text and no packets: {text!r}",
        "Read the text, or flash this project again: another program runs on the board, or this firmware "
        "stopped before its RPC server started.",
    )


def _garbage(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.noise or evidence.packets:
        return None
    first = _shown(evidence.heard)
    return (
        f"the device sent {_count(evidence.received, 'byte')} and no packet ({first})",
        "Set --baud-rate to the baud rate that the firmware was built for, and check uart.clock_hz of the "
        "entry in boards.json. Check also that no other device sends on this serial port.",
    )


def _stranger(evidence: Evidence) -> Tuple[str, str]:
    return (
        f"the device sent {_count(evidence.packets, 'packet')}, but no reply to the session start",
        "Reset the board, and flash this project again: the device may still compute for an earlier session, "
        "or run an older firmware. If the boards.json entry is new, the board may not receive: check "
        "uart.interrupt and the RX pin.",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _shown(data: bytes) -> str:
    dots = " ..." if len(data) > SHOWN_BYTES else ""
    return data[:SHOWN_BYTES].hex(" ") + dots


_RULES: Final[Tuple[Callable[[Evidence], Optional[Tuple[str, str]]], ...]] = (
    _silent,
    _echoing,
    _restarting,
    _damaged,
    _text,
    _garbage,
)
