# SPDX-License-Identifier: Apache-2.0
"""Output of commands: text without control sequences, errors, tables, progress."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Callable, Dict, Iterator, Optional

from rich.console import Console
from rich.table import Table
from rich.text import Span, Text

from runtime import server
from runtime.host.errors import PlatformError

# The terminal wraps lines, so that a path can be copied. Output is text, not markup.
PLAIN: Dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}


class Terminal(Console):
    """Console that prints text of archives, boards.json and devices without control sequences."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as Console.print does, with control characters as escapes."""
        super().print(*map(_harmless, objects), **options)


def _harmless(shown: Any) -> Any:
    """Return a string or a Text with its control characters as escapes, and any other object unchanged."""
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
LONGEST_SENTENCE = 2_000  # characters; a name in a sentence may have any length


def show_error(error: PlatformError) -> None:
    """Print the problem, the next step, and the tail of the tool's log."""
    err.print(Text.assemble(("error: ", "bold red"), server.shortened(error.what, LONGEST_SENTENCE)))
    err.print(Text.assemble(("next:  ", "bold"), server.shortened(error.next_step, LONGEST_SENTENCE)))
    if error.log:
        err.print(Text(error.log.rstrip(), "dim"))


@contextlib.contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that something is at work, until the block ends. Show nothing elsewhere.

    Args:
        text: The work in words, such as "Building the firmware".

    Yields:
        A function that replaces the text.
    """
    if not err.is_terminal:
        yield lambda _text: None
        return
    with err.status(Text(text)) as status:
        yield lambda new: status.update(Text(server.printable(new)))


class Screen:
    """Output of a board: lines, and raw text that may end in the middle of a line."""

    def __init__(self) -> None:
        self._at_start = True

    def line(self, text: str, label: str = "") -> None:
        """Print a line of its own."""
        if not self._at_start:
            out.print()
        self._at_start = True
        out.print(Text.assemble((label, "bold"), text))

    def raw(self, data: bytes) -> None:
        """Print bytes as text, without a line break of its own."""
        text = server.printable(data.decode("utf-8", "backslashreplace"))
        out.print(Text(text, "dim"), end="")
        self._at_start = text.endswith("\n")


def number_table(what: str, *numbers: str) -> Table:
    """Return a table whose numbers are never cut; a narrow terminal wraps the first column."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column(what, min_width=len(what))
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_log(text: str) -> None:
    """Print a log message of a device."""
    err.print(Text(f"device: {text}", "dim"))


def format_size(size: Optional[int]) -> str:
    """Return a number of bytes, or "no limit" for None."""
    return "no limit" if size is None else f"{size:,}"


def short_size(size: Optional[int]) -> str:
    """Return a number of bytes in KB or MB (of 1,024) where it is a whole number of them, or "-" for None."""
    if size is None:
        return "-"
    for unit, length in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= length and size % length == 0:
            return f"{size // length:,} {unit}"
    return f"{size:,} B"
