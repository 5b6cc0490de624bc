# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of boards.json, from the tables of fields that read it.

A reader of a value (runtime/host/boards/fields.py, table.py, the runners) has a row in READERS: the words for
people and the schema for editors. A reader without a row is an error, so the schema has every field.

A schema cannot express all that the readers check. NOT_EXPRESSED lists the rest for the page of boards.json.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Callable, Dict, Final, List, Mapping, NamedTuple, Tuple

from runtime.host.boards import fields, rules, table
from runtime.host.boards.board import BARE_METAL, CUSTOM
from runtime.host.boards.cores import CPUS
from runtime.host.boards.fields import Field
from runtime.host.runners import nordic, usb
from runtime.host.runners.table import RUNNERS

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = Dict[str, Any]

# Characters that str.isprintable() refuses, without rare and unassigned ones; ECMA-262 and Python read this.
NOT_PRINTABLE: Final = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u1680\u2000-\u200f\u2028-\u202e\u205f-\u206f\u3000\ufeff"
)
# A register access of 4 bytes: the last digit of the address.
WORD_ADDRESS: Final = "^0x[0-9a-fA-F]{0,15}[048cC]$"


class Value(NamedTuple):
    """A value of a field: words for people, and its schema."""

    words: str
    schema: Schema


def _string(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def multiple_of(alignment: int) -> str:
    """Return a pattern of hexadecimal strings that are multiples of an alignment, a power of 16."""
    zeros = len(f"{alignment:x}") - 1
    assert alignment == 16**zeros
    return f"^0x(?:0{{1,{zeros}}}|[0-9a-fA-F]{{0,{16 - zeros}}}0{{{zeros}}})$"


TEXT: Final = Value(
    "string",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": fields.LONGEST_TEXT,
        "pattern": f"^[^{NOT_PRINTABLE}]*$",
    },
)
NUMBER: Final = Value("integer, 0 or more", {"type": "integer", "minimum": 0, "maximum": fields.LARGEST})
ADDRESS: Final = Value('hexadecimal string, such as `"0x40004400"`', _string(fields.ADDRESS.pattern))
USB_ID: Final = Value("string `vendor:product`, lower case", _string(table.USB_ID.pattern))
REGISTER_WRITE: Final = "register_write"

READERS: Final[Mapping[Callable[[Any], Any], Value]] = {
    fields.text: TEXT,
    fields.flag: Value("`true` or `false`", {"type": "boolean"}),
    fields.count: Value("integer above 0", {"type": "integer", "minimum": 1, "maximum": fields.LARGEST}),
    fields.number: NUMBER,
    fields.address: ADDRESS,
    fields.strings: Value("list of strings", {"type": "array", "items": TEXT.schema}),
    fields.non_empty_strings: Value(
        "list of at least one string", {"type": "array", "items": TEXT.schema, "minItems": 1}
    ),
    table._stack: Value(
        f"integer, a multiple of 16, {table.FEWEST_STACK_BYTES} or more",
        {"type": "integer", "minimum": table.FEWEST_STACK_BYTES, "multipleOf": 16, "maximum": fields.LARGEST},
    ),
    table._usb_ids: Value("list of strings `vendor:product`", {"type": "array", "items": USB_ID.schema}),
    table._setup: Value(
        "list of [register writes](#a-register-write)",
        {"type": "array", "items": {"$ref": f"#/$defs/{REGISTER_WRITE}"}},
    ),
    table._register_write: Value(
        "[register write](#a-register-write)", {"$ref": f"#/$defs/{REGISTER_WRITE}"}
    ),
    table._memory: Value(
        "[object](#memory) or `null`", {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/memory"}]}
    ),
    table._uart: Value("[object](#uart)", {"$ref": "#/$defs/uart"}),
    table._kind_and_more: Value(
        "[object with a `kind`](#timer-and-interrupts)", {"$ref": "#/$defs/kind_and_more"}
    ),
    table._runners: Value("[object](#runners)", {"$ref": "#/$defs/runners"}),
    nordic._family: Value(
        "one of " + ", ".join(f"`{name}`" for name in nordic.FAMILIES), {"enum": [*nordic.FAMILIES]}
    ),
    usb._usb_id: USB_ID,
}

NOT_EXPRESSED: Final = (
    "Exactly one board has `default`: `true`.",
    "`runner` is a key of `runners`.",
    "No key appears twice in one object.",
    "`stack_bytes` is less than the RAM.",
    "Flash and RAM do not overlap, and end within the address space.",
    "A register write changes a bit of its width, and its address is a multiple of its width.",
)


def value_of(reader: Callable[[Any], Any]) -> Value:
    """Return words and schema of a reader. Raises KeyError with the name of a reader that has no row."""
    if reader in READERS:
        return READERS[reader]
    inner = inspect.getclosurevars(reader).nonlocals
    if "allowed" in inner:  # fields.one_of
        allowed = list(inner["allowed"])
        return Value("one of " + ", ".join(f"`{item}`" for item in allowed), {"enum": allowed})
    if isinstance(inner.get("fields"), Mapping):  # an object with fields of its own
        return Value("object", object_of(inner["fields"]))
    raise KeyError(f"{reader.__qualname__} has no row in READERS of tools/docs/schema.py")


def object_of(table_of_fields: Mapping[str, Field]) -> Schema:
    """Return the schema of an object with these fields."""
    schema: Schema = {
        "type": "object",
        "properties": {
            name: {"description": field.meaning, **value_of(field.read).schema}
            for name, field in table_of_fields.items()
        },
        "additionalProperties": False,
    }
    required = [name for name, field in table_of_fields.items() if field.required]
    if required:
        schema["required"] = required
    return schema


def drivers(kind: str, root: Path) -> List[str]:
    """Return the drivers of a kind: uart, timer or interrupts."""
    return sorted(path.stem for path in (root / "runtime/device/ports" / kind).glob("*.c"))


def boards_schema(root: Path) -> Schema:
    """Return the JSON Schema of boards.json."""
    return {
        "$schema": DRAFT,
        "title": "boards.json of a microTVM platform",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "schema": {"const": table.SCHEMA_VERSION},
            "boards": {
                "description": "the boards, by name; exactly one has default: true",
                "type": "object",
                "minProperties": 1,
                "propertyNames": _string(rules.NAME.pattern),
                "additionalProperties": {"$ref": "#/$defs/board"},
            },
        },
        "required": ["schema", "boards"],
        "$defs": {
            "board": _board(root),
            "memory": _memory(),
            "uart": _uart(root),
            REGISTER_WRITE: {
                **object_of(table.REGISTER_WRITE),
                "anyOf": [{"required": [n]} for n in ("clear", "set")],
            },
            "kind_and_more": {
                "type": "object",
                "properties": {"kind": TEXT.schema},
                "required": ["kind"],
                "patternProperties": {
                    f"^(?!kind$)(?:{table.DETAIL.pattern})$": {"anyOf": [ADDRESS.schema, NUMBER.schema]}
                },
                "additionalProperties": False,
            },
            "runners": _runners(),
        },
    }


def _board(root: Path) -> Schema:
    board = object_of(table.FIELDS)
    properties = board["properties"]
    for name, words in {
        "cpu": list(CPUS),
        "device_port": [*BARE_METAL, CUSTOM, "host"],
        "runner": list(RUNNERS),
    }.items():
        properties[name]["examples"] = words
    for name in ("timer", "interrupts"):
        properties[name]["examples"] = [{"kind": kind} for kind in drivers(name, root)]
    properties["clock_hz"].update(minimum=rules.SLOWEST_HZ, maximum=rules.FASTEST_HZ)
    either = []
    for old, new in table.OLD_NAMES.items():
        properties[old] = {**properties[new], "deprecated": True, "description": f"the older name of {new}"}
        board["required"].remove(new)
        either.append({"oneOf": [{"required": [new]}, {"required": [old]}]})
    board["allOf"] = [*either, *(_chip(port, needed) for port, needed in table.CHIP.items())]
    return board


def _chip(port: str, needed: Tuple[str, ...]) -> Schema:
    """Return the condition: a board of this device port describes its chip."""
    names = {"const": port}
    return {
        "if": {
            "anyOf": [
                {"properties": {name: names}, "required": [name]}
                for name in ("device_port", *table.OLD_NAMES)
            ]
        },
        "then": {
            "required": list(needed),
            "properties": {
                "memory": {
                    "type": "object",
                    "properties": {name: {"required": ["address"]} for name in table.MEMORY},
                }
            },
        },
    }


def _memory() -> Schema:
    memory = object_of(table.MEMORY)
    for name, alignment in (("flash", rules.FLASH_ALIGNMENT), ("ram", rules.RAM_ALIGNMENT)):
        memory["properties"][name]["properties"]["address"]["pattern"] = multiple_of(alignment)
    return memory


def _uart(root: Path) -> Schema:
    uart = object_of(table.UART)
    properties = uart["properties"]
    properties["kind"]["examples"] = drivers("uart", root)
    properties["address"]["pattern"] = WORD_ADDRESS
    properties["interrupt"]["maximum"] = rules.MOST_INTERRUPTS
    properties["baud"]["maximum"] = rules.FASTEST_BAUD
    properties["clock_hz"].update(minimum=rules.SLOWEST_HZ, maximum=rules.FASTEST_HZ)
    return uart


def _runners() -> Schema:
    return {
        "type": "object",
        "propertyNames": _string(table.RUNNER_NAME.pattern),
        "properties": {name: object_of(runner.parameters) for name, runner in RUNNERS.items()},
        "additionalProperties": {"type": "object"},
    }
