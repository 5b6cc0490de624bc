# SPDX-License-Identifier: Apache-2.0
"""The site of docs/: generated files are current, and it builds without a warning or a foreign resource."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import List

import click
import pytest

from tests.conftest import TEMPLATE
from tools.docs.command_line import describe
from tools.docs.includes import fill, fragment_of
from tools.docs.pages import generated
from tools.docs.rooms import layers_of

# Resources that a browser loads without a click.
LOADED = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]+)"'
)


def test_generated_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"],
        cwd=TEMPLATE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_make_docs_builds_a_site_that_loads_nothing_from_elsewhere() -> None:
    # With the virtual environment of this test, which make must not recreate.
    venv = (f"VENV={sys.prefix}", f"--old-file={sys.prefix}/packages")
    done = subprocess.run(
        ["make", "--no-print-directory", *venv, "docs"],
        cwd=TEMPLATE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "\nWARNING" not in done.stdout
    pages = sorted((TEMPLATE / "build" / "docs").rglob("*.html"))
    assert len(pages) > len(list((TEMPLATE / "docs").rglob("*.md")))
    assert [address for page in pages for address in loaded(page) if "//" in address] == []


def loaded(page: Path) -> List[str]:
    """Return the addresses of scripts, images, frames and style sheets of a page."""
    return [first or second for first, second in LOADED.findall(page.read_text(encoding="utf-8"))]


def test_the_drawing_has_every_room_once() -> None:
    drawing = generated()["docs/images/rooms.svg"]
    for room in (room for layer in layers_of(TEMPLATE) for room in layer):
        assert drawing.count(f">{room}</text>") == 1


def test_every_command_has_a_section() -> None:
    page = generated()["docs/command-line.md"]
    from runtime.host.commands.app import COMMANDS

    assert [name for name in COMMANDS if f"\n## {name}\n" not in page] == []


def test_options_of_a_group_and_of_its_commands_are_described() -> None:
    @click.group()
    @click.option("-C", "directory", metavar="DIR", envvar="MTVM_DIR", show_envvar=True, help="Run in DIR.")
    @click.version_option("1.2.3")
    def tool(directory: str) -> None:
        """Do things."""

    context = click.Context(tool, info_name="tool")
    usage, words, table = describe(tool, context)
    assert "tool [OPTIONS] COMMAND [ARGS]..." in usage
    assert words == "Do things."
    assert "| `-C DIR` | Run in DIR. [env var: MTVM_DIR] |" in table
    assert "`--version`" in table and "--help" not in table


class TestIncludes:
    def test_a_section_ends_at_the_next_heading_of_its_level(self, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("# A\none\n## B\ntwo\n### C\nthree\n## D\nfour\n", encoding="utf-8")
        assert fragment_of("a.md", "B", tmp_path).strip() == "two\n### C\nthree"

    def test_a_paragraph_of_a_docstring_is_escaped(self, tmp_path: Path) -> None:
        text = '"""Wheels.\n\nTo add a wheel: <kind>.py in `<folder>`.\nMore.\n\nTo add a sail: no.\n"""\n'
        (tmp_path / "a.py").write_text(text, encoding="utf-8")
        assert fragment_of("a.py", "To add a wheel", tmp_path).strip() == (
            "To add a wheel: \\<kind\\>.py in `<folder>`.\nMore."
        )

    def test_the_content_of_a_block_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("## B\ntwo\n", encoding="utf-8")
        page = "x\n<!-- copied from a.md: B -->\nold\n<!-- end -->\ny\n"
        filled = "x\n<!-- copied from a.md: B -->\n\ntwo\n\n<!-- end -->\ny\n"
        assert fill(page, tmp_path, {}) == fill(filled, tmp_path, {}) == filled

    def test_a_generated_block_has_a_generator(self, tmp_path: Path) -> None:
        page = "<!-- generated: wheels -->\n<!-- end -->\n"
        filled = fill(page, tmp_path, {"wheels": lambda root: "round\n"})
        assert filled == "<!-- generated: wheels -->\n\nround\n\n<!-- end -->\n"
        with pytest.raises(KeyError, match="wheels"):
            fill(page, tmp_path, {})

    @pytest.mark.parametrize(("name", "text"), [("a.md", "# A\n"), ("a.py", '"""A."""\n')])
    def test_a_missing_fragment_is_an_error(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"{name}: no "):
            fragment_of(name, "To add B", tmp_path)
