# SPDX-License-Identifier: Apache-2.0
"""Rules across fields of a board, checked when boards.json is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from runtime.host.boards.table import load_boards
from runtime.host.errors import BoardError

GOOD: Dict[str, Any] = {
    "label": "A chip",
    "family": "cortex_m",
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "built",
    "default": True,
    "cpu": "cortex-m3",
    "clock_hz": 8000000,
    "memory": {
        "flash": {"address": "0x08000000", "bytes": 65536},
        "ram": {"address": "0x20000000", "bytes": 16384},
    },
    "uart": {"kind": "cmsdk", "address": "0x40004000", "interrupt": 0, "clock_hz": 8000000, "baud": 115200},
}


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boards.json"
    path.write_text(text, encoding="utf-8")
    load_boards(path)


def memory(**places: Any) -> Dict[str, Any]:
    return {"memory": {**GOOD["memory"], **places}}


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("../x", {}, "the board's name is invalid"),
        ("a b", {}, "the board's name is invalid"),
        ("x", memory(ram={"address": "0x08000100", "bytes": 16384}), "overlap"),
        ("x", memory(flash={"address": "0x08000002", "bytes": 65536}), "multiple of 256"),
        ("x", memory(ram={"address": "0x20000001", "bytes": 16384}), "multiple of 16"),
        ("x", memory(ram={"address": "0xfffff000", "bytes": 16384}), "'memory.ram' ends beyond the 32-bit"),
        ("x", {"stack_bytes": 16384}, "less than the RAM of 16,384 bytes, got 16,384"),
        ("x", {"uart": {**GOOD["uart"], "address": "0x40004001"}}, "'uart.address' is not aligned"),
        ("x", {"clock_hz": 5}, "'clock_hz' is out of range: expected 10,000 to 10,000,000,000 Hz, got 5 Hz"),
        ("x", {"setup": [{"address": "0x40000002", "set": "0x1", "why": "on"}]}, "'setup' step 1"),
        (
            "x",
            {"setup": [{"address": "0x40000000", "set": "0x100", "bits": 8, "why": "on"}]},
            "wider than 8 bits",
        ),
        ("x", {"setup": [{"address": "0x40000000", "why": "on"}]}, "changes no bit"),
    ],
)
def test_a_board_that_cannot_be_is_refused(
    tmp_path: Path, name: str, changed: Dict[str, Any], words: str
) -> None:
    with pytest.raises(BoardError) as caught:
        load(tmp_path, json.dumps({"schema": 1, "boards": {name: {**GOOD, **changed}}}))
    assert words in str(caught.value)


def test_a_core_of_64_bits_reaches_further(tmp_path: Path) -> None:
    place = memory(ram={"address": "0x100000000", "bytes": 16384})
    load(tmp_path, json.dumps({"schema": 1, "boards": {"x": {**GOOD, **place, "cpu": "rv64imac"}}}))


def test_two_boards_of_one_name_are_told(tmp_path: Path) -> None:
    entry = json.dumps(GOOD)
    with pytest.raises(BoardError, match="'x' is a duplicate name"):
        load(tmp_path, f'{{"schema": 1, "boards": {{"x": {entry}, "x": {entry}}}}}')


def test_an_editors_mark_does_no_harm(tmp_path: Path) -> None:
    load(tmp_path, "\ufeff" + json.dumps({"schema": 1, "boards": {"x": GOOD}}))


def test_a_file_that_is_too_deep_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="is not JSON"):
        load(tmp_path, 100_000 * "[")
