# SPDX-License-Identifier: Apache-2.0
"""The tables of the page of boards.json, from the tables of fields that read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Iterator, List, Mapping

from runtime.host.boards import rules, table
from runtime.host.boards.cores import CPUS
from runtime.host.boards.fields import Field
from runtime.host.runners.table import RUNNERS
from runtime.host.system.packages import how_to_install
from tools.docs import schema
from tools.docs.includes import Generator
from tools.docs.markdown import code, join, plain, sentence
from tools.docs.markdown import table as rows_of

# Rule of runtime/host/boards/rules.py -> its sentence. A rule without a sentence is an error.
RULES: Final[Mapping[str, str]] = {
    "_name": (
        "The name of a board has at most 64 letters, digits, `_`, `.` and `-`, and begins with a letter or a "
        "digit."
    ),
    "_aligned": (
        f"`memory.flash.address` is a multiple of {rules.FLASH_ALIGNMENT}, and `memory.ram.address` of "
        f"{rules.RAM_ALIGNMENT}."
    ),
    "_addressable": (
        "Memory and UART lie within 32 bits of address, or 64 bits for a `cpu` that begins with `rv64`."
    ),
    "_apart": "Flash and RAM do not overlap.",
    "_stack_fits": "`stack_bytes` is less than `memory.ram.bytes`.",
    "_uart_aligned": "`uart.address` is a multiple of 4.",
    "_uart_numbers": (
        f"`uart.interrupt` is at most {rules.MOST_INTERRUPTS:,}, "
        f"and `uart.baud` at most {rules.FASTEST_BAUD:,}."
    ),
    "_clocks": f"`clock_hz` and `uart.clock_hz` are {rules.SLOWEST_HZ:,} to {rules.FASTEST_HZ:,} Hz.",
    "_writes": (
        "The address of a register write is a multiple of its width. `clear` and `set` fit into the width, "
        "and one of them is not 0."
    ),
}
FIRST_COMMENT: Final = re.compile(r"/\*(?! SPDX)(.*?)\*/", re.DOTALL)


def _list(items: Iterator[str]) -> str:
    return "".join(f"- {item}\n" for item in items)


def _rules(_root: Path) -> str:
    known = {rule.__name__ for rule in rules._RULES}
    assert known == set(RULES), f"RULES of tools/docs/boards.py and rules.py differ in {known ^ set(RULES)}"
    return _list(iter(RULES.values()))


def _not_expressed(_root: Path) -> str:
    return _list(iter(schema.NOT_EXPRESSED))


def _chips(_root: Path) -> str:
    return _list(
        f"`{port}`: {', '.join(map(code, fields))}, and the addresses of flash and RAM."
        for port, fields in table.CHIP.items()
    )


def _cores(_root: Path) -> str:
    return rows_of(
        ("cpu", "compiler", "flags"),
        [[code(name), code(f"{cpu.cross}gcc"), code(" ".join(cpu.flags))] for name, cpu in CPUS.items()],
    )


def _fields(fields: Mapping[str, Field]) -> str:
    return rows_of(
        ("field", "value", "required", "meaning"),
        [
            [
                code(name),
                schema.value_of(field.read).words,
                "yes" if field.required else "",
                plain(sentence(field.meaning)),
            ]
            for name, field in fields.items()
        ],
    )


def _drivers(kind: str, root: Path) -> str:
    """Return each driver with the first sentence of the first comment of its file."""
    rows: List[List[str]] = []
    for name in schema.drivers(kind, root):
        text = (root / "runtime/device/ports" / kind / f"{name}.c").read_text(encoding="utf-8")
        found = FIRST_COMMENT.search(text)
        words = re.sub(r"\n \* ?", " ", found[1]) if found else ""
        rows.append([code(name), plain(re.split(r"(?<=\.)\s", words.strip())[0])])
    return rows_of(("kind", "hardware"), rows)


def _runners(_root: Path) -> str:
    parts: List[str] = []
    for name, runner in RUNNERS.items():
        parts.append(f"### {name}")
        parts.append(f"Program: `{runner.tool}`. {how_to_install(runner.tool) or ''}")
        parts.append(
            _fields(runner.parameters) if runner.parameters else "No parameters: the object is empty, `{}`."
        )
    return join(parts)


GENERATORS: Final[Mapping[str, Generator]] = {
    "not-in-the-schema": _not_expressed,
    "board-fields": lambda root: _fields(table.FIELDS),
    "chips": _chips,
    "memory-fields": lambda root: _fields(table.MEMORY),
    "range-fields": lambda root: _fields(table.MEMORY_RANGE),
    "uart-fields": lambda root: _fields(table.UART),
    "register-fields": lambda root: _fields(table.REGISTER_WRITE),
    "uart-drivers": lambda root: _drivers("uart", root),
    "timer-drivers": lambda root: _drivers("timer", root),
    "interrupt-drivers": lambda root: _drivers("interrupts", root),
    "cores": _cores,
    "runners": _runners,
    "rules": _rules,
}
