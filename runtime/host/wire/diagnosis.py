# SPDX-License-Identifier: Apache-2.0
"""Why a session does not start: what was heard from the device, and what that means.

The rules are tried in order; the first that fits the evidence gives the words. None of them guesses: each
tells what was seen.
"""

from __future__ import annotations

import re
from typing import Callable, Final, NamedTuple, Optional, Tuple

HEARD_BYTES: Final = 512
"""So much of the first bytes of a device is kept as evidence."""

SHOWN_BYTES: Final = 24
SHOWN_TEXT: Final = 120
FEWEST_RESTARTS: Final = 2
"""A device restarts once when it is flashed or opened; more than once is a loop."""

MOSTLY_TEXT: Final = 0.9
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]")


class Evidence(NamedTuple):
    """What a device did while a session was to be opened.

    received: bytes in all. noise: of them outside packets. heard: the first of them, as they came. damaged:
    packets with a wrong CRC or a wrong form. packets: whole ones. restarts: how often it said that it was
    reset. echoes: how often our own packet came back. words: its last log message.
    """

    received: int
    noise: int
    heard: bytes
    damaged: int
    packets: int
    restarts: int
    echoes: int
    words: str


def explain(evidence: Evidence) -> Tuple[str, str]:
    """What is wrong, as the end of a sentence, and the next step."""
    for rule in _RULES:
        found = rule(evidence)
        if found is not None:
            return found
    return _stranger(evidence)


def _silent(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if evidence.received:
        return None
    return (
        "it sent nothing at all",
        "Check that the board has power, that this firmware was flashed, and that this is the board's "
        "port; then press its reset button while `python -m runtime.host monitor` runs: a firmware of this "
        "platform sends a packet when it starts. Of an entry that is new in boards.json check uart.kind, "
        "uart.address and setup.",
    )


def _echoing(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.echoes:
        return None
    return (
        "what is sent comes back as it is",
        "The line is an echo: TX is wired to RX, or a terminal is at the other end. Check the wires and the "
        "port.",
    )


def _restarting(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if evidence.restarts < FEWEST_RESTARTS:
        return None
    words = f'; its last words: "{evidence.words}"' if evidence.words else ""
    return (
        f"it restarted {evidence.restarts} times{words}",
        "It crashes or is reset before it can answer. Look at its last words, at its power supply and at a "
        "watchdog that is still on; a larger workspace_size_bytes helps where it runs out of memory.",
    )


def _damaged(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.damaged:
        return None
    return (
        f"{_count(evidence.damaged, 'packet')} of it came damaged and {evidence.packets} whole",
        "The speed is nearly right, or the line is noisy: try a lower baud rate in boards.json (build and "
        "flash after that), a shorter cable, and check the board's clock_hz.",
    )


def _text(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.noise or evidence.packets or not evidence.heard:
        return None
    letters = len(_TEXT.findall(evidence.heard))
    if letters < MOSTLY_TEXT * len(evidence.heard):
        return None
    text = evidence.heard.decode("ascii", "replace").strip()[:SHOWN_TEXT]
    return (
        f"it sends text and no packets: {text!r}",
        "Another program runs on it, or this firmware stopped before it could serve: read what it says, or "
        "flash this project again.",
    )


def _garbage(evidence: Evidence) -> Optional[Tuple[str, str]]:
    if not evidence.noise or evidence.packets:
        return None
    return (
        f"it sent {_count(evidence.received, 'byte')}, none of them in a packet ({_shown(evidence.heard)})",
        "The speed is wrong, or something else talks on this port: name the speed that the firmware was "
        "built for with --baud-rate, and check the uart.clock_hz of its entry in boards.json.",
    )


def _stranger(evidence: Evidence) -> Tuple[str, str]:
    return (
        f"it sent {_count(evidence.packets, 'packet')}, but none that answers",
        "It may be busy with a long computation of an earlier session, or run an older firmware: reset it, "
        "and flash this project again. Or it sends and does not hear: of an entry that is new in boards.json "
        "check uart.interrupt and the pin of RX.",
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
