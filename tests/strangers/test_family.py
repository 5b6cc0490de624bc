# SPDX-License-Identifier: Apache-2.0
"""Addition of a board family to the template by the instructions in docs/how-to/add-a-family.md alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Baker
from tests.support.additions import EXACT, insert_after, run_tests, type_command
from tests.support.pages import changed_files, check_places, how_to, places_to_add, read_tree
from tests.support.repositories import copy_template

PAGE: Final = how_to("add-a-family")
FAMILY: Final = "sanitized"
LABEL: Final = "This machine, and the firmware stops at the first error in memory or arithmetic"
FIRST_LINES: Final = """\
The firmware of this platform is a process on this machine that checks itself: it stops at the first access
outside of its memory, and at the first undefined operation. It needs GCC or Clang with its sanitizers,
and"""
MAKEFILE: Final = """\
{% include "families/common/Makefile" %}
override CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all
"""
CMAKE: Final = """\
# SPDX-License-Identifier: Apache-2.0
add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
add_link_options(-fsanitize=address,undefined)
{% include "families/common/CMakeLists.txt" %}"""


def add_family(template: Path) -> None:
    """Follow the page: add the folder, the choice, the row of the tests and the README's own row."""
    (families,) = template.glob("*cookiecutter.platform_slug*/families")
    folder = families / FAMILY
    shutil.copytree(families / "host", folder)
    document = json.loads((folder / "boards.json").read_text(encoding="utf-8"))
    board = {**document["boards"].pop("host"), "family": FAMILY, "label": "This machine, with sanitizers"}
    document["boards"]["checked"] = board
    (folder / "boards.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    minutes = (folder / "first_minutes.md").read_text(encoding="utf-8")
    old, rest = minutes.split("\nand", 1)
    assert old.startswith("The firmware of this platform is a process")
    (folder / "first_minutes.md").write_text(FIRST_LINES + rest, encoding="utf-8")
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (folder / "CMakeLists.txt").write_text(CMAKE, encoding="utf-8")

    table = template / "cookiecutter.json"
    questions = json.loads(table.read_text(encoding="utf-8"))
    questions["board_family"].append(FAMILY)
    questions["__prompts__"]["board_family"][FAMILY] = LABEL
    table.write_text(json.dumps(questions, indent=2) + "\n", encoding="utf-8")

    insert_after(template / "tests/bakes/test_bakes.py", '    "host": set(),', f'    "{FAMILY}": set(),')
    row = f"| `{FAMILY}` | a process on this machine that checks itself | |"
    insert_after(template / "README.md", "| `host` | a process on this machine | |", row)


@pytest.mark.slow
def test_a_folder_a_choice_and_a_row_add_a_family(bake: Baker, tmp_path: Path) -> None:
    template = tmp_path / "template"
    copy_template(
        template, "pyproject.toml", "README.md", "tests/conftest.py", "tests/support", "tests/bakes"
    )
    before = read_tree(template)
    add_family(template)
    check_places(changed_files(before, read_tree(template)), places_to_add("a family", PAGE))
    of_family = f"{FAMILY} and (exactly_its_files or jinja or reads_well or same_place or every_field)"
    names = f"{of_family} or every_family or each_has_a_sentence"
    run_tests(template, "tests/bakes/test_bakes.py", "tests/bakes/test_readme.py", "-k", names)

    for build_system in ("make", "cmake"):
        platform = bake(template=template, board_family=FAMILY, build_system=build_system).path
        printed = type_command(platform, "check", "-v")
        assert EXACT in printed and "reached: checked, a process on this machine" in printed
        type_command(platform, "build", "models/digits_aot.tar")
        (firmware,) = platform.glob("projects/*/build/firmware")
        symbols = subprocess.run(["nm", str(firmware)], capture_output=True, text=True, check=True).stdout
        assert "__asan_" in symbols and "__ubsan_" in symbols
