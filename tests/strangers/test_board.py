# SPDX-License-Identifier: Apache-2.0
"""Addition of a board by the instructions in docs/how-to/add-a-board.md alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Final

import pytest

from runtime.host.boards.table import load_boards
from tests.conftest import Baker
from tests.support.additions import EXACT, add_board, type_command
from tests.support.pages import changed_files, check_places, how_to, places_to_add, read_tree
from tests.support.repositories import copy_template

PAGE: Final = how_to("add-a-board")
NAME: Final = "musca_b1"
# No board of the family has this core together with this UART.
MUSCA_B1: Final[Dict[str, Any]] = {
    "label": "Arm Musca-B1: Cortex-M33F in its secure state, 512 KB code, 512 KB RAM (emulated)",
    "family": "cortex_m",
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "emulated",
    "cpu": "cortex-m33f",
    "clock_hz": 40000000,
    "memory": {
        "flash": {"address": "0x10000000", "bytes": 524288},
        "ram": {"address": "0x30000000", "bytes": 524288},
    },
    "uart": {"kind": "pl011", "address": "0x50105000", "interrupt": 39, "clock_hz": 40000000, "baud": 115200},
    "runner": "qemu",
    "runners": {"qemu": {"program": "qemu-system-arm", "machine": "musca-b1"}},
}


@pytest.mark.slow
def test_an_entry_adds_a_board_to_a_platform(bake: Baker) -> None:
    platform = bake(board_family="cortex_m").path
    before = read_tree(platform)
    add_board(platform / "boards.json", NAME, MUSCA_B1)
    check_places(changed_files(before, read_tree(platform)), places_to_add("a board", PAGE))

    printed = type_command(platform, "check", "--board", NAME)
    assert f"board: {NAME}, one of" in printed and EXACT in printed
    assert f"reached: {NAME} in its emulator" in printed


def test_an_entry_adds_a_board_to_every_platform_of_a_family(bake: Baker, tmp_path: Path) -> None:
    template = tmp_path / "template"
    copy_template(template)
    before = read_tree(template)
    (boards_json,) = template.glob("*/families/cortex_m/boards.json")
    add_board(boards_json, NAME, MUSCA_B1)
    check_places(changed_files(before, read_tree(template)), places_to_add("a board", PAGE))

    platform = bake(template=template, board_family="cortex_m").path
    assert load_boards(platform / "boards.json")[NAME].label == MUSCA_B1["label"]
