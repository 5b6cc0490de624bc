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
BOX_HEIGHT: Final = 74
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
    layers = layers_of(root)
    height = len(layers) * (BOX_HEIGHT + GAP) + GAP
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- Generated from pyproject.toml and the docstrings of runtime/host by python -m tools.docs. -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="11">',
        "<title>Rooms of the host tools in layers; imports go from the top to the bottom</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#37474f"/></marker></defs>',
        f'<line x1="20" y1="{GAP}" x2="20" y2="{height - GAP - 6}" stroke="#37474f" stroke-width="2" '
        'marker-end="url(#head)"/>',
        f'<text x="14" y="{height // 2}" fill="#37474f" text-anchor="middle" '
        f'transform="rotate(-90 14 {height // 2})">imports</text>',
    ]
    for number, rooms in enumerate(layers):
        top = GAP + number * (BOX_HEIGHT + GAP)
        width = (WIDTH - LEFT - GAP * len(rooms)) // len(rooms)
        for column, room in enumerate(rooms):
            lines += _box(LEFT + column * (width + GAP), top, width, room, purpose_of(room, root))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _box(left: int, top: int, width: int, room: str, purpose: str) -> List[str]:
    words = textwrap.wrap(
        re.split(r"(?<=[.!?])\s", purpose)[0].replace("`", ""),
        width=int((width - 20) / PIXELS_A_LETTER),
        max_lines=MOST_LINES,
        placeholder=" ...",
    )
    box = f'x="{left}" y="{top}" width="{width}" height="{BOX_HEIGHT}" rx="6"'
    lines = [f'<rect {box} fill="#e8eaf6" stroke="#3f51b5"/>']
    middle = left + width // 2
    lines.append(
        f'<text x="{middle}" y="{top + 20}" text-anchor="middle" font-size="14" font-weight="bold" '
        f'fill="#1a237e">{escape(room)}</text>'
    )
    for row, line in enumerate(words):
        lines.append(
            f'<text x="{middle}" y="{top + 36 + 14 * row}" text-anchor="middle" fill="#263238">'
            f"{escape(line)}</text>"
        )
    return lines
