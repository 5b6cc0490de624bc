# SPDX-License-Identifier: Apache-2.0
"""Updates of platforms baked from an older template keep the owner's changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, Set

import pytest

from tests.conftest import TEMPLATE
from tests.support.api_server import ApiServer
from tests.support.repositories import commit, copy_template, git, run

OLDER = TEMPLATE / "tests" / "data" / "older" / "template.tar.xz"
SLUG = "veteran"
CRUFT = (sys.executable, "-m", "cruft")
OWNERS_C = "int owners_function(void);\nint owners_function(void) { return 7; }\n"
END_OF_BOARDS = "\n  }\n}\n"
OVERRIDE = """
    def build(self, options):
        print("The owner's own step.", file=sys.stderr)
        super().build(options)
"""


class Veteran:
    """Platform that `cruft create` made from the older template, and a repository with that template."""

    def __init__(self, place: Path, config: Path, family: str) -> None:
        self.template = place / "template"
        self.template.mkdir()
        # CPython before 3.10.12 and 3.11.4 lacks the filter. Debian 12 has such a version.
        filtered: Dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with tarfile.open(OLDER) as packed:
            packed.extractall(self.template, **filtered)
        git("init", "--quiet", "--initial-branch", "main", cwd=self.template)
        commit(self.template, "The template of before")
        answers = json.dumps({"platform_name": SLUG, "board_family": family})
        run(
            *(*CRUFT, "create", str(self.template), "--no-input", "--extra-context", answers),
            *("--output-dir", str(place), "--config-file", str(config)),
            cwd=place,
        )
        self.path = place / SLUG
        git("init", "--quiet", cwd=self.path)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a string in a file."""
        path = self.path / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    @property
    def boards(self) -> Dict[str, Any]:
        """Entries of boards.json."""
        entries: Dict[str, Any] = json.loads((self.path / "boards.json").read_text())["boards"]
        return entries

    def update(self) -> Set[str]:
        """Update to the current template. Return the files that could not be merged."""
        commit(self.path, "The platform and its owner's work")
        for part in self.template.iterdir():
            if part.name != ".git":
                shutil.rmtree(part) if part.is_dir() else part.unlink()
        copy_template(self.template)
        commit(self.template, "The template of now")
        run(*CRUFT, "update", "--skip-apply-ask", cwd=self.path)
        return {path.relative_to(self.path).as_posix() for path in self.path.rglob("*.rej")}

    def command(self, *arguments: str) -> str:
        """Return the output of a command of the platform."""
        ran = subprocess.run(
            [sys.executable, "-m", "runtime.host", *arguments],
            cwd=self.path,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


def files_below(directory: Path) -> Set[str]:
    """Return the relative names of all files except compiled Python files."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(directory).as_posix() for path in files}


@pytest.mark.slow
def test_an_update_keeps_the_owners_work(tmp_path: Path, config: Path) -> None:
    """Check a board with the old name of a field and a server script with an old import of Platform."""
    veteran = Veteran(tmp_path, config, "cortex_m")
    entry = {**veteran.boards["mps2_an385"], "label": "The owner's board", "default": False}
    assert entry["port"] == "cortex_m"
    text = json.dumps(entry, indent=2).replace("\n", "\n    ")
    veteran.edit("boards.json", END_OF_BOARDS, f',\n    "owners_board": {text}{END_OF_BOARDS}')
    veteran.edit("microtvm_api_server.py", "\n\nif __name__", f"{OVERRIDE}\n\nif __name__")
    (veteran.path / "extra").mkdir()
    (veteran.path / "extra" / "own.c").write_text(OWNERS_C)

    assert veteran.update() == set()
    assert files_below(veteran.path / "runtime") == files_below(veteran.template / "runtime")
    assert veteran.boards["owners_board"] == entry
    assert "device_port" in veteran.boards["mps2_an385"]
    assert (veteran.path / "extra" / "own.c").exists()
    server = (veteran.path / "microtvm_api_server.py").read_text()
    assert OVERRIDE in server and "from runtime.host.handler import Platform, PlatformHandler" in server
    printed = veteran.command("check", "--board", "owners_board")
    assert "answered exactly as on the host" in printed and "Everything works." in printed


@pytest.mark.slow
def test_an_update_keeps_a_board_of_the_owner_s_own_kind(tmp_path: Path, config: Path) -> None:
    """Check that the owner's board entry is kept and that cruft writes its change to a .rej file."""
    veteran = Veteran(tmp_path, config, "custom")
    veteran.edit("boards.json", '"label": "', '"label": "Mine. ')
    veteran.edit("port/board.c", "#include", "/* Mine. */\n#include")
    entry = veteran.boards
    assert veteran.update() <= {"boards.json.rej"}
    assert veteran.boards == entry
    assert "/* Mine. */" in (veteran.path / "port" / "board.c").read_text()
    assert "workspace at most" in veteran.command("run", "models/digits_aot.tar")


@pytest.mark.slow
def test_runtime_may_be_replaced_alone(tmp_path: Path, config: Path) -> None:
    """Replace only runtime/, as a firmware repository with a vendored platform does."""
    veteran = Veteran(tmp_path, config, "host")
    server = (veteran.path / "microtvm_api_server.py").read_text()
    assert "from runtime.host.platform import Platform" in server
    shutil.rmtree(veteran.path / "runtime")
    shutil.copytree(
        TEMPLATE / "runtime", veteran.path / "runtime", ignore=shutil.ignore_patterns("__pycache__")
    )
    assert "Everything works." in veteran.command("check")
    with ApiServer(veteran.path) as api:
        assert api.ask("server_info_query", tvm_version="0.18.0")["platform_name"] == SLUG
