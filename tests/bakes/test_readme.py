# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/ of a platform: their commands work as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Dict, List

import pytest
from packaging.requirements import Requirement

from runtime.host.system.cache import default_directory
from tests.conftest import TEMPLATE, Baker, Platform
from tests.support.pages import blocks
from tests.support.repositories import commit, git

# Needs the network. The tests use this interpreter's packages; test_requirements_are_those_of_the_tests
# compares them with the file.
INSTALL = "python -m pip install -r requirements.txt"
INSTALL_COMPILE = "python -m pip install -r requirements-compile.txt"
# Runs once as written. Installing pip takes longer than any other line, and no test uses that pip.
CREATE_VENV = "python3 -m venv .venv"
FAMILIES = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["board_family"]
FIRMWARE = ("firmware", "firmware.elf")
# Pages with commands that run here, in the order in which a user reads them.
PAGES = ("README.md", "docs/archives.md", "docs/how-to/add-a-board.md")
# Its commands do not depend on the family: they run for one family with each build system.
CUSTOMIZE = "docs/customize.md"
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def commands(markdown: str) -> List[str]:
    """Return the lines of all fenced sh blocks; console blocks need more than the platform."""
    return [line for block in blocks(markdown, "sh") for line in block.splitlines()]


def add_settings(platform: Platform) -> None:
    """Add the named settings that the pages show to mtvm.toml."""
    page = platform.text(CUSTOMIZE)
    settings = blocks(page, "toml")
    assert settings
    with (platform.path / "mtvm.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(settings))


def requirements(platform: Platform) -> List[Requirement]:
    lines = [line.split("#")[0].strip() for line in platform.text("requirements.txt").splitlines()]
    return [Requirement(line) for line in lines if line]


def lend_packages(platform: Path) -> str:
    """Return a shell line that adds this interpreter's packages to the platform's virtual environment."""
    here = sysconfig.get_paths()["purelib"]
    return f"for site in {platform}/.venv/lib/python*/site-packages; do echo {here} > $site/lent.pth; done"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "build_system"),
    [
        (family, build_system)
        for index, family in enumerate(FAMILIES)
        for build_system in ("make", "cmake")
        # The commands differ by family, so that every family runs with one of the build systems.
        if family == "host" or build_system == ("make", "cmake")[index % 2]
    ],
)
def test_commands_work_as_written(bake: Baker, family: str, build_system: str) -> None:
    platform = bake(board_family=family, build_system=build_system)
    pages = (*PAGES, CUSTOMIZE) if family == "host" else PAGES
    script = [line for page in pages for line in [f"cd {platform.path}", *commands(platform.text(page))]]
    assert script.count(INSTALL) == script.count(INSTALL_COMPILE) == script.count(CREATE_VENV) == 1
    for subcommand in ("check", "run", "boards", "build", "flash", "size", "bench"):
        assert any(line.startswith(f"python mtvm.py {subcommand}") for line in script)
    script[script.index(INSTALL)] = lend_packages(platform.path)
    script.remove(INSTALL_COMPILE)
    add_settings(platform)
    git("init", "--quiet", cwd=platform.path)
    commit(platform.path, "The platform")
    if (family, build_system) != ("host", "make"):
        script[script.index(CREATE_VENV)] += " --without-pip"
    done = subprocess.run(
        ["sh", "-e", "-x", "-c", "\n".join(script)],
        cwd=platform.path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "answered exactly as on the host" in done.stdout
    assert git("status", "--porcelain", cwd=platform.path) == "", "the owner would commit generated files"
    assert family != "host" or any(
        (platform.path / "projects/my_firmware/build" / name).is_file() for name in FIRMWARE
    )


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_compiler_and_flags_are_those_of_the_environment(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\ntouch "$0.was_run"\nexec cc "$@"\n')
    compiler.chmod(0o755)
    flags = {"CC": str(compiler), "CFLAGS": "-g", "LDFLAGS": "-Wl,--defsym=mark_of_the_owner=1"}
    command = [sys.executable, "-m", "runtime.host", "build", "models/digits_aot.tar"]
    subprocess.run(
        [*command, "--project-dir", str(tmp_path / "project")],
        cwd=default_platforms[build_system].path,
        env={**os.environ, **flags},
        check=True,
    )
    firmware = (tmp_path / "project" / "build" / "firmware").read_bytes()
    assert b".debug_info" in firmware
    assert b"mark_of_the_owner" in firmware
    assert (tmp_path / "compiler.was_run").exists()


def test_the_cache_lies_where_it_says(default_platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    page = default_platform.text("docs/customize.md")
    said = re.search(r"libraries in `(~/.+?)`, or in the directory that `(\w+)` names", page)
    assert said is not None
    for name in (said[2], "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_directory() == Path(said[1]).expanduser()
    monkeypatch.setenv(said[2], "elsewhere")
    assert default_directory() == Path("elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["cortex_m", "riscv"])
def test_a_board_that_is_in_no_table_needs_the_entry_that_is_told(bake: Baker, family: str) -> None:
    platform = bake(board_family=family)
    walk = platform.text("docs/how-to/add-a-board.md").split("## A board that is in no table\n")[1]
    (entry,) = blocks(walk, "json")
    (command,) = blocks(walk, "console")
    name = entry.split('"')[1]
    boards = platform.path / "boards.json"
    before = boards.read_text(encoding="utf-8")
    assert name not in before and before.count('  "boards": {\n') == 1
    boards.write_text(before.replace('  "boards": {\n', f'  "boards": {{\n{entry}'), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=platform.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"board: {name}, one of" in done.stdout
    assert "each answered exactly as on the host" in done.stdout


def test_commands_are_those_that_the_bake_ends_with(bake: Baker, capfd: pytest.CaptureFixture[str]) -> None:
    platform = bake()
    said = capfd.readouterr().out.split("Next:\n")[1].split("\n\n")[0].splitlines()
    assert [line.strip() for line in said[1:]] == commands(platform.text("README.md"))[: len(said) - 1]


def test_requirements_are_those_of_the_tests(default_platform: Platform) -> None:
    wanted = [each for each in requirements(default_platform) if not each.marker or each.marker.evaluate()]
    assert {each.name for each in wanted} - {"tomli"} == {"click", "rich", "numpy", "pyserial"}
    for each in wanted:
        assert metadata.version(each.name) in each.specifier, each


def test_the_packages_beside_tvm_are_those_of_the_tests(default_platform: Platform) -> None:
    (line,) = re.findall(
        r'^python -m pip install "hhb-tvm.*$', default_platform.text("docs/tvm.md"), re.MULTILINE
    )
    words = shlex.split(line)[4:]
    assert words[-2:] == ["-r", "requirements.txt"]
    named = [Requirement(word) for word in words[:-2]]
    pins = {
        name: pin
        for name, _, pin in (
            entry.split(";")[0].strip().partition("==")
            for entry in (TEMPLATE / "requirements-tvm.txt").read_text(encoding="utf-8").splitlines()
        )
    }
    assert {each.name for each in named} >= {"hhb-tvm", "numpy", "onnx"}
    for each in (*named, *requirements(default_platform)):
        if not each.marker or each.marker.evaluate({"python_version": "3.10"}):
            assert pins[each.name] in each.specifier, each


@pytest.mark.parametrize("python", PYTHONS)
def test_requirements_name_each_package_once_for_every_python(
    default_platform: Platform, python: str
) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    names = [
        each.name
        for each in requirements(default_platform)
        if not each.marker or each.marker.evaluate(environment)
    ]
    has_toml = tuple(map(int, python.split("."))) >= (3, 11)
    assert sorted(names) == ["click", "numpy", "pyserial", "rich", *([] if has_toml else ["tomli"])]
