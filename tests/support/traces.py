# SPDX-License-Identifier: Apache-2.0
"""Recorded conversations of tests/data/traces, parsed into the bytes and messages of each side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from runtime.host.wire.framing import Unframer

DIRECTORY = Path(__file__).resolve().parents[1] / "data" / "traces"
NAMES = ("mlp_f32_aot", "conv_dense_f32_graph")

HOST = "host->device"
DEVICE = "device->host"


class Piece(NamedTuple):
    """One write or read of the recording."""

    direction: str
    data: bytes


class Turn(NamedTuple):
    """Payloads of frames that one side sent before the other side replied."""

    direction: str
    payloads: List[bytes]


def pieces(name: str) -> List[Piece]:
    return [Piece(line["dir"], bytes.fromhex(line["hex"])) for line in _lines(name) if "hex" in line]


def marks(name: str) -> List[str]:
    """Return the recording's notes on the calls that produced the bytes."""
    return [line["mark"] for line in _lines(name) if "mark" in line]


def _lines(name: str) -> List[Dict[str, Any]]:
    text = (DIRECTORY / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def stream(name: str, direction: str) -> bytes:
    """Return all bytes of one direction."""
    return b"".join(piece.data for piece in pieces(name) if piece.direction == direction)


def turns(name: str) -> List[Turn]:
    """Return the conversation as turns."""
    unframers = {HOST: Unframer(), DEVICE: Unframer()}
    said: List[Turn] = []
    for direction, data in pieces(name):
        payloads = unframers[direction].feed(data)
        if said and said[-1].direction == direction:
            said[-1].payloads.extend(payloads)
        elif payloads:
            said.append(Turn(direction, payloads))
    return said
