# SPDX-License-Identifier: Apache-2.0
"""README.md of the template, and the command lines of every page that no other test runs."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import click
import pytest

from runtime.host.commands.app import main
from tests.conftest import TEMPLATE, Baker, Platform
from tests.support.pages import blocks

README = (TEMPLATE / "README.md").read_text(encoding="utf-8")
LONGEST_LINES = 100  # of a README that is one page
# Lines that need the network; the test lends the packages of this interpreter instead.
INSTALL = re.compile(r"^python -m pip install .*$", re.MULTILINE)
# `.ci/run` runs these with the whole suite around them.
MAKE = re.compile(r"^make \w+$", re.MULTILINE)


def test_it_is_one_page() -> None:
    assert len(README.splitlines()) <= LONGEST_LINES


@pytest.mark.slow
def test_a_new_user_gets_an_answer(tmp_path: Path, bake: Baker) -> None:
    """Run the commands in their order, as a person who accepts every default."""
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "microtvm-template").symlink_to(TEMPLATE)
    lent = sysconfig.get_paths()["purelib"]
    script = "\n".join(blocks(README, "sh"))
    assert script.count("cookiecutter path/to/microtvm-template\n") == 1
    script = MAKE.sub("true", script)
    script = INSTALL.sub(
        f"for site in ../my_venv/lib/python*/site-packages my_venv/lib/python*/site-packages; do "
        f"test ! -d $site || echo {lent} > $site/lent.pth; done",
        script,
    )
    script = script.replace("python3 -m venv", f"{sys.executable} -m venv --without-pip")
    script = script.replace("cookiecutter path", "yes '' | python -m cookiecutter path")
    done = subprocess.run(
        ["bash", "-e", "-x", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "COOKIECUTTER_CONFIG": str(bake.config_file)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "answered exactly as on the host" in done.stdout and "output 0: int8 [1, 10]" in done.stdout


def pages() -> Iterator[Tuple[str, str]]:
    """Yield the pages of the template."""
    for path in sorted([*TEMPLATE.glob("*.md"), *(TEMPLATE / "docs").rglob("*.md")]):
        yield path.relative_to(TEMPLATE).as_posix(), path.read_text(encoding="utf-8")


def command_lines(page: str) -> List[List[str]]:
    """Return the words of each command line of mtvm.py: in blocks, and in the text between backquotes."""
    code = [*blocks(page, "sh"), *blocks(page, "console")]
    inline = re.findall(r"`(python mtvm\.py [^`]+)`", page)
    lines = [line for block in code for line in block.replace("\\\n", " ").splitlines()] + inline
    words = [shlex.split(line)[2:] for line in lines if line.startswith("python mtvm.py ")]
    return [line for line in words if "COMMAND" not in line]


def parse(words: List[str]) -> None:
    """Parse a command line without running it. Raise click.UsageError for an unknown command or option."""
    with contextlib.suppress(
        click.exceptions.Exit, click.MissingParameter
    ):  # --version; a name without its options
        root = main.make_context("mtvm.py", list(words), obj=".")
        # The command and its arguments.
        rest = [*root._protected_args, *root.args]
        command = main.get_command(root, rest[0]) if rest else None
        if command is None:
            raise click.UsageError(f"There is no command {rest}.")
        if rest[0] != "tvmc":  # its arguments are TVM's
            command.make_context(rest[0], rest[1:], parent=root)


@pytest.mark.parametrize(("name", "page"), list(pages()), ids=[name for name, _ in pages()])
def test_the_command_lines_of_a_page_exist(name: str, page: str) -> None:
    for words in command_lines(page):
        parse(words)


@pytest.mark.parametrize("family", ["host", "cortex_m", "riscv", "custom"])
def test_the_command_lines_of_a_platform_exist(bake_shared: Baker, family: str) -> None:
    platform = bake_shared(board_family=family, platform_name=f"lines of {family}")
    found: Dict[str, int] = {}
    for path in [platform.path / "README.md", *sorted((platform.path / "docs").rglob("*.md"))]:
        lines = command_lines(path.read_text(encoding="utf-8"))
        found[path.name] = len(lines)
        for words in lines:
            parse(words)
    assert found["README.md"] > 10 and found["tvm.md"] > 3
    assert found["archives.md"] > 3 and found["customize.md"] > 5


@pytest.mark.parametrize("words", ["chekc", "run --inpu x.npy", "boards --jason"])
def test_a_wrong_command_line_is_found(words: str) -> None:
    with pytest.raises(click.UsageError):
        parse(words.split())


@pytest.mark.parametrize("family", ["host", "cortex_m", "riscv", "custom"])
def test_links_between_the_pages_of_a_platform_work(bake_shared: Baker, family: str) -> None:
    platform: Platform = bake_shared(board_family=family, platform_name=f"links of {family}")
    for path in [platform.path / "README.md", *sorted((platform.path / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", text):
            page = path if not target else (path.parent / target).resolve()
            assert page.is_file(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
