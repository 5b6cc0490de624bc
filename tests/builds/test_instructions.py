# SPDX-License-Identifier: Apache-2.0
"""Emulated boards count instructions: a known number, the same one in every run and on equal cores."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from runtime.host.boards.table import load_boards
from runtime.host.execution.latency import measure
from runtime.host.execution.standalone_run import run_standalone
from runtime.host.project.project import Project
from tests.conftest import TEMPLATE, Baker
from tests.support.emulated import DIGITS, Family, counted, in_real_time

pytestmark = pytest.mark.slow

BOARDS = {
    board.name: board
    for family in ("cortex_m", "riscv")
    for board in load_boards(
        TEMPLATE / "{{cookiecutter.platform_slug}}/families" / family / "boards.json"
    ).values()
    if "qemu" in board.runners
}
TURNS = 100_000
OF_A_LOOP = 2
OF_INTERRUPTS = 100
"""Most instructions of the timer's interrupts in 200,000 instructions."""

Built = Callable[[str], Project]


@pytest.fixture(scope="module")
def families(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Family]:
    return {name: Family(name, bake_shared, tmp_path_factory.mktemp(name)) for name in ("cortex_m", "riscv")}


@pytest.fixture
def built(families: Dict[str, Family]) -> Built:
    """Return a function from a board to its project with the digits model and user_code.c."""
    return lambda board: families[BOARDS[board].family].with_user_code(board)


@pytest.mark.parametrize("board", BOARDS)
def test_a_loop_of_known_length_is_counted(built: Built, board: str) -> None:
    few, many = counted(built(board), TURNS, 2 * TURNS)
    assert OF_A_LOOP * TURNS <= many - few <= OF_A_LOOP * TURNS + OF_INTERRUPTS
    assert few == pytest.approx(OF_A_LOOP * TURNS, rel=0.01)


@pytest.mark.parametrize(
    ("board", "other"),
    [
        ("stm32vldiscovery", "mps2_an385"),
        ("netduino2", "mps2_an385"),
        ("netduinoplus2", "mps2_an386"),
    ],
)
def test_boards_with_equal_cores_agree(built: Built, board: str, other: str) -> None:
    one, two = (measure(built(name), 1).instructions for name in (board, other))
    assert one == pytest.approx(two, rel=0.01)


@pytest.mark.parametrize("board", ["mps2_an385", "qemu_virt_rv32"])
def test_two_benches_are_equal_to_the_last_digit(built: Built, board: str) -> None:
    documents = [_bench(built(board).directory) for _ in range(2)]
    for document in documents:
        assert document["seconds"].pop("whole")["least"] > 0
        assert document["seconds"] == {"device": None}
    assert documents[0] == documents[1]
    assert documents[0]["instructions_per_inference"] > 100_000


@pytest.mark.parametrize("board", ["netduino2", "qemu_virt_rv32"])
def test_a_board_that_does_not_count_reports_seconds(built: Built, board: str) -> None:
    measured = measure(in_real_time(built(board)), 3)
    assert measured.instructions is None
    assert measured.device is not None and 0 < measured.device.least < measured.whole.p99


def test_a_standalone_firmware_reports_instructions(families: Dict[str, Family], built: Built) -> None:
    project = families["cortex_m"].build("mps2_an385", DIGITS / "digits_aot.tar", project_type="standalone")
    found = re.search(r"^instructions: about (\d+)$", run_standalone(project), re.MULTILINE)
    assert found is not None
    assert int(found[1]) == pytest.approx(measure(built("mps2_an385"), 1).instructions, rel=0.01)


def _bench(project: Path) -> Dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "mtvm.py", "bench", "--number", "1", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    document: Dict[str, Any] = json.loads(ran.stdout)
    return document
