# SPDX-License-Identifier: Apache-2.0
"""Installation of tools: packages.json has one entry for every tool that any component needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Set

import pytest

from runtime.host.boards.board import EMULATOR
from runtime.host.boards.cores import CPUS
from runtime.host.boards.table import load_boards
from runtime.host.project.board_support import LIBRARY
from runtime.host.project.platform import BUILD_FILES
from runtime.host.runners.table import RUNNERS
from runtime.host.system.packages import how_to_install, read_table

TEMPLATE = Path(__file__).resolve().parents[2]
FAMILIES = sorted(path for path in TEMPLATE.glob("*cookiecutter*/families/*") if path.name != "common")
SPECS = "--specs="
FIELDS = {"apt", "apt_on", "macos", "how", "short"}


def tools_of_families() -> Set[str]:
    """Return the tools that a bake's report looks for or explains how to install."""
    rows = [row for family in FAMILIES for row in json.loads((family / "tools.json").read_text("utf-8"))]
    return {tool for row in rows for tool in (*row["any_of"], *row.get("install", ()))}


def tools_of_check() -> Set[str]:
    """Return the tools that a build, `check` or an emulated board needs."""
    crosses = {cpu.cross for cpu in CPUS.values()}
    specs = {flag[len(SPECS) :] for flags in LIBRARY.values() for flag in flags}
    boards = [board for family in FAMILIES for board in load_boards(family / "boards.json").values()]
    emulators = {str(board.runners[EMULATOR]["program"]) for board in boards if EMULATOR in board.runners}
    cross_tools = {f"{cross}{tool}" for cross in crosses for tool in ("gcc", "g++", "ar", "objcopy")}
    return {"cc", "c++", "ar"} | set(BUILD_FILES) | cross_tools | specs | emulators


def tools_of_runners() -> Set[str]:
    return {runner.tool for runner in RUNNERS.values()}


@pytest.mark.parametrize("tools", [tools_of_families, tools_of_check, tools_of_runners])
def test_every_tool_has_an_entry(tools: Callable[[], Set[str]]) -> None:
    assert tools() <= set(read_table())


def test_the_tools_are_those_of_todays_platforms() -> None:
    assert {"arm-none-eabi-gcc", "picolibc.specs", "qemu-system-riscv32", "cmake"} <= tools_of_check()
    assert {"openocd", "clang", "dfu-util", "riscv64-unknown-elf-gcc"} <= tools_of_families()


@pytest.mark.parametrize("tool", list(read_table()))
def test_an_entry_has_packages_or_a_sentence(tool: str) -> None:
    entry = read_table()[tool]
    assert set(entry) <= FIELDS and all(isinstance(value, str) for value in entry.values())
    assert ("apt" in entry) != ("how" in entry)
    assert "apt" in entry or not {"apt_on", "macos"} & set(entry)
    assert how_to_install(tool)


def test_sentences() -> None:
    assert how_to_install("cmake") == "Install cmake on Debian or Ubuntu with: apt-get install cmake"
    assert how_to_install("picotool") == (
        "Install picotool on Debian 13 or Ubuntu 24.10 or newer with: apt-get install picotool"
    )
    assert how_to_install("pyocd") == "Install pyOCD with: python3 -m pip install pyocd"
    assert how_to_install("no such tool") is None


def test_the_script_that_prepares_this_repository_names_the_same_packages() -> None:
    script = (TEMPLATE / "tools" / "system-packages.sh").read_text(encoding="utf-8")
    needed: Dict[str, str] = {}
    for quoted, plain, command in re.findall(r'need (?:"([^"]+)"|(\S+)) (?:has|links) (\S+)', script):
        if "$" not in quoted:  # a library whose name contains the compiler's version
            needed[command] = quoted or plain
    common = sorted(set(needed) & set(read_table()))
    assert {"make", "cmake", "openocd", "arm-none-eabi-gcc", "qemu-system-riscv32"} <= set(common)
    assert {tool: needed[tool] for tool in common} == {tool: read_table()[tool]["apt"] for tool in common}


def test_the_table_is_not_read_when_the_api_server_starts() -> None:
    program = (
        "import runtime.host.handler, sys\n"
        "packages = sys.modules.get('runtime.host.system.packages')\n"
        "print(packages.read_table.cache_info().currsize if packages else 0)\n"
    )
    argv: List[str] = [sys.executable, "-c", program]
    assert subprocess.run(argv, cwd=TEMPLATE, capture_output=True, check=True).stdout == b"0\n"
