# SPDX-License-Identifier: Apache-2.0
"""The schema of boards.json accepts every one of the template, and refuses what the readers refuse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from jsonschema import Draft202012Validator

from runtime.host.boards.cores import CPUS
from runtime.host.boards.fields import Field, count, one_of
from runtime.host.boards.table import load_boards
from runtime.host.errors import BoardError
from runtime.host.runners.table import RUNNERS
from tests.conftest import TEMPLATE, Baker
from tools.docs.schema import multiple_of, object_of, value_of

SCHEMA: Dict[str, Any] = json.loads((TEMPLATE / "runtime/boards.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
FAMILIES = sorted(TEMPLATE.glob("*cookiecutter*/families/*/boards.json"))

CHIP: Dict[str, Any] = {
    "label": "A chip",
    "family": "cortex_m",
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "built",
    "default": True,
    "cpu": "cortex-m4f",
    "clock_hz": 16_000_000,
    "stack_bytes": 4096,
    "memory": {
        "flash": {"address": "0x08000000", "bytes": 524288},
        "ram": {"address": "0x20000000", "bytes": 131072},
    },
    "uart": {
        "kind": "stm32_v1",
        "address": "0x40004400",
        "interrupt": 38,
        "clock_hz": 16_000_000,
        "baud": 115_200,
        "pins": "TX PA2",
    },
    "setup": [{"address": "0x40023830", "clear": "0x3", "set": "0x1", "bits": 32, "why": "clock of GPIOA"}],
    "timer": {"kind": "mtime", "address": "0x200bff8", "hz": 32768},
    "interrupts": {"kind": "plic", "context": 0},
    "restart": {"address": "0x100000", "set": "0x7777", "why": "resets the machine"},
    "usb": ["0483:374b"],
    "reset": "none",
    "address": "lab:4000",
    "runner": "openocd",
    "runners": {
        "openocd": {"config": ["board/st_nucleo_f4.cfg"], "commands": []},
        "qemu": {"program": "qemu-system-arm", "machine": "netduinoplus2"},
        "nrfutil": {},
        "jlink": {"device": "STM32F446RE", "interface": "SWD", "speed_khz": 0},
        "nrfjprog": {"family": "NRF52"},
        "dfu-util": {"usb": "0483:df11", "alt": 0},
        "st-flash": {"connect_under_reset": True},
        "tool_of_an_owner": {"anything": 1},
    },
}

GONE = object()
# Path of a field -> a value that fields.py, table.py or rules.py refuses.
WRONG_FIELDS: List[Any] = [
    ("label", GONE),
    ("label", ""),
    ("label", 3),
    ("label", "two\nlines"),
    ("label", "x" * 4001),
    ("label", "zero\u200bwidth"),
    ("lable", "misspelt"),
    ("family", None),
    ("device_port", GONE),
    ("port", "cortex_m"),  # the older name of device_port, which is there too
    ("transport", "pigeon"),
    ("transport", True),
    ("verified", "surely"),
    ("default", 1),
    ("default", "true"),
    ("cpu", GONE),
    ("cpu", 4),
    ("clock_hz", GONE),
    ("clock_hz", None),
    ("clock_hz", 0),
    ("clock_hz", 1.5),
    ("clock_hz", "16000000"),
    ("clock_hz", 9_999),
    ("clock_hz", 10_000_000_001),
    ("stack_bytes", 1000),
    ("stack_bytes", 2056),
    ("stack_bytes", True),
    ("memory", GONE),
    ("memory", []),
    ("memory", None),
    ("memory.flash", GONE),
    ("memory.rom", {"bytes": 1}),
    ("memory.ram.bytes", 0),
    ("memory.ram.bytes", 1 << 63),
    ("memory.ram.address", GONE),
    ("memory.ram.address", "20000000"),
    ("memory.ram.address", 536870912),
    ("memory.ram.address", "0x20000008"),
    ("memory.flash.address", "0x08000010"),
    ("memory.flash.address", "0x"),
    ("uart", GONE),
    ("uart.kind", GONE),
    ("uart.kind", ""),
    ("uart.address", "0x40004401"),
    ("uart.address", "0x1ffffffffffffffff0"),
    ("uart.interrupt", -1),
    ("uart.interrupt", 4097),
    ("uart.interrupt", False),
    ("uart.clock_hz", 100),
    ("uart.baud", 0),
    ("uart.baud", 100_000_001),
    ("uart.parity", "even"),
    ("setup", {}),
    ("setup", ["0x1"]),
    ("setup.0.why", GONE),
    ("setup.0.bits", 24),
    ("setup.0.bits", "32"),
    ("setup.0.set", 1),
    ("setup.0.mask", "0x1"),
    ("setup.0", {"address": "0x40023830", "why": "changes nothing"}),
    ("timer", "systick"),
    ("timer", {}),
    ("timer.kind", 3),
    ("timer.kind", ""),
    ("timer.Hz", 1),
    ("timer.hz", -1),
    ("timer.hz", 1.5),
    ("timer.hz", "32768"),
    ("interrupts", {"context": 0}),
    ("restart", []),
    ("restart.address", GONE),
    ("usb", "0483:374b"),
    ("usb", ["0483:374B"]),
    ("usb", [1155]),
    ("reset", "kick"),
    ("address", ""),
    ("runner", 3),
    ("runners", []),
    ("runners.openocd", "board/st_nucleo_f4.cfg"),
    ("runners.-tool", {}),
]
# The runners read their own parameters, when they are used.
WRONG_PARAMETERS: List[Any] = [
    ("openocd", {}),
    ("openocd", {"config": []}),
    ("openocd", {"config": "board/st_nucleo_f4.cfg"}),
    ("openocd", {"config": ["a.cfg"], "command": []}),
    ("openocd", {"config": ["a.cfg"], "commands": [1]}),
    ("qemu", {"program": "qemu-system-arm"}),
    ("nrfutil", {"family": "NRF52"}),
    ("picotool", {"usb": "2e8a:0003"}),
    ("jlink", {"device": "STM32F446RE", "interface": "swd"}),
    ("jlink", {"device": "STM32F446RE", "speed_khz": -1}),
    ("nrfjprog", {"family": "nrf52"}),
    ("dfu-util", {"usb": "0483:DF11"}),
    ("st-flash", {"connect_under_reset": 1}),
    ("stm32cubeprogrammer", {"connect": "mode=UR"}),
    ("pyocd", {"target": ""}),
]
WRONG_DOCUMENTS: List[Any] = [
    [],
    {},
    {"schema": 2, "boards": {"chip": CHIP}},
    {"schema": 1},
    {"schema": 1, "boards": {}},
    {"schema": 1, "boards": []},
    {"schema": 1, "boards": {"chip": 3}},
    {"schema": 1, "boards": {"no name": CHIP}},
    {"schema": 1, "boards": {"": CHIP}},
    {"schema": 1, "boards": {"x" * 65: CHIP}},
]


def document_of(entry: Any) -> Dict[str, Any]:
    return {"schema": 1, "boards": {"chip": entry}}


def changed(path: str, value: Any) -> Dict[str, Any]:
    """Return CHIP with one field set, or removed for GONE."""
    entry = copy.deepcopy(CHIP)
    inside: Any = entry
    *parents, last = path.split(".") if path != "runners.-tool" else ["runners", "-tool"]
    for key in parents:
        inside = inside[int(key) if isinstance(inside, list) else key]
    place: Any = int(last) if isinstance(inside, list) else last
    if value is GONE:
        del inside[place]
    else:
        inside[place] = value
    return entry


def is_refused_by_the_readers(document: Any, tmp_path: Path) -> bool:
    path = tmp_path / "boards.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        load_boards(path)
    except BoardError:
        return True
    return False


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.parent.name)
def test_every_board_of_the_template_is_accepted(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


def test_a_platform_names_its_schema(bake: Baker) -> None:
    platform = bake(board_family="riscv").path
    named = json.loads((platform / "boards.json").read_text(encoding="utf-8"))["$schema"]
    assert json.loads((platform / named).read_text(encoding="utf-8")) == SCHEMA


def test_an_entry_with_every_field_is_accepted_by_both(tmp_path: Path) -> None:
    assert VALIDATOR.is_valid(document_of(CHIP))
    assert not is_refused_by_the_readers(document_of(CHIP), tmp_path)
    assert set(CHIP) == set(SCHEMA["$defs"]["board"]["properties"]) - {"port"}


def test_an_older_name_is_accepted_by_both(tmp_path: Path) -> None:
    older = {"port" if name == "device_port" else name: value for name, value in CHIP.items()}
    assert VALIDATOR.is_valid(document_of(older))
    assert not is_refused_by_the_readers(document_of(older), tmp_path)
    del older["uart"]
    assert not VALIDATOR.is_valid(document_of(older))
    assert is_refused_by_the_readers(document_of(older), tmp_path)


@pytest.mark.parametrize(("path", "value"), WRONG_FIELDS)
def test_a_wrong_field_is_refused_by_both(tmp_path: Path, path: str, value: Any) -> None:
    document = document_of(changed(path, value))
    assert is_refused_by_the_readers(document, tmp_path)
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("document", WRONG_DOCUMENTS)
def test_a_wrong_document_is_refused_by_both(tmp_path: Path, document: Any) -> None:
    assert is_refused_by_the_readers(document, tmp_path)
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(("runner", "parameters"), WRONG_PARAMETERS)
def test_a_wrong_parameter_of_a_runner_is_refused_by_both(
    tmp_path: Path, runner: str, parameters: Any
) -> None:
    document = document_of(changed(f"runners.{runner}", parameters))
    assert not VALIDATOR.is_valid(document)
    assert not is_refused_by_the_readers(document, tmp_path)  # until the runner is used
    board = load_boards(tmp_path / "boards.json")["chip"]
    with pytest.raises(BoardError):
        RUNNERS[runner].read_params(board)


def test_every_core_is_suggested() -> None:
    assert SCHEMA["$defs"]["board"]["properties"]["cpu"]["examples"] == list(CPUS)


@pytest.mark.parametrize(
    ("alignment", "right", "wrong"),
    [
        (16, ["0x0", "0x00", "0x20000000", "0xffffffffffffffF0"], ["0x8", "0x20000001", "0x", "20000000"]),
        (256, ["0x0", "0x00", "0x100", "0x08000000"], ["0x10", "0x80", "0x08000010", "0x1"]),
    ],
)
def test_a_pattern_matches_multiples(alignment: int, right: List[str], wrong: List[str]) -> None:
    validator = Draft202012Validator({"pattern": multiple_of(alignment)})
    assert [text for text in right if not validator.is_valid(text)] == []
    assert [text for text in wrong if validator.is_valid(text)] == []


def test_a_reader_without_a_schema_is_an_error() -> None:
    def unknown(value: Any) -> Any:
        return value

    reader: Callable[[Any], Any] = unknown
    with pytest.raises(KeyError, match="unknown has no row in READERS"):
        value_of(reader)


def test_a_choice_and_a_number_have_their_schemas() -> None:
    fields = {"side": Field(one_of("left", "right"), True, "a side"), "n": Field(count, False, "a number")}
    schema = object_of(fields)
    assert schema["required"] == ["side"]
    assert schema["properties"]["side"] == {"description": "a side", "enum": ["left", "right"]}
    assert schema["properties"]["n"]["minimum"] == 1
