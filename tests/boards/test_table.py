# SPDX-License-Identifier: Apache-2.0
"""Checks of boards.json on load: every invalid field is named."""

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board, load_boards
from runtime.host.errors import BoardError

HOST = {
    "label": "This machine",
    "family": "host",
    "device_port": "host",
    "transport": "process",
    "memory": None,
    "verified": "run",
    "default": True,
}
MAP = {"flash": {"address": "0x0", "bytes": 65536}, "ram": {"address": "0x20000000", "bytes": 8192}}
CHIP: Dict[str, Any] = {
    **HOST,
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "built",
    "cpu": "cortex-m3",
    "clock_hz": 8000000,
    "memory": MAP,
    "uart": {"kind": "cmsdk", "address": "0x40004000", "interrupt": 0, "clock_hz": 8000000, "baud": 115200},
}


def write(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "boards.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def boards_of(tmp_path: Path, **entries: object) -> Dict[str, Board]:
    return load_boards(write(tmp_path, {"schema": 1, "boards": entries}))


def test_an_entry_becomes_a_board_with_its_memory(tmp_path: Path) -> None:
    small = {**HOST, "default": False, "memory": {"flash": {"bytes": 262144}, "ram": {"bytes": 16384}}}
    boards = boards_of(tmp_path, host=HOST, small=small)
    assert list(boards) == ["host", "small"]
    assert boards["host"].ram_bytes is None
    assert (boards["small"].flash_bytes, boards["small"].ram_bytes) == (262144, 16384)


def test_the_default_board_is_chosen_when_none_is_named(tmp_path: Path) -> None:
    boards = boards_of(tmp_path, other={**HOST, "default": False}, host=HOST)
    assert choose_board(boards, None).name == "host"
    assert choose_board(boards, "other").name == "other"


def test_a_field_may_have_the_name_of_an_older_platform(tmp_path: Path) -> None:
    older = {"port" if key == "device_port" else key: value for key, value in HOST.items()}
    assert boards_of(tmp_path, host=older) == boards_of(tmp_path, host=HOST)


def test_a_misspelt_board_is_answered_with_the_near_one_and_the_list(tmp_path: Path) -> None:
    with pytest.raises(BoardError) as caught:
        choose_board(boards_of(tmp_path, host=HOST), "hots")
    assert 'Did you mean "host"?' in str(caught.value)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "not JSON"),
        ("[]", "got schema []"),
        ({"schema": 2, "boards": {"host": HOST}}, "got schema 2"),
        ({"schema": 1, "boards": {}}, "has no boards"),
        ({"schema": 1, "boards": {"host": 3}}, "board 'host': the entry is not an object"),
        ({"schema": 1, "boards": {"host": {**HOST, "lable": "x"}}}, "unknown field 'lable'"),
        ({"schema": 1, "boards": {"host": {**HOST, "lable": "x"}}}, 'Did you mean "label"?'),
        (
            {"schema": 1, "boards": {"host": {k: HOST[k] for k in HOST if k != "device_port"}}},
            "'device_port' is missing",
        ),
        (
            {"schema": 1, "boards": {"host": {**HOST, "label": 1}}},
            "field 'label' is invalid: expected a string of 1 to 4,000 characters, got 1.",
        ),
        (
            {"schema": 1, "boards": {"host": {**HOST, "default": 1}}},
            "field 'default' is invalid: expected true or false, got 1.",
        ),
        (
            {"schema": 1, "boards": {"host": {**HOST, "transport": "pigeon"}}},
            "expected one of process, serial, socket, got 'pigeon'",
        ),
        (
            {"schema": 1, "boards": {"host": {**HOST, "verified": "surely"}}},
            "expected one of run, emulated, built, got 'surely'",
        ),
        ({"schema": 1, "boards": {"host": {**HOST, "memory": {}}}}, "'memory.flash' is missing"),
        (
            {"schema": 1, "boards": {"host": {**HOST, "memory": {"flash": {"bytes": -1}}}}},
            "'memory.flash.bytes' is invalid: expected an integer above 0, got -1",
        ),
        ({"schema": 1, "boards": {"host": {**HOST, "usb": ["0483:374B"]}}}, "field 'usb' is invalid"),
        (
            {"schema": 1, "boards": {"host": {**HOST, "runner": "qemu"}}},
            "expected a key of 'runners' (none), got 'qemu'",
        ),
        (
            {"schema": 1, "boards": {"chip": {**CHIP, "clock_hz": None}}},
            "field 'clock_hz' is invalid: expected an integer above 0, got None",
        ),
        (
            {"schema": 1, "boards": {"chip": {key: CHIP[key] for key in CHIP if key != "uart"}}},
            "field 'uart' is missing",
        ),
        (
            {"schema": 1, "boards": {"chip": {**CHIP, "memory": {**MAP, "ram": {"bytes": 8192}}}}},
            "'memory.ram.address' is missing",
        ),
        (
            {"schema": 1, "boards": {"chip": {**CHIP, "uart": {**CHIP["uart"], "address": 1073758208}}}},
            "field 'uart.address' is invalid: expected a hexadecimal string",
        ),
        (
            {"schema": 1, "boards": {"chip": {**CHIP, "setup": [{"address": "0x40000000"}]}}},
            "field 'setup.why' is missing",
        ),
        ({"schema": 1, "boards": {"chip": {**CHIP, "stack_bytes": 1000}}}, "expected a multiple of 16, 2048"),
        ({"schema": 1, "boards": {"host": {**HOST, "default": False}}}, "exactly one board"),
        ({"schema": 1, "boards": {"a": HOST, "b": HOST}}, "got 2 (a, b)"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(BoardError) as caught:
        load_boards(write(tmp_path, document))
    assert words in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="cannot be read"):
        load_boards(tmp_path / "boards.json")
