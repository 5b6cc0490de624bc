# SPDX-License-Identifier: Apache-2.0
"""Pieces of Markdown: tables, cells, code."""

from __future__ import annotations

import re
from typing import Iterable, List, Sequence

CODE_OR_ANGLE = re.compile(r"`[^`]*`|[<>*]")


def plain(text: str) -> str:
    """Return text of a docstring or of a help message, escaped for Markdown."""
    return CODE_OR_ANGLE.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", text)


def cell(text: str) -> str:
    """Return a text as the content of a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. The cells are Markdown."""
    lines: List[Sequence[str]] = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def code(word: object) -> str:
    """Return a word as code."""
    return f"`{word}`"


def join(parts: Iterable[str]) -> str:
    """Return a page: the parts with one empty line between them, and one line break at the end."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def sentence(text: str) -> str:
    """Return a phrase as a sentence: a capital, unless the first word is a name, and a full stop."""
    text = text.strip()
    if re.match(r"[a-z]+[ ,.;-]", text):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
