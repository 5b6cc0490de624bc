# SPDX-License-Identifier: Apache-2.0
"""The boards of a platform: boards.json, read and checked against its schema.

    {"schema": 1, "boards": {"<name>": {"label": ..., "family": ..., ...}}}

To add a board is to add an entry. The tables of fields below are the schema: every field with the reader of
its value, whether it must be there, and what it means; a wrong entry is refused with the field's own
sentence. Addresses and bit masks are texts such as "0x40004400", because JSON has no hexadecimal numbers.
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
        raise ValueError(f"want a multiple of 16, {FEWEST_STACK_BYTES} or more")
    return int(value)


def _usb_ids(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(id_, str) and USB_ID.fullmatch(id_) for id_ in value
    ):
        raise ValueError('want a list of texts such as "0483:374b" (vendor:product, lower case)')
    return tuple(value)


def _object(fields: Mapping[str, Field]) -> Callable[[Any], Dict[str, Any]]:
    """Reads an object with these fields; a field that is missing and need not be there reads as None."""

    def read(value: Any) -> Dict[str, Any]:
        return read_fields(value, fields)

    return read


def _setup(value: Any) -> Tuple[RegisterWrite, ...]:
    if not isinstance(value, list):
        raise ValueError("want a list of register writes")
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
        raise ValueError('want an object with a "kind"')
    return {key: _detail(key, item) for key, item in value.items()}


def _detail(key: str, item: Any) -> Any:
    """Reads one field of a timer or an interrupt controller: its kind is a name, the others are numbers, and
    each becomes a macro of board.h. Which ones there are is known by the drivers."""
    if not DETAIL.fullmatch(key):
        raise ValueError(f"{server.shortened(key)!r} cannot be one of its fields")
    if key == "kind":
        return text(item)
    return address(item) if isinstance(item, str) else number(item)


def _runners(value: Any) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise ValueError("want an object: the name of each flash tool and an object of what it needs")
    if not all(RUNNER_NAME.fullmatch(name) for name in value):
        raise ValueError("want names of flash tools of letters, digits, _ . and -")
    return value


REGISTER_WRITE: Final = {
    "address": Field(address, True, "the register"),
    "clear": Field(address, False, "bits to clear first"),
    "set": Field(address, False, "bits to set"),
    "bits": Field(one_of(8, 16, 32), False, "width of the access; 32 when it is left out"),
    "why": Field(text, True, "what that does, in words"),
}
MEMORY_RANGE: Final = {
    "address": Field(address, False, "where it begins"),
    "bytes": Field(count, True, "how large it is"),
}
MEMORY: Final = {
    "flash": Field(_object(MEMORY_RANGE), True, "what the firmware is written to: address and bytes"),
    "ram": Field(_object(MEMORY_RANGE), True, "address and bytes"),
}
UART: Final = {
    "kind": Field(text, True, "the driver, a file of runtime/device/ports/uart/"),
    "address": Field(address, True, "of its first register"),
    "interrupt": Field(number, True, "its number at the interrupt controller"),
    "clock_hz": Field(count, True, "the clock that its baud rate is divided from"),
    "baud": Field(count, True, "bits a second"),
    "pins": Field(text, False, "where to find it on the board, in words"),
}
OLD_NAMES: Final = {"port": "device_port"}
"""Names of fields that a boards.json of an older platform has -> their names today."""

FIELDS: Final = {
    "label": Field(text, True, "what the board is, in words"),
    "family": Field(text, True, "the board family whose build files serve it"),
    "device_port": Field(
        text, True, "a folder of runtime/device/ports/, or custom for port/ of the platform"
    ),
    "transport": Field(one_of(*TRANSPORTS), True, "how its bytes travel"),
    "verified": Field(one_of(*VERIFIED), True, "how far it was verified"),
    "memory": Field(_memory, False, "flash and ram, or null where there is no limit"),
    "cpu": Field(text, False, "the processor core, a name of runtime/host/boards/cores.py"),
    "clock_hz": Field(count, False, "the clock of the core after a reset and `setup`"),
    "stack_bytes": Field(_stack, False, "the stack; when left out, as much as suits the RAM"),
    "uart": Field(_uart, False, "the UART that carries the link"),
    "setup": Field(_setup, False, "register writes before the UART is enabled: clocks and pins"),
    "timer": Field(_kind_and_more, False, "the time source, a file of runtime/device/ports/timer/"),
    "interrupts": Field(
        _kind_and_more, False, "the interrupt controller, where the core has none of its own"
    ),
    "restart": Field(_register_write, False, "the register write that resets the chip"),
    "usb": Field(_usb_ids, False, "vendor:product of its serial port"),
    "reset": Field(one_of(*RESETS), False, "how opening its serial port resets it; none when left out"),
    "address": Field(text, False, "HOST:PORT of a board that is reached over a socket"),
    "runner": Field(text, False, "the flash tool or emulator that is used when none is named"),
    "runners": Field(_runners, False, "flash tools and emulators: what each needs to know of this board"),
    "default": Field(flag, False, "true on the one board that is used when none is named"),
}
# Port -> what the entry of a bare-metal board must have, and its timer when it names none. Every Cortex-M has
# SysTick; what a RISC-V has is its maker's choice.
CHIP: Final = {
    "cortex_m": ("cpu", "clock_hz", "memory", "uart"),
    "riscv": ("cpu", "clock_hz", "memory", "uart", "timer", "interrupts"),
}
USUAL_TIMER: Final[Mapping[str, Mapping[str, Any]]] = {"cortex_m": {"kind": "systick"}}


class BoardTable:
    """A boards.json: its text, and its boards by name, in its order."""

    def __init__(self, text: str, boards: Dict[str, Board]) -> None:
        self.text = text  # a plain class: a NamedTuple costs an API server's start half a millisecond
        self.boards = boards


def load_boards(path: Union[str, os.PathLike[str]]) -> Dict[str, Board]:
    """Return the boards of the boards.json at path, in its order. Raises BoardError, as read_table does."""
    return read_table(path).boards


def read_table(path: Union[str, os.PathLike[str]]) -> BoardTable:
    """Read boards.json at path. Raises BoardError naming the entry and the field."""
    try:
        content = read_text(path)
    except OSError as error:
        raise BoardError(
            f"{path} cannot be read: it {error.strerror}."
            if isinstance(error, NotRegular)
            else f"{path} cannot be read: {reason_of(error)}.",
            "It came with the platform: restore it, or bake the platform again.",
        ) from error
    except ValueError as error:
        raise _not_json(path, error) from error
    return BoardTable(content, _read_boards(path, content))


def _not_json(path: Union[str, os.PathLike[str]], error: Exception) -> BoardError:
    return BoardError(
        f"{path} is not JSON: {server.shortened(str(error), 200)}.", "Mend the line that it names."
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
            f"{path} has schema {server.shortened(repr(found))}; "
            f'want {{"schema": {SCHEMA_VERSION}, "boards": {{...}}}}.',
            "Use the boards.json that came with this platform's runtime/.",
        )
    entries = document.get("boards")
    if not isinstance(entries, dict) or not entries:
        raise BoardError(f"{path} names no boards.", "Give it at least one entry under boards.")
    boards = {name: _board(path, name, entry) for name, entry in entries.items()}
    defaults = [board.name for board in boards.values() if board.default]
    if len(defaults) != 1:
        raise BoardError(
            f'{path}: want exactly one board with "default": true, got {len(defaults)}'
            + (f" ({', '.join(defaults)})." if defaults else "."),
            'Set "default": true on one entry.',
        )
    return boards


def choose_board(boards: Dict[str, Board], name: Optional[str]) -> Board:
    """The board of that name, or the default one for None. Raises BoardError with the known names."""
    if name is None:
        return next(board for board in boards.values() if board.default)
    if name in boards:
        return boards[name]
    raise BoardError(f"There is no board {server.shortened(name)!r}.", server.did_you_mean(name, boards))


def _without_doubles(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """A JSON object, in which no name may stand twice: the last would win without a word."""
    result: Dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise WrongField(
                f"{server.shortened(name)!r} is there twice in one object.", "Give one of them another name."
            )
        result[name] = value
    return result


def _board(path: Union[str, os.PathLike[str]], name: str, entry: Any) -> Board:
    def refuse(what: str, next_step: str) -> BoardError:
        return BoardError(f"{path}: board {server.shortened(name)!r}: {what}", next_step)

    if not isinstance(entry, dict):
        raise refuse("is not an object.", f"Give it the fields {', '.join(FIELDS)}.")
    try:
        fields = read_fields(_with_todays_names(entry), FIELDS)
    except WrongField as error:
        raise refuse(error.what, error.next_step) from None
    if fields["device_port"] in BARE_METAL:
        for key in CHIP[fields["device_port"]]:
            if fields[key] is None:
                raise refuse(f"field {key!r} is missing.", f"{key}: {FIELDS[key].meaning}.")
        for kind, memory in fields["memory"].items():
            if memory.address is None:
                raise refuse(
                    f"field 'memory.{kind}.address' is missing.", "The linker script is written from it."
                )
    memory = fields.pop("memory") or {"flash": None, "ram": None}
    runners = fields["runners"] or {}
    if fields["runner"] is not None and fields["runner"] not in runners:
        raise refuse(
            f"field 'runner' is {fields['runner']!r}, which 'runners' does not have.",
            f"Give runners an entry {fields['runner']!r}; it has: {', '.join(runners) or 'none'}.",
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
    """Return an entry in which fields of OLD_NAMES have their names of today. Raises WrongField for both."""
    for old, new in OLD_NAMES.items():
        if old in entry and new in entry:
            raise WrongField(f"fields {old!r} and {new!r} are one.", f"Remove {old!r}, the older name.")
    return {OLD_NAMES.get(name, name): value for name, value in entry.items()}


def _usual_stack(ram: Optional[Memory]) -> int:
    """An eighth of the RAM, within what the device runtime needs and what kernels have been seen to take."""
    return max(FEWEST_STACK_BYTES, min(16384, ram.bytes // 8 // 16 * 16)) if ram is not None else 0
