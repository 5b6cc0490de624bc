# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/ work as written: every sh block of a page, in a platform that is baked for the page.

The head of a page names the place where its commands start:

    starts_in: a board family, for a platform of it; template, for a directory with the template in it.
    entries_of: the file that the JSON entries of the page are added to.

A console block shows commands that need more: the network, a board, another program.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from tests.conftest import TEMPLATE, Baker
from tests.support.pages import blocks

DOCS = TEMPLATE / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
FEWEST_PAGES_WITH_COMMANDS = 5
OTHER_LANGUAGES = {"console", "json", "python", "text", "c"}
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BOARDS = '  "boards": {\n'


def head_of(page: str) -> Dict[str, Any]:
    """Return the front matter of a page."""
    found = re.match(r"---\n(.*?)\n---\n", page, re.DOTALL)
    return dict(yaml.safe_load(found[1])) if found else {}


WITH_COMMANDS = sorted(name for name, page in PAGES.items() if blocks(page, "sh"))


def test_pages_have_commands_and_a_place_to_start() -> None:
    assert len(WITH_COMMANDS) >= FEWEST_PAGES_WITH_COMMANDS
    assert [name for name in WITH_COMMANDS if "starts_in" not in head_of(PAGES[name])] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_block_has_a_language(name: str) -> None:
    used = {language for language, _ in FENCE.findall(PAGES[name])}
    assert used <= {"sh", *OTHER_LANGUAGES}


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_commands_work_as_written(bake: Baker, tmp_path: Path, name: str) -> None:
    page = PAGES[name]
    start = head_of(page)["starts_in"]
    if start == "template":
        place = tmp_path / "empty"
        place.mkdir()
        (place / "microtvm-template").symlink_to(TEMPLATE)
    else:
        place = bake(board_family=start).path
    if "entries_of" in head_of(page):
        add_entries(place / head_of(page)["entries_of"], page)
    done = subprocess.run(
        ["sh", "-e", "-x", "-c", "\n".join(blocks(page, "sh"))],
        cwd=place,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COOKIECUTTER_CONFIG": str(bake.config_file),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    if re.search(r"mtvm\.py check$", "".join(blocks(page, "sh")), re.MULTILINE):
        assert "answered exactly as on the host" in done.stdout


def add_entries(boards_json: Path, page: str) -> None:
    """Add the entries that a page shows to a boards.json."""
    entries = [block for block in blocks(page, "json") if block.startswith('    "')]
    before = boards_json.read_text(encoding="utf-8")
    assert entries and before.count(BOARDS) == 1
    boards_json.write_text(before.replace(BOARDS, BOARDS + "".join(entries)), encoding="utf-8")
