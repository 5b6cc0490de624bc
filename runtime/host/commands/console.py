# SPDX-License-Identifier: Apache-2.0
"""What commands print: text without what a terminal would obey, errors, tables."""

from __future__ import annotations

import itertools
from typing import Any, Dict, Optional

from rich.console import Console
from rich.table import Table
from rich.text import Span, Text

from runtime import server
from runtime.host.errors import PlatformError

# Lines are left to the terminal to wrap, so that a path can be copied; what is printed is text, not markup.
PLAIN: Dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}


class Terminal(Console):
    """Prints text of archives, boards.json and devices without what a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(_harmless, objects), **options)


def _harmless(shown: Any) -> Any:
    """Return text, or text with styles, with its control characters as escapes; anything else as it is."""
    if isinstance(shown, str):
        return server.printable(shown)
    if not isinstance(shown, Text) or server.printable(shown.plain) == shown.plain:
        return shown
    pieces = [server.printable(letter) for letter in shown.plain]
    starts = [0, *itertools.accumulate(map(len, pieces))]
    spans = [Span(starts[span.start], starts[span.end], span.style) for span in shown.spans]
    return Text("".join(pieces), shown.style, spans=spans, end=shown.end)


out = Terminal(**PLAIN)
err = Terminal(stderr=True, **PLAIN)
LONGEST_SENTENCE = 2_000  # characters: a name in it may have any length


def show_error(error: PlatformError) -> None:
    """Print what happened, what to do next, and the log that belongs to it."""
    err.print(Text.assemble(("error: ", "bold red"), server.shortened(error.what, LONGEST_SENTENCE)))
    err.print(Text.assemble(("next:  ", "bold"), server.shortened(error.next_step, LONGEST_SENTENCE)))
    if error.log:
        err.print(Text(error.log.rstrip(), "dim"))


class Screen:
    """Lines, and raw text in the order in which it comes, which need not end in one."""

    def __init__(self) -> None:
        self._at_start = True

    def line(self, text: str, label: str = "") -> None:
        if not self._at_start:
            out.print()
        self._at_start = True
        out.print(Text.assemble((label, "bold"), text))

    def raw(self, data: bytes) -> None:
        text = server.printable(data.decode("utf-8", "backslashreplace"))
        out.print(Text(text, "dim"), end="")
        self._at_start = text.endswith("\n")


def number_table(what: str, *numbers: str) -> Table:
    """A table whose numbers are never cut; a narrow terminal wraps the words before them."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column(what, min_width=len(what))
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_log(text: str) -> None:
    """Print what a device says of itself."""
    err.print(Text(f"device: {text}", "dim"))


def format_size(size: Optional[int]) -> str:
    """Return a number of bytes, or "no limit" for None."""
    return "no limit" if size is None else f"{size:,}"
