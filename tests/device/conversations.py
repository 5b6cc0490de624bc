# SPDX-License-Identifier: Apache-2.0
"""Recorded conversations as a C header for fuzz.c.

Usage: `python -m tests.device.conversations > conversations.h`. Each request has the offsets of its handles
and addresses. Each reply has the offsets at which this device sends its own values of them.
"""

from __future__ import annotations

import struct
import sys
from typing import Dict, List, Tuple

from tests.device.building import DATA
from tests.device.wire import (
    COPY_ACK,
    EXCEPTION,
    HANDLE,
    NORMAL,
    TENSOR,
    decode_values,
    split_message,
    trace_packets,
)

NAMES = ("mlp_f32_aot", "conv_dense_f32_graph")


def recorded(name: str) -> List[Tuple[bytes, bytes]]:
    """Return the (request, reply) pairs of a recorded session."""
    turns: List[Tuple[bytes, bytes]] = []
    for side, payload in trace_packets(DATA / "traces" / f"{name}.jsonl"):
        if side == "mark" or payload[2] != NORMAL:
            continue
        if side == ">":
            turns.append((payload[3:], b""))
        else:
            assert turns[-1][1] == b"", "more than one reply to a request"
            turns[-1] = (turns[-1][0], payload[3:])
    return turns


def given(reply: bytes) -> List[int]:
    """Return the handles and addresses in a reply."""
    code, operands = split_message(reply)
    if code in (COPY_ACK, EXCEPTION):
        return []
    values, _ = decode_values(operands)
    handles = [value for kind, value in values if kind == HANDLE]
    return [value for value in handles + [v.data for kind, v in values if kind == TENSOR] if value]


def places(message: bytes, slots: Dict[int, int]) -> List[Tuple[int, int]]:
    """Return the (offset, slot) of each known value in a message."""
    found = []
    for value, slot in slots.items():
        at = message.find(struct.pack("<Q", value))
        while at >= 0:
            found.append((at, slot))
            at = message.find(struct.pack("<Q", value), at + 8)
    return found


def c_bytes(data: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in data)


def header() -> str:
    out: List[str] = []
    listed = []
    for name in NAMES:
        slots: Dict[int, int] = {}
        steps = []
        for number, (request, reply) in enumerate(recorded(name)):
            fixups = places(request, slots)
            for value in given(reply):
                slots.setdefault(value, len(slots))
            captures = places(reply, {value: slots[value] for value in given(reply)})
            label = f"{name}_{number}"
            for kind, found in (("fixups", fixups), ("captures", captures)):
                pairs = ", ".join(f"{{{at}, {slot}}}" for at, slot in found) or "{0, 0}"
                out.append(f"static const place_t {label}_{kind}[] = {{{pairs}}};")
            steps.append(
                f'  {{(const uint8_t *)"{c_bytes(request)}", {len(request)}, {label}_fixups, {len(fixups)},'
                f" {label}_captures, {len(captures)}}},"
            )
        out.append(f"static const step_t {name}[] = {{\n" + "\n".join(steps) + "\n};")
        listed.append(f"  {{{name}, sizeof {name} / sizeof {name}[0]}},")
    out.append("static const conversation_t conversations[] = {\n" + "\n".join(listed) + "\n};")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    sys.stdout.write(header())
