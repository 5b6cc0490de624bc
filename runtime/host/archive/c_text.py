# SPDX-License-Identifier: Apache-2.0
"""The parts of C source text that tell which files belong together: includes, definitions and uses.

This is no parser. Where the text alone does not decide, the functions return more rather than less: a file
too many costs the time of its compilation, a file too few costs the link.
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
# A name, arguments that hold parentheses of one level more, perhaps an attribute, and a body.
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
    """One #include. name: as written. quoted: written in quotes. always: no #if decides on it, an include
    guard apart."""

    name: str
    quoted: bool
    always: bool


def includes_of(text: str) -> List[Include]:
    """Every #include of a file, in its order."""
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
    """Functions with a body, and variables with a value, that a file defines, those for itself alone too."""
    text = _DIRECTIVE.sub("", _without_comments(text))
    return {*_FUNCTION.findall(text), *_VARIABLE.findall(text)} - _STATEMENTS


def shared_names(text: str) -> Set[str]:
    """Functions with a body, and variables with a value, that a file defines for other files."""
    text = _DIRECTIVE.sub("", _without_comments(text))
    found = [*_FUNCTION.finditer(text), *_VARIABLE.finditer(text)]
    return {match[1] for match in found if not _is_static(text, match)} - _STATEMENTS


def _is_static(text: str, match: re.Match[str]) -> bool:
    """Whether "static" stands before a definition, after whatever ends before it."""
    start = max(text.rfind(end, 0, match.start(1)) for end in ";{}")
    return _STATIC.search(text, start + 1, match.start(1)) is not None


def macro_names(text: str) -> Set[str]:
    """The macros that a file defines."""
    directives = _DIRECTIVE.findall(_without_comments(text))
    names = (_WORD.search(rest) for word, rest in directives if word == "define")
    return {name[0] for name in names if name is not None}


def used_names(text: str) -> Set[str]:
    """Every name in a file's code."""
    return set(_WORD.findall(_without_comments(text)))


def used_in_bodies(text: str) -> Set[str]:
    """Every name in the bodies of a header's functions and in its macros: what it uses, and does not only
    declare."""
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
    """Every name in a file's code that an opening parenthesis follows."""
    return set(_CALL.findall(_without_comments(text)))


def _without_comments(text: str) -> str:
    """The text with a space for each comment; strings stay, which may hold what looks like a comment."""
    return _COMMENT_OR_STRING.sub(lambda found: " " if found[0][0] == "/" else found[0], text)
