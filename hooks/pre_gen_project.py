# SPDX-License-Identifier: Apache-2.0
"""Checks the answers before anything is written: a table of rules, one sentence for each.

Answers reach this file only as JSON inside one string literal, so none of them can become code.
"""

import json
import keyword
import os
import sys

LONGEST_SLUG = 40  # what is generated below the platform must stay inside the 260 characters of Windows
LONGEST_NAME = 80
SLUG_START = "abcdefghijklmnopqrstuvwxyz"
SLUG_LETTERS = SLUG_START + "0123456789_"
RESERVED = (
    {word.lower() for word in keyword.kwlist}
    | {"con", "prn", "aux", "nul", "runtime"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
# `cruft update` renders an answer again, so an answer must not open a tag. The openers are put together here
# because this file is rendered too.
TAG_OPENERS = ["{" + mark for mark in "%#{"]

# (answer, whether it is broken, what to change)
RULES = (
    ("platform_name", lambda name: not name.strip(), "is empty: give the platform a name"),
    (
        "platform_name",
        lambda name: len(name) > LONGEST_NAME,
        f"is too long: use at most {LONGEST_NAME} characters",
    ),
    (
        "platform_name",
        lambda name: not name.isprintable(),
        "holds a control character, a line break or a character that cannot be shown: use printable text "
        "on one line",
    ),
    (
        "platform_name",
        lambda name: name != name.strip(),
        "starts or ends with a space: remove it",
    ),
    (
        "platform_name",
        lambda name: any(opener in name for opener in TAG_OPENERS),
        "opens a Jinja tag (a brace before a brace, % or #), which an update would render: "
        "put a space between",
    ),
    (
        "platform_slug",
        lambda slug: slug.lower() in RESERVED,
        "is reserved by Python, by Windows or by this template: choose another word, or add one to it",
    ),
    (
        "platform_slug",
        lambda slug: not slug or slug[0] not in SLUG_START or any(c not in SLUG_LETTERS for c in slug),
        "is not a plain name: use lower case letters a to z, digits and underscores, and start with a letter",
    ),
    (
        "platform_slug",
        lambda slug: len(slug) > LONGEST_SLUG,
        f"is too long: use at most {LONGEST_SLUG} characters",
    ),
)


def broken_rules(answers):
    """One sentence for each rule that these answers break."""
    return [
        f"{question} {answers[question]!a} {sentence}."
        for question, is_broken, sentence in RULES
        if is_broken(answers[question])
    ]


def foreign_runtime(slug):
    """A sentence when this bake would replace a runtime/ that is not a platform's. Runs in the platform."""
    if not os.access("runtime", os.F_OK) or os.access("runtime/host/boards.py", os.F_OK):
        return []
    return [
        f"platform_slug {slug!a} names a directory with a runtime/ that is not a platform's: "
        "choose another, or move that runtime/ away."
    ]


def main():
    """The exit status: 0, or 1 when an answer has to change."""
    answers = json.loads(r"""{{ cookiecutter | tojson }}""")
    problems = broken_rules(answers) + foreign_runtime(answers["platform_slug"])
    if problems:
        # Cookiecutter goes on with a traceback of its own; the blank lines set these sentences apart from it.
        print("\nThe platform was not written. What to change:", *problems, "", sep="\n", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
