# SPDX-License-Identifier: Apache-2.0
"""Rules for the answers to the questions, and the Jinja extension that checks each answer after its question.

Cookiecutter renders a variable whose name begins with two underscores when it reaches the variable: in
cookiecutter.json, one follows each question and calls check_answer(). A hook would run only after the last
question, and Cookiecutter would print a traceback.

A module of its own, because `cruft update` renders the old and the new template in one interpreter: the
modules of the old template stay imported.
"""

from __future__ import annotations

import keyword
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Callable, Dict, List, Tuple

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

LONGEST_SLUG = 40  # paths of generated files must stay within the 260 characters of Windows
LONGEST_NAME = 80
SLUG_START = "abcdefghijklmnopqrstuvwxyz"
SLUG_LETTERS = SLUG_START + "0123456789_"
RESERVED = (
    {word.lower() for word in keyword.kwlist}
    | {"con", "prn", "aux", "nul", "runtime"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
# `cruft update` renders an answer again, so an answer must not open a tag. The openers are concatenated
# because this file is rendered too.
TAG_OPENERS = ["{" + mark for mark in "%#{"]
UNQUOTABLE = ['"', "%", "{", "}"]


def is_absolute(path: str) -> bool:
    """Return whether a path is absolute on POSIX or on Windows."""
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


# (question, whether its answer breaks the rule, problem and next step)
RULES: Tuple[Tuple[str, Callable[[str], bool], str], ...] = (
    ("platform_name", lambda name: not name.strip(), "is empty. Give the platform a name"),
    (
        "platform_name",
        lambda name: len(name) > LONGEST_NAME,
        f"is too long. Use at most {LONGEST_NAME} characters",
    ),
    (
        "platform_name",
        lambda name: not name.isprintable(),
        "contains a control character, a line break or a character that cannot be shown. Use printable text "
        "on one line",
    ),
    (
        "platform_name",
        lambda name: name != name.strip(),
        "starts or ends with a space. Remove the space",
    ),
    (
        "platform_name",
        lambda name: any(opener in name for opener in TAG_OPENERS),
        "opens a Jinja tag (a brace before a brace, % or #), which an update would render. "
        "Put a space between the two characters",
    ),
    (
        "platform_slug",
        lambda slug: slug.lower() in RESERVED,
        "is reserved by Python, by Windows or by this template. Choose another word, or append one",
    ),
    (
        "platform_slug",
        lambda slug: not slug or slug[0] not in SLUG_START or any(c not in SLUG_LETTERS for c in slug),
        "is not a plain name. Use lower case letters a to z, digits and underscores, and start with a letter",
    ),
    (
        "platform_slug",
        lambda slug: len(slug) > LONGEST_SLUG,
        f"is too long. Use at most {LONGEST_SLUG} characters",
    ),
    (
        "server_python",
        lambda python: bool(python) and not is_absolute(python),
        "is not an absolute path, and projects in other directories start it too. Enter a path such as "
        "/opt/tools/venv/bin/python, or an empty answer for TVM's Python",
    ),
    (
        "server_python",
        lambda python: not python.isprintable() or any(c in python for c in UNQUOTABLE),
        "contains a character that is invalid in a launch script (a quote, %, a brace, or one that cannot be "
        "shown). Use another path, for example a link",
    ),
)


def broken_rules(answers: Dict[str, str]) -> List[str]:
    """Return a problem and a next step for each rule that these answers break."""
    return [
        f"{question} {answers[question]!a} {sentence}."
        for question, is_broken, sentence in RULES
        if question in answers and is_broken(answers[question])
    ]


class RefusedAnswer(FailedHookException, SystemExit):  # type: ignore[misc]  # the first has no types
    """An answer that breaks a rule; ends the program with exit status 1 and a message, without a traceback.

    Cookiecutter catches the first base and prints the message. cruft catches neither: the interpreter
    prints the message of a SystemExit.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message


def check_answer(question: str, answer: Any) -> str:
    """Return an empty string, or raise RefusedAnswer for an answer that breaks a rule."""
    problems = broken_rules({question: str(answer)})
    if problems:
        raise RefusedAnswer("\n".join(["The platform was not written, because of this answer:", *problems]))
    return ""


class AnswerCheck(Extension):
    """Jinja extension with the global `check_answer(question, answer)`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["check_answer"] = check_answer
