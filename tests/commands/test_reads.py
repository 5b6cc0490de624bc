# SPDX-License-Identifier: Apache-2.0
"""Data files are read once per command, so that the checked content is the used content."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import List

import pytest

from tests.conftest import Baker

AUDITED = """
import json, runpy, sys
opened = []
def note(event, arguments):
    is_data = event == "open" and str(arguments[0]).endswith(("boards.json", ".tar"))
    if is_data and arguments[1] in (None, "r", "rb"):
        opened.append(str(arguments[0]))
sys.addaudithook(note)
sys.argv = ["runtime.host", *sys.argv[1:]]
try:
    runpy.run_module("runtime.host", run_name="__main__", alter_sys=True)
finally:
    print(json.dumps(opened), file=sys.stderr)
"""


def opened(directory: Path, *arguments: str) -> List[str]:
    """Return the names of the data files that a command opens for reading, in order."""
    ran = subprocess.run(
        [sys.executable, "-c", AUDITED, *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return [Path(path).name for path in json.loads(ran.stderr.splitlines()[-1])]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["host", "cortex_m"])
def test_a_run_opens_the_boards_and_the_archive_once(bake: Baker, family: str) -> None:
    platform = bake(board_family=family).path
    once = Counter(["boards.json", "digits_aot.tar"])
    for _ in range(2):  # first generated, then found
        assert Counter(opened(platform, "run", "models/digits_aot.tar")) == once
    (project,) = (platform / "projects").iterdir()
    assert Counter(opened(project, "run")) == Counter(["boards.json", "model.tar"])


@pytest.mark.slow
def test_a_project_whose_boards_were_edited_has_its_own(bake: Baker) -> None:
    platform = bake().path
    opened(platform, "build", "models/digits_aot.tar")
    (project,) = (platform / "projects").iterdir()
    boards = project / "boards.json"
    boards.write_text(boards.read_text() + "\n")
    assert opened(platform, "build", "models/digits_aot.tar").count("boards.json") == 2
