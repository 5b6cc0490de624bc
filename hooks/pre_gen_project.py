# SPDX-License-Identifier: Apache-2.0
"""Pre-generation hook: refuses a bake before any file is written.

Cookiecutter checks each answer after its question (answer_rules.py of the template), unless it repeats an
earlier bake without questions. This hook checks the answers again, and what exists in the directory of the
platform.

Answers reach this file only as JSON inside one string literal, so that none of them can become code.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Callable, Dict, List

BUILD_FILES = {"make": "Makefile", "cmake": "CMakeLists.txt"}
# Marks a build file of this template; it is in the first five lines. post_gen_project.py has a copy.
OURS = "# Builds the firmware of a project of the platform "
# Directory for C of the owner, which some families create. post_gen_project.py has a copy.
OWN_PORT = "port"
# Every port/board.c includes this header.
PORT_HEADER = "microtvm/platform.h"
HEAD_BYTES = 65536


def is_there(path: Path) -> bool:
    """Return whether the path exists, including as a broken link."""
    return path.exists() or path.is_symlink()


def is_not_a_directory(path: Path) -> bool:
    """Return whether the path exists and is not a directory."""
    return is_there(path) and not path.is_dir()


def is_link_or_file(path: Path) -> bool:
    """Return whether the path is a link, or exists and is not a directory."""
    return path.is_symlink() or is_not_a_directory(path)


def is_foreign_runtime(path: Path) -> bool:
    """Return whether the path is a directory without the host tools of a platform."""
    return path.is_dir() and not path.is_symlink() and not (path / "host" / "handler.py").exists()


def is_foreign_port(path: Path) -> bool:
    """Return whether the path is a non-empty directory without C of a platform."""
    if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
        return False
    sources = (head_of(file) for file in path.glob("*.c") if file.is_file())
    return not any(PORT_HEADER in source for source in sources)


def is_foreign_build_file(path: Path) -> bool:
    """Return whether the path exists and is not a build file of this template."""
    if not path.is_file():
        return is_there(path)
    return not any(line.startswith(OURS) for line in head_of(path).splitlines()[:5])


def head_of(path: Path) -> str:
    """Return the first HEAD_BYTES of a file, which may be of any size."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8", "replace")


def is_pipe_or_device(path: Path) -> bool:
    """Return whether a write to the path would block or go to a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


# (name that the bake writes, whether the existing one must be kept, its problem)
IN_THE_WAY = (
    ("runtime", is_link_or_file, "is a link or a file"),
    ("runtime", is_foreign_runtime, "does not belong to a platform"),
    ("families", is_link_or_file, "is a link or a file"),
    ("models", is_not_a_directory, "is not a directory"),
    ("docs", is_not_a_directory, "is not a directory"),
)
# Further rows for a family that creates the owner's C directory.
IN_THE_WAY_OF_OWN_PORT = (
    (OWN_PORT, is_link_or_file, "is a link or a file"),
    (OWN_PORT, is_foreign_port, "does not belong to a platform"),
)


def begins_own_port(template: Path, family: str) -> bool:
    """Return whether a family of the template contains a C directory for the owner."""
    (rendered,) = template.glob("*cookiecutter.platform_slug*")
    return (rendered / "families" / family / OWN_PORT).is_dir()


def in_the_way(slug: str, has_own_port: bool, build_system: str) -> List[str]:
    """Return a problem and a next step for each existing file that the hooks would replace or fail on.

    Runs in the platform. Files that Cookiecutter writes are not checked, because the user chose to overwrite
    them.
    """
    build_file = (BUILD_FILES[build_system], is_foreign_build_file, "does not belong to a platform")
    of_the_family = IN_THE_WAY_OF_OWN_PORT if has_own_port else ()
    odd = [(path.name, is_pipe_or_device, "is a pipe or a device") for path in sorted(Path.cwd().iterdir())]
    found: Dict[str, str] = {}
    for name, must_stay, what in (*IN_THE_WAY, *of_the_family, build_file, *odd):
        if must_stay(Path(name)):
            found.setdefault(name, what)
    return [
        f"platform_slug {slug!a} names a directory whose {name} {what}. "
        f"Choose another directory, or move {name} away."
        for name, what in found.items()
    ]


def explained(hook: Callable[[], int]) -> int:
    """Run a hook and return its exit status. Print an error message for errors of the system."""
    try:
        return hook()
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print(
            f"\nThe platform was not written: {ascii(str(place)) + ': ' if place else ''}{reason!a}. "
            "Make sure that you may read and write the directory.\n",
            file=sys.stderr,
        )
        return 1


def main() -> int:
    """Run the hook; return 0, or 1 if an answer has to change."""
    bake = json.loads(r"""{{ {"answers": cookiecutter, "template": template_directory()} | tojson }}""")
    answers = bake["answers"]
    has_own_port = begins_own_port(Path(bake["template"]), answers["board_family"])
    sys.path.insert(0, bake["template"])
    problems: List[str] = importlib.import_module("answer_rules").broken_rules(answers)
    problems += in_the_way(answers["platform_slug"], has_own_port, answers["build_system"])
    if problems:
        # Cookiecutter prints a traceback next; the blank line separates it from these messages.
        print(
            "\nThe platform was not written, because of these answers:",
            *problems,
            "",
            sep="\n",
            file=sys.stderr,
        )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(explained(main))
