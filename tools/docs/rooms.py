# SPDX-License-Identifier: Apache-2.0
"""A drawing and a section of each room, from the layers in pyproject.toml and the docstrings."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Final, List
from xml.sax.saxutils import escape

from tools.docs.markdown import join, plain

WIDTH: Final = 980
HEAD_HEIGHT: Final = 32  # of a box, for the name and the margins
LINE_HEIGHT: Final = 14
GAP: Final = 12
LEFT: Final = 40  # of the boxes; the arrow is to the left of them
PIXELS_A_LETTER: Final = 5.9  # of 11 pixels, measured on "n" of common sans-serif fonts
MOST_LINES: Final = 3
LAYERS: Final = re.compile(r"^layers = \[\n(.*?)^\]", re.MULTILINE | re.DOTALL)
HOST: Final = "runtime/host"
END_OF_PURPOSE: Final = re.compile(r"^(?:May import:|To [a-z]+ )", re.MULTILINE)


def layers_of(root: Path) -> List[List[str]]:
    """Return the rooms of each layer, from the top to the bottom, as import-linter checks them."""
    # A regular expression, because CPython 3.10 has no tomllib.
    found = LAYERS.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert found is not None, "pyproject.toml has no layers"
    return [line.split(" | ") for line in re.findall(r'"([^"]+)"', found[1])]


def purpose_of(room: str, root: Path) -> str:
    """Return the docstring of a room up to the line about its imports."""
    path = root / HOST / room / "__init__.py"
    if not path.is_file():
        path = root / HOST / f"{room}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    end = END_OF_PURPOSE.search(text)
    text = text[: end.start()] if end else text
    text = text.partition("::\n")[0].partition("\n    ")[0].strip()
    return f"{text[:-1]}." if text.endswith(":") else text


def sections(root: Path) -> str:
    """Return a section for each room, from the top to the bottom."""
    parts = []
    for room in (room for layer in layers_of(root) for room in layer):
        is_package = (root / HOST / room).is_dir()
        parts.append(f"### {room if is_package else f'{room}.py'}".replace("__", "\\_\\_"))
        parts.append(plain(purpose_of(room, root)))
    return join(parts)


def drawing(root: Path) -> str:
    """Return docs/images/rooms.svg."""
    boxes: List[str] = []
    top = GAP
    for rooms in layers_of(root):
        width = (WIDTH - LEFT - GAP * len(rooms)) // len(rooms)
        words = [_wrapped(purpose_of(room, root), width) for room in rooms]
        height = HEAD_HEIGHT + LINE_HEIGHT * max(map(len, words))
        for column, room in enumerate(rooms):
            boxes += _box(LEFT + column * (width + GAP), top, width, height, room, words[column])
        top += height + GAP
    arrow = (
        f'<line x1="24" y1="{GAP}" x2="24" y2="{top - GAP - 6}" stroke="#37474f" stroke-width="2" '
        'marker-end="url(#head)"/>'
    )
    word = (
        f'<text x="16" y="{top // 2}" fill="#37474f" text-anchor="middle" '
        f'transform="rotate(-90 16 {top // 2})">imports</text>'
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- Generated from pyproject.toml and the docstrings of runtime/host by python -m tools.docs. -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        'font-family="sans-serif" font-size="11">',
        "<title>Rooms of the host tools in layers; imports go from the top to the bottom</title>",
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>',
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#37474f"/></marker></defs>',
        *(arrow, word),
        *boxes,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _wrapped(purpose: str, width: int) -> List[str]:
    """Return the first sentence of a purpose as lines that fit into a box."""
    first = re.split(r"(?<=[.!?])\s", purpose)[0].replace("`", "")
    letters = int((width - 20) / PIXELS_A_LETTER)
    return textwrap.wrap(first, width=letters, max_lines=MOST_LINES, placeholder=" ...")


def _box(left: int, top: int, width: int, height: int, room: str, words: List[str]) -> List[str]:
    middle = left + width // 2
    place = f'x="{left}" y="{top}" width="{width}" height="{height}" rx="6"'
    lines = [
        f'<rect {place} fill="#e8eaf6" stroke="#3f51b5"/>',
        f'<text x="{middle}" y="{top + 20}" text-anchor="middle" font-size="14" font-weight="bold" '
        f'fill="#1a237e">{escape(room)}</text>',
    ]
    for row, line in enumerate(words):
        y = top + HEAD_HEIGHT + LINE_HEIGHT * row + 6
        lines.append(f'<text x="{middle}" y="{y}" text-anchor="middle" fill="#263238">{escape(line)}</text>')
    return lines
