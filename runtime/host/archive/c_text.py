# SPDX-License-Identifier: Apache-2.0
"""Includes, definitions and uses in C source text, from which the files of a build are selected.

This is not a parser. If the text alone does not decide, the functions return more names, not fewer: an
unneeded file costs compile time, but a missing file breaks the link.
"""

from __future__ import annotations

import re
from typing import Final, List, NamedTuple, Set

_COMMENT_OR_STRING: Final = re.compile(
    r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)
_INCLUDE: Final = re.compile(r'[<"]([^<>"\n]+)[>"]')
_DIRECTIVE: Final = re.compile(r"^[ \t]*#[ \t]*(\w+)((?:\\\n|[^\n])*)", re.MULTILINE)
_GUARD: Final = re.compile(r"\s*#[ \t]*ifndef[ \t]+(\w+)\s*#[ \t]*define[ \t]+\1\b")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_EXTERN_C: Final = re.compile(r'\bextern\s*"C"\s*\{')
# A name, arguments with at most one nested level of parentheses, an optional attribute, and a body.
_FUNCTION: Final = re.compile(
    r"\b([A-Za-z_]\w*)\s*\((?:[^(){};]|\([^(){};]*\))*\)\s*(?:__attribute__\s*\(\([^{};]*?\)\)\s*)?\{"
)
# At the left margin: a type, a name, and a value.
_VARIABLE: Final = re.compile(r"^[A-Za-z_][\w \t*()]*?\b([A-Za-z_]\w*)\s*(?:\[[^\]\n]*\]\s*)*=", re.MULTILINE)
_STATIC: Final = re.compile(r"\bstatic\b|\b__STATIC_\w+")
_STATEMENTS: Final = frozenset(("if", "while", "for", "switch", "return", "sizeof"))
_CALL: Final = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_BODY: Final = re.compile(r"[{}]")


class Include(NamedTuple):
    """One #include directive.

    Attributes:
        name: File name as written.
        quoted: The name is written in double quotes.
        always: No #if encloses the directive, except for an include guard.
    """

    name: str
    quoted: bool
    always: bool


def includes_of(text: str) -> List[Include]:
    """Return every #include of a file, in order."""
    text = _without_comments(text)
    depth = -1 if _GUARD.match(text) else 0
    found = []
    for directive in _DIRECTIVE.finditer(text):
        word, rest = directive.groups()
        if word in ("if", "ifdef", "ifndef"):
            depth += 1
        elif word == "endif":
            depth -= 1
        elif word == "include":
            name = _INCLUDE.search(rest)
            if name is not None:
                found.append(Include(name[1].strip(), name[0][0] == '"', depth <= 0))
    return found


def defined_names(text: str) -> Set[str]:
    """Return the functions with a body and the variables with a value of a file, static ones included."""
    text = _DIRECTIVE.sub("", _without_comments(text))
    return {*_FUNCTION.findall(text), *_VARIABLE.findall(text)} - _STATEMENTS


def shared_names(text: str) -> Set[str]:
    """Return the functions with a body and the variables with a value that are not static."""
    text = _DIRECTIVE.sub("", _without_comments(text))
    found = [*_FUNCTION.finditer(text), *_VARIABLE.finditer(text)]
    return {match[1] for match in found if not _is_static(text, match)} - _STATEMENTS


def _is_static(text: str, match: re.Match[str]) -> bool:
    """Return whether "static" precedes a definition, after the end of the previous one."""
    start = max(text.rfind(end, 0, match.start(1)) for end in ";{}")
    return _STATIC.search(text, start + 1, match.start(1)) is not None


def macro_names(text: str) -> Set[str]:
    """Return the macros that a file defines."""
    directives = _DIRECTIVE.findall(_without_comments(text))
    names = (_WORD.search(rest) for word, rest in directives if word == "define")
    return {name[0] for name in names if name is not None}


def used_names(text: str) -> Set[str]:
    """Return every name in the code of a file."""
    return set(_WORD.findall(_without_comments(text)))


def used_in_bodies(text: str) -> Set[str]:
    """Return every name in the function bodies and macros of a header.

    These are the names that the header uses. Names that it only declares are left out.
    """
    text = _EXTERN_C.sub("", _without_comments(text))
    names = {
        name for word, rest in _DIRECTIVE.findall(text) if word == "define" for name in _WORD.findall(rest)
    }
    text = _DIRECTIVE.sub("", text)
    depth = start = 0
    for brace in _BODY.finditer(text):
        if brace[0] == "{":
            if depth == 0:
                start = brace.end()
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                names.update(_WORD.findall(text, start, brace.start()))
    if depth > 0:
        names.update(_WORD.findall(text, start))
    return names


def called_names(text: str) -> Set[str]:
    """Return every name in the code of a file that an opening parenthesis follows."""
    return set(_CALL.findall(_without_comments(text)))


def _without_comments(text: str) -> str:
    """Return the text with each comment replaced by a space; string literals stay as they are."""
    return _COMMENT_OR_STRING.sub(lambda found: " " if found[0][0] == "/" else found[0], text)
