# SPDX-License-Identifier: Apache-2.0
"""Reader of boards.json, which checks the file against its schema.

    {"schema": 1, "boards": {"<name>": {"label": ..., "family": ..., ...}}}

The tables of fields in this module are the schema. A row has the reader of the field's value, states if the
field is required, and describes the field for error messages. Addresses and bit masks are strings such as
"0x40004400", because JSON has no hexadecimal numbers.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Final, List, Mapping, Optional, Tuple, Union

from runtime import server
from runtime.host.boards.board import BARE_METAL, Board, Memory, RegisterWrite, Uart
from runtime.host.boards.fields import (
    Field,
    WrongField,
    address,
    count,
    flag,
    number,
    one_of,
    read_fields,
    text,
)
from runtime.host.boards.rules import broken_rule
from runtime.host.errors import BoardError, reason_of
from runtime.host.system.regular_files import NotRegular, read_text
from runtime.host.transports.resets import RESETS

SCHEMA_VERSION: Final = 1

TRANSPORTS: Final = ("process", "serial", "socket")
VERIFIED: Final = ("run", "emulated", "built")
DETAIL: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
RUNNER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
USB_ID: Final = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
FEWEST_STACK_BYTES: Final = 2048


def _stack(value: Any) -> int:
    if count(value) < FEWEST_STACK_BYTES or value % 16:
        raise ValueError(f"expected a multiple of 16, {FEWEST_STACK_BYTES} or more")
    return int(value)


def _usb_ids(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(id_, str) and USB_ID.fullmatch(id_) for id_ in value
    ):
        raise ValueError('expected a list of strings such as "0483:374b" (vendor:product, lower case)')
    return tuple(value)


def _object(fields: Mapping[str, Field]) -> Callable[[Any], Dict[str, Any]]:
    """Return a reader of an object with these fields; an optional field that is missing becomes None."""

    def read(value: Any) -> Dict[str, Any]:
        return read_fields(value, fields)

    return read


def _setup(value: Any) -> Tuple[RegisterWrite, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of register writes")
    return tuple(_register_write(step) for step in value)


def _register_write(value: Any) -> RegisterWrite:
    step = read_fields(value, REGISTER_WRITE)
    return RegisterWrite(
        step["address"], step["clear"] or 0, step["set"] or 0, step["bits"] or 32, step["why"]
    )


def _memory(value: Any) -> Optional[Dict[str, Optional[Memory]]]:
    if value is None:
        return None
    parts = read_fields(value, MEMORY)
    return {name: Memory(**part) for name, part in parts.items()}


def _uart(value: Any) -> Uart:
    fields = read_fields(value, UART)
    return Uart(**{**fields, "pins": fields["pins"] or ""})


def _kind_and_more(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError('expected an object with a "kind"')
    return {key: _detail(key, item) for key, item in value.items()}


def _detail(key: str, item: Any) -> Any:
    """Return one field of a timer or an interrupt controller.

    The field "kind" is the name of the driver. The other fields are numbers, each of which becomes a macro
    of board.h. The driver's source decides which numbers there are.
    """
    if not DETAIL.fullmatch(key):
        raise ValueError("expected names of lower-case letters, digits and '_' for the fields")
    if key == "kind":
        return text(item)
    return address(item) if isinstance(item, str) else number(item)


def _runners(value: Any) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise ValueError("expected an object of objects, one for each flash tool or emulator")
    if not all(RUNNER_NAME.fullmatch(name) for name in value):
        raise ValueError("expected runner names of letters, digits, '_', '.' and '-'")
    return value


REGISTER_WRITE: Final = {
    "address": Field(address, True, "the register's address"),
    "clear": Field(address, False, "the mask of the bits to clear first"),
    "set": Field(address, False, "the mask of the bits to set"),
    "bits": Field(one_of(8, 16, 32), False, "the width of the access; the default is 32"),
    "why": Field(text, True, "a description of the write's purpose"),
}
MEMORY_RANGE: Final = {
    "address": Field(address, False, "the first address"),
    "bytes": Field(count, True, "the size in bytes"),
}
MEMORY: Final = {
    "flash": Field(
        _object(MEMORY_RANGE), True, "address and bytes of the memory to which the firmware is written"
    ),
    "ram": Field(_object(MEMORY_RANGE), True, "address and bytes of the RAM"),
}
UART: Final = {
    "kind": Field(text, True, "the name of the driver, a file of runtime/device/ports/uart/"),
    "address": Field(address, True, "the address of the UART's first register"),
    "interrupt": Field(number, True, "the UART's number at the interrupt controller"),
    "clock_hz": Field(count, True, "the frequency in Hz from which the baud rate is divided"),
    "baud": Field(count, True, "the bits per second"),
    "pins": Field(text, False, "a description of the UART's pins on the board"),
}
OLD_NAMES: Final = {"port": "device_port"}
"""Name of a field in the boards.json of an older platform -> its name today."""

FIELDS: Final = {
    "label": Field(text, True, "a description of the board"),
    "family": Field(text, True, "the board family whose build files the board uses"),
    "device_port": Field(
        text, True, "a folder of runtime/device/ports/, or custom for the platform's own port/"
    ),
    "transport": Field(one_of(*TRANSPORTS), True, "the kind of connection to the board"),
    "verified": Field(one_of(*VERIFIED), True, "the last step that was verified for the board"),
    "memory": Field(_memory, False, "flash and ram, or null for no limit"),
    "cpu": Field(text, False, "the processor core, a name of runtime/host/boards/cores.py"),
    "clock_hz": Field(count, False, "the frequency of the core in Hz after a reset and `setup`"),
    "stack_bytes": Field(_stack, False, "the size of the stack in bytes; the default depends on the RAM"),
    "uart": Field(_uart, False, "the UART between the host and the board"),
    "setup": Field(_setup, False, "the register writes for clocks and pins before the UART is enabled"),
    "timer": Field(_kind_and_more, False, "the time source, a file of runtime/device/ports/timer/"),
    "interrupts": Field(
        _kind_and_more, False, "the interrupt controller, if it is not a part of the core itself"
    ),
    "restart": Field(_register_write, False, "the register write that resets the chip"),
    "usb": Field(_usb_ids, False, "a list of the USB ids of the serial port, each vendor:product"),
    "reset": Field(
        one_of(*RESETS), False, "the way that opening the serial port resets the board; the default is none"
    ),
    "address": Field(text, False, "HOST:PORT of a board with a socket"),
    "runner": Field(text, False, "the default flash tool or emulator"),
    "runners": Field(_runners, False, "an object with the parameters of each flash tool and emulator"),
    "default": Field(flag, False, "true for the default board of the platform"),
}
# Device port -> required fields of a bare-metal board. A Cortex-M needs no timer, because every Cortex-M has
# SysTick. The timer of a RISC-V chip is the vendor's choice.
CHIP: Final = {
    "cortex_m": ("cpu", "clock_hz", "memory", "uart"),
    "riscv": ("cpu", "clock_hz", "memory", "uart", "timer", "interrupts"),
}
USUAL_TIMER: Final[Mapping[str, Mapping[str, Any]]] = {"cortex_m": {"kind": "systick"}}


class BoardTable:
    """The content of a boards.json.

    Attributes:
        text: The file as it was read.
        boards: Name -> board, in the order of the file.
    """

    def __init__(self, text: str, boards: Dict[str, Board]) -> None:
        # A plain class, because a NamedTuple adds 0.5 ms to the start of an API server.
        self.text = text
        self.boards = boards


def load_boards(path: Union[str, os.PathLike[str]]) -> Dict[str, Board]:
    """Return the boards of the boards.json at path, in the order of the file.

    Raises:
        BoardError: The file cannot be read or is invalid; the message names entry and field.
    """
    return read_table(path).boards


def read_table(path: Union[str, os.PathLike[str]]) -> BoardTable:
    """Read the boards.json at path.

    Raises:
        BoardError: The file cannot be read or is invalid; the message names entry and field.
    """
    try:
        content = read_text(path)
    except OSError as error:
        raise BoardError(
            f"{path} cannot be read: the file {error.strerror}."
            if isinstance(error, NotRegular)
            else f"{path} cannot be read: {reason_of(error)}.",
            "Restore the platform's boards.json, or bake the platform again.",
        ) from error
    except ValueError as error:
        raise _not_json(path, error) from error
    return BoardTable(content, _read_boards(path, content))


def _not_json(path: Union[str, os.PathLike[str]], error: Exception) -> BoardError:
    return BoardError(
        f"{path} is not JSON: {server.shortened(str(error), 200)}.",
        "Fix the JSON at the position that the message states.",
    )


def _read_boards(path: Union[str, os.PathLike[str]], content: str) -> Dict[str, Board]:
    try:
        document = json.loads(content, object_pairs_hook=_without_doubles)
    except WrongField as error:
        raise BoardError(f"{path}: {error.what}", error.next_step) from None
    except (ValueError, RecursionError) as error:
        raise _not_json(path, error) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA_VERSION:
        found = document.get("schema") if isinstance(document, dict) else document
        raise BoardError(
            f"{path} has an unsupported schema: expected "
            f'{{"schema": {SCHEMA_VERSION}, "boards": {{...}}}}, got schema {server.shortened(repr(found))}.',
            "Use the boards.json that came with this platform's runtime/.",
        )
    entries = document.get("boards")
    if not isinstance(entries, dict) or not entries:
        raise BoardError(f"{path} has no boards.", 'Add at least one entry to "boards".')
    boards = {name: _board(path, name, entry) for name, entry in entries.items()}
    defaults = [board.name for board in boards.values() if board.default]
    if len(defaults) != 1:
        raise BoardError(
            f'{path} has an invalid default: expected exactly one board with "default": true, '
            f"got {len(defaults)}" + (f" ({', '.join(defaults)})." if defaults else "."),
            'Set "default": true in exactly one entry.',
        )
    return boards


def choose_board(boards: Dict[str, Board], name: Optional[str]) -> Board:
    """Return the board of that name, or the default board for None.

    Raises:
        BoardError: No board has that name; the message lists similar or all names.
    """
    if name is None:
        return next(board for board in boards.values() if board.default)
    if name in boards:
        return boards[name]
    raise BoardError(f"Unknown board {server.shortened(name)!r}.", server.did_you_mean(name, boards))


def _without_doubles(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """Return a JSON object. Raise WrongField for a duplicate name: json would keep the last value only."""
    result: Dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise WrongField(
                f"{server.shortened(name)!r} is a duplicate name in one object.",
                "Rename or remove one of the two.",
            )
        result[name] = value
    return result


def _board(path: Union[str, os.PathLike[str]], name: str, entry: Any) -> Board:
    def refuse(what: str, next_step: str) -> BoardError:
        return BoardError(f"{path}: board {server.shortened(name)!r}: {what}", next_step)

    if not isinstance(entry, dict):
        raise refuse("the entry is not an object.", f"Write an object with the fields {', '.join(FIELDS)}.")
    try:
        fields = read_fields(_with_todays_names(entry), FIELDS)
    except WrongField as error:
        raise refuse(error.what, error.next_step) from None
    if fields["device_port"] in BARE_METAL:
        for key in CHIP[fields["device_port"]]:
            if fields[key] is None:
                raise refuse(f"field {key!r} is missing.", f"Set {key!r} to {FIELDS[key].meaning}.")
        for kind, memory in fields["memory"].items():
            if memory.address is None:
                raise refuse(
                    f"field 'memory.{kind}.address' is missing.",
                    f"Set memory.{kind}.address, which the linker script needs, to the first address.",
                )
    memory = fields.pop("memory") or {"flash": None, "ram": None}
    runners = fields["runners"] or {}
    if fields["runner"] is not None and fields["runner"] not in runners:
        raise refuse(
            f"field 'runner' is invalid: expected a key of 'runners' ({', '.join(runners) or 'none'}), "
            f"got {fields['runner']!r}.",
            f"Add an entry {fields['runner']!r} to runners, or correct the field 'runner'.",
        )
    ram: Optional[Memory] = memory["ram"]
    board = Board(
        **{
            **fields,
            "name": name,
            "flash": memory["flash"],
            "ram": ram,
            "stack_bytes": fields["stack_bytes"] or _usual_stack(ram),
            "setup": fields["setup"] or (),
            "timer": fields["timer"] or USUAL_TIMER.get(fields["device_port"], {}),
            "interrupts": fields["interrupts"] or {},
            "usb": fields["usb"] or (),
            "reset": fields["reset"] or "none",
            "address": fields["address"] or "",
            "runners": runners,
            "default": bool(fields["default"]),
        }
    )
    wrong = broken_rule(board)
    if wrong is not None:
        raise refuse(*wrong)
    return board


def _with_todays_names(entry: Mapping[str, Any]) -> Dict[str, Any]:
    """Return an entry with today's names of the fields in OLD_NAMES. Raise WrongField for both names."""
    for old, new in OLD_NAMES.items():
        if old in entry and new in entry:
            raise WrongField(
                f"fields {old!r} and {new!r} are duplicates.", f"Remove {old!r}, the older name."
            )
    return {OLD_NAMES.get(name, name): value for name, value in entry.items()}


def _usual_stack(ram: Optional[Memory]) -> int:
    """Return an eighth of the RAM, at least FEWEST_STACK_BYTES and at most 16 KiB, a multiple of 16.

    The device runtime needs the minimum. No kernel was measured to need more than the maximum.
    """
    return max(FEWEST_STACK_BYTES, min(16384, ram.bytes // 8 // 16 * 16)) if ram is not None else 0
