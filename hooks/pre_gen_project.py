# SPDX-License-Identifier: Apache-2.0
"""Checks the answers before anything is written: a table of rules, one sentence for each.

Answers reach this file only as JSON inside one string literal, so none of them can become code.
"""

import json
import keyword
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Callable, Dict, List, Tuple

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

BUILD_FILES = {"make": "Makefile", "cmake": "CMakeLists.txt"}
# Stands in the first lines of each of these; post_gen_project.py has it too.
OURS = "# Builds the firmware of a project of the platform "
# The C of a platform's owner, which some families begin; post_gen_project.py has it too.
OWN_PORT = "port"
# In every port/board.c.
PORT_HEADER = "microtvm/platform.h"
HEAD_BYTES = 65536

UNQUOTABLE = ['"', "%", "{", "}"]


def is_absolute(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


# (answer, whether it is broken, what to change)
RULES: Tuple[Tuple[str, Callable[[str], bool], str], ...] = (
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
    (
        "server_python",
        lambda python: bool(python) and not is_absolute(python),
        "is not an absolute path: projects lie elsewhere and start it too; name it from the root, such as "
        "/opt/tools/venv/bin/python, or leave it empty",
    ),
    (
        "server_python",
        lambda python: not python.isprintable() or any(c in python for c in UNQUOTABLE),
        "holds a letter that cannot stand in a launch script (a quote, %, a brace, or one that cannot be "
        "shown): use another path, for example a link",
    ),
)


def broken_rules(answers: Dict[str, str]) -> List[str]:
    """One sentence for each rule that these answers break."""
    return [
        f"{question} {answers[question]!a} {sentence}."
        for question, is_broken, sentence in RULES
        if is_broken(answers[question])
    ]


def is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link to nowhere is there too


def is_not_a_directory(path: Path) -> bool:
    return is_there(path) and not path.is_dir()


def is_link_or_file(path: Path) -> bool:
    return path.is_symlink() or is_not_a_directory(path)


def is_foreign_runtime(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not (path / "host" / "handler.py").exists()


def is_foreign_port(path: Path) -> bool:
    """Whether it is a directory, not empty, whose C files are no functions of a board."""
    if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
        return False
    sources = (head_of(file) for file in path.glob("*.c") if file.is_file())
    return not any(PORT_HEADER in source for source in sources)


def is_foreign_build_file(path: Path) -> bool:
    if not path.is_file():
        return is_there(path)
    return not any(line.startswith(OURS) for line in head_of(path).splitlines()[:5])


def head_of(path: Path) -> str:
    """The beginning of a file: it may be of any size."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8", "replace")


def is_pipe_or_device(path: Path) -> bool:
    """Whether writing to it would wait, or go to a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


# (what the bake writes in the platform, whether the one that is there must stay, what it is)
IN_THE_WAY = (
    ("runtime", is_link_or_file, "is a link or a file"),
    ("runtime", is_foreign_runtime, "is not a platform's"),
    ("families", is_link_or_file, "is a link or a file"),
    ("models", is_not_a_directory, "is not a directory"),
)
# The same, where the family begins the owner's own C.
IN_THE_WAY_OF_OWN_PORT = (
    (OWN_PORT, is_link_or_file, "is a link or a file"),
    (OWN_PORT, is_foreign_port, "is not a platform's"),
)


def begins_own_port(template: Path, family: str) -> bool:
    """Whether that family of the template has C that its owner goes on with."""
    (rendered,) = template.glob("*cookiecutter.platform_slug*")
    return (rendered / "families" / family / OWN_PORT).is_dir()


def in_the_way(slug: str, has_own_port: bool, build_system: str) -> List[str]:
    """One sentence for each thing of the owner's that the hooks would replace or fail on.

    Runs in the platform. The files that Cookiecutter itself writes it replaces as its user told it to.
    """
    build_file = (BUILD_FILES[build_system], is_foreign_build_file, "is not a platform's")
    of_the_family = IN_THE_WAY_OF_OWN_PORT if has_own_port else ()
    odd = [(path.name, is_pipe_or_device, "is a pipe or a device") for path in sorted(Path.cwd().iterdir())]
    found: Dict[str, str] = {}
    for name, must_stay, what in (*IN_THE_WAY, *of_the_family, build_file, *odd):
        if must_stay(Path(name)):
            found.setdefault(name, what)
    return [
        f"platform_slug {slug!a} names a directory whose {name} {what}: "
        f"choose another, or move that {name} away."
        for name, what in found.items()
    ]


def explained(hook: Callable[[], int]) -> int:
    """The exit status of a hook. What the system or an odd file refuses it becomes a sentence."""
    try:
        return hook()
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print(
            f"\nThe platform was not written: {ascii(str(place)) + ': ' if place else ''}{reason!a}. "
            "Check that the directory may be read and written.\n",
            file=sys.stderr,
        )
        return 1


def main() -> int:
    """The exit status: 0, or 1 when an answer has to change."""
    bake = json.loads(r"""{{ {"answers": cookiecutter, "template": template_directory()} | tojson }}""")
    answers = bake["answers"]
    has_own_port = begins_own_port(Path(bake["template"]), answers["board_family"])
    problems = broken_rules(answers) + in_the_way(
        answers["platform_slug"], has_own_port, answers["build_system"]
    )
    if problems:
        # Cookiecutter goes on with a traceback of its own; the blank lines set these sentences apart from it.
        print("\nThe platform was not written. What to change:", *problems, "", sep="\n", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(explained(main))
