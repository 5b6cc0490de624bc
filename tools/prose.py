# SPDX-License-Identifier: Apache-2.0
"""Check the sentences of the repository against a list of words: python -m tools.prose.

The tool reads docstrings, comments, Markdown outside of code and, outside of tests/, strings of Python and C.
It prints each finding as FILE:LINE: "word": advice. Exit status: 0 without a finding, 1 with some.

ruff checks the form of docstrings. This tool exists because codespell and its kin take single words, and read
code as well as prose.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Final, Iterator, List, NamedTuple, Tuple

ROOT: Final = Path(__file__).resolve().parents[1]

_TABLE: Final = (
    # A regular expression of whole words, in any case -> the words to use.
    (
        r"tells?|told|says|hears?|heard|knows|vouch(?:es)?",
        "report, state, print, receive, support, name, verify",
    ),
    (r"asks", "requests; a person asks"),
    (r"nobody|somebody|anybody|whoever", "name the program or the person: no client, the owner"),
    (r"mend(?:s|ed|ing)?", "fix"),
    (r"anew|made again|makes? it again", "again, recreate"),
    (r"end(?:s|ed)? well|ended well", "succeed, exit with status 0"),
    (r"for ever", "without a limit"),
    (r"at once", "immediately, at the same time"),
    (r"by itself|of its own accord", "automatically, alone"),
    (r"so (?:many|long)", "name the number or the unit"),
    (r"apart", "separately"),
    (r"beside", "next to, in addition to, in the same directory as"),
    (r"(?<!there )(?:is|are|was) none of", "does not belong to"),
    (
        r"(?<!there )(?<!where )(?:is|are|was) no(?= )(?! longer)(?! more)(?! less)(?! larger)(?! newer)",
        "is not a",
    ),
    (r"passwords?", "authentication"),
    (r"time is up", "the timeout expires"),
    (r"one's own", "the user's own"),
    (r"as above|see above|as below", "the content itself"),
    (r"makes? no sense", "invalid, unexpected"),
)
WORDS: Final = tuple((re.compile(rf"\b(?:{words})\b", re.IGNORECASE), advice) for words, advice in _TABLE)
# A sentence that begins so has no subject. A question may.
HEADLESS: Final = re.compile(
    r"(?:^|(?<=[.?!] ))(?:What|Who|Whoever|Whether|Whatever)\b(?![^.?]*\?)|^The same\b"
)

PYTHON: Final = (".py",)
C: Final = (".c", ".h", ".cc", ".ld")
SCRIPTS: Final = (".sh", "Makefile", "CMakeLists.txt", "requirements.in", ".toml", ".yml", ".yaml")
MARKDOWN: Final = (".md",)
DATA: Final = ("tests/data/",)
C_PIECES: Final = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
CODE_IN_MARKDOWN: Final = re.compile(
    r"^(`{3,}).*?^\1\s*$|`[^`]+`|\{[%#{].*?[%#}]\}|<!--.*?-->", re.DOTALL | re.MULTILINE
)


class Piece(NamedTuple):
    """A sentence or more: the first line of it in its file, and the text."""

    line: int
    text: str


def pieces_of(path: Path, with_strings: bool = True) -> Iterator[Piece]:
    """Yield the prose of a file.

    Args:
        path: File in UTF-8. Its name decides the language.
        with_strings: Read all strings of a program, in addition to its comments and docstrings.
    """
    if not path.name.endswith(PYTHON + C + SCRIPTS + MARKDOWN):
        return
    text = path.read_text(encoding="utf-8")
    if path.name.endswith(PYTHON):
        yield from _of_python(text, with_strings)
    elif path.name.endswith(C):
        yield from _of_c(text, with_strings)
    elif path.name.endswith(SCRIPTS):
        yield from _joined(
            [
                (n, line.lstrip()[1:])
                for n, line in enumerate(text.splitlines(), 1)
                if line.lstrip()[:1] == "#"
            ]
        )
    else:
        yield Piece(1, CODE_IN_MARKDOWN.sub(_blank, text))


def _of_python(text: str, with_strings: bool) -> Iterator[Piece]:
    comments: List[Tuple[int, str]] = []
    is_statement = True  # a string that begins a line of code is a docstring
    middle = getattr(tokenize, "FSTRING_MIDDLE", -1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string[1:]))
        elif token.type == tokenize.STRING and (is_statement or with_strings):
            yield Piece(token.start[0], token.string.lstrip("rRbBfFuU").strip("\"'"))
        elif token.type == middle and with_strings:
            yield Piece(token.start[0], token.string)
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            is_statement = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    yield from _joined(comments)


def _of_c(text: str, with_strings: bool) -> Iterator[Piece]:
    for found in C_PIECES.finditer(text):
        if with_strings or not found[0].startswith('"'):
            yield Piece(
                text.count("\n", 0, found.start()) + 1,
                re.sub(r"^\s*(?:/?\*+/?|//)", "", found[0], flags=re.MULTILINE),
            )


def _joined(comments: List[Tuple[int, str]]) -> Iterator[Piece]:
    """Join comments of lines that follow each other: a sentence may break between them."""
    start = 0
    lines: List[str] = []
    for number, text in comments:
        if lines and number != start + len(lines):
            yield Piece(start, "\n".join(lines))
            lines = []
        if not lines:
            start = number
        lines.append(text.strip())
    if lines:
        yield Piece(start, "\n".join(lines))


def _blank(found: re.Match[str]) -> str:
    """Replace code by as many line breaks, and a word of code by one that is not in the table."""
    return "\n" * found[0].count("\n") if "\n" in found[0] else "CODE"


def findings(piece: Piece) -> Iterator[Tuple[int, str, str]]:
    """Yield line, word and advice for each word of a piece that is in the list."""
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", piece.text)
    flat = text.replace("\n", " ")  # a phrase may wrap
    for pattern, advice in (*WORDS, (HEADLESS, "begin with the subject")):
        for found in pattern.finditer(flat):
            yield piece.line + text.count("\n", 0, found.start()), found[0], advice


def files() -> Iterator[Path]:
    """Yield the files that hold prose: those that git tracks, without the data of tests."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0"):
        if name and not name.startswith(DATA) and name != "tools/prose.py":
            yield ROOT / name


def main() -> int:
    """Print what was found, and return the exit status."""
    names = sys.argv[1:]
    count = 0
    for path in [Path(name).resolve() for name in names] or files():
        name = path.relative_to(ROOT).as_posix()
        for piece in pieces_of(path, with_strings=not name.startswith("tests/")):
            for line, word, advice in findings(piece):
                print(f'{name}:{line}: "{word}": {advice}')
                count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
