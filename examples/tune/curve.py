# SPDX-License-Identifier: Apache-2.0
"""The curve of a tuning: the time of each trial, and the best so far; in the terminal and as a PNG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

WIDTH, HEIGHT, MARGIN = 640, 360, 20  # of the picture, in pixels
ROWS = 10  # of the curve in the terminal
WHITE, GREY, BLUE = (255, 255, 255), (170, 170, 170), (30, 90, 200)

Times = Sequence[Optional[float]]  # of the trials in order; None for one that failed


def best_so_far(times: Times) -> List[Optional[float]]:
    """The least time up to each trial; None before the first that worked."""
    best: List[Optional[float]] = []
    for time in times:
        known = [value for value in (time, best[-1] if best else None) if value is not None]
        best.append(min(known, default=None))
    return best


def in_terminal(times: Times, unit: str) -> str:
    """Rows of text: o a trial, # the best so far, x at the bottom a trial that failed."""
    best = best_so_far(times)
    rows = [[" "] * len(times) for _ in range(ROWS)]
    low, high = _range(times)
    for marks, mark in ((times, "o"), (best, "#")):
        for column, value in enumerate(marks):
            if value is not None:
                rows[round((ROWS - 1) * (high - value) / (high - low))][column] = mark
    lines = ["".join(row).rstrip() for row in rows]
    labels = [f"{high:8.2f} {unit} |", *[f"{'':8} {unit} |"] * (ROWS - 2), f"{low:8.2f} {unit} |"]
    failed = "".join("x" if value is None else "-" for value in times)
    return "\n".join([*(a + b for a, b in zip(labels, lines)), f"{'':8} {' ' * len(unit)} +{failed} trials"])


def as_png(times: Times, path: Path) -> None:
    """The same as a picture: grey the trials, blue the best so far."""
    picture = [bytearray(bytes(WHITE) * WIDTH) for _ in range(HEIGHT)]
    low, high = _range(times)

    def place(index: int, value: float) -> Tuple[int, int]:
        x = MARGIN + round((WIDTH - 2 * MARGIN) * index / max(1, len(times) - 1))
        return x, MARGIN + round((HEIGHT - 2 * MARGIN) * (high - value) / (high - low))

    def dot(x: int, y: int, size: int, colour: Tuple[int, int, int]) -> None:
        for row in picture[y - size : y + size + 1]:
            row[3 * (x - size) : 3 * (x + size + 1)] = bytes(colour) * (2 * size + 1)

    for x in range(MARGIN, WIDTH - MARGIN):
        dot(x, HEIGHT - MARGIN // 2, 0, GREY)
    for index, value in enumerate(times):
        if value is not None:
            dot(*place(index, value), 2, GREY)
    corner: Optional[Tuple[int, int]] = None
    for index, value in enumerate(best_so_far(times)):
        if value is not None:
            x, y = place(index, value)
            left, upper = corner or (x, y)
            for between in range(left, x + 1):
                dot(between, upper, 1, BLUE)
            for between in range(upper, y + 1):
                dot(x, between, 1, BLUE)
            corner = x, y
    _write_png(picture, path)


def _range(times: Times) -> Tuple[float, float]:
    known = [value for value in times if value is not None] or [0.0]
    low, high = min(known), max(known)
    return low, max(high, low + 1e-9)


def _write_png(picture: List[bytearray], path: Path) -> None:
    """8-bit RGB without interlace: a signature, then chunks of length, name, content and CRC."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in picture))  # 0: a row that is not filtered
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
