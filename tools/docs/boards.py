# SPDX-License-Identifier: Apache-2.0
"""The page of boards.json, from the tables of fields that read it."""

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
from tools.docs.markdown import code, join, note, plain, sentence
from tools.docs.markdown import table as rows_of

# Rule of runtime/host/boards/rules.py -> its sentence. A rule without a sentence is an error.
RULES: Final[Mapping[str, str]] = {
    "_name": "The name of a board has at most 64 letters, digits, `_`, `.` and `-`, and begins with a letter or a digit.",
    "_aligned": (
        f"`memory.flash.address` is a multiple of {rules.FLASH_ALIGNMENT}, and `memory.ram.address` of "
        f"{rules.RAM_ALIGNMENT}."
    ),
    "_addressable": "Memory and UART lie within 32 bits of address, or 64 bits for a `cpu` that begins with `rv64`.",
    "_apart": "Flash and RAM do not overlap.",
    "_stack_fits": "`stack_bytes` is less than `memory.ram.bytes`.",
    "_uart_aligned": "`uart.address` is a multiple of 4.",
    "_uart_numbers": (
        f"`uart.interrupt` is at most {rules.MOST_INTERRUPTS:,}, and `uart.baud` at most {rules.FASTEST_BAUD:,}."
    ),
    "_clocks": f"`clock_hz` and `uart.clock_hz` are {rules.SLOWEST_HZ:,} to {rules.FASTEST_HZ:,} Hz.",
    "_writes": (
        "The address of a register write is a multiple of its width. `clear` and `set` fit into the width, and one of "
        "them is not 0."
    ),
}
FIRST_COMMENT: Final = re.compile(r"/\*(?! SPDX)(.*?)\*/", re.DOTALL)


def page(root: Path) -> str:
    """Return docs/boards-json.md."""
    known = {rule.__name__ for rule in rules._RULES}
    assert known == set(RULES), f"RULES of tools/docs/boards.py and rules.py differ in {known ^ set(RULES)}"
    needs = [
        f"- `{port}`: {', '.join(map(code, fields))}, and the addresses of flash and RAM."
        for port, fields in table.CHIP.items()
    ]
    return join(
        [
            note("runtime/host/boards and runtime/host/runners"),
            "# boards.json",
            "`boards.json` describes the boards of a platform. A board is one entry of data. "
            "[Add a board](how-to/add-a-board.md) explains where the values come from.",
            '```json\n{\n  "$schema": "runtime/boards.schema.json",\n  "schema": 1,\n  "boards": {\n    "NAME": {"label": '
            '"...", "default": true}\n  }\n}\n```',
            "Sizes are bytes. Addresses and bit masks are hexadecimal strings, because JSON has no hexadecimal numbers. "
            "The file is read with a check of each field; an invalid field is refused with its name. "
            "`python mtvm.py boards` lists the boards that are read.",
            "An editor that supports JSON Schema completes and checks the fields: `runtime/boards.schema.json` is a "
            "schema of draft 2020-12, and the key `$schema` names it. These rules are checked when the file is read, "
            "and not by the schema:",
            "\n".join(f"- {rule}" for rule in schema.NOT_EXPRESSED),
            "## Fields of a board",
            _fields(table.FIELDS),
            f"An older platform may use `{next(iter(table.OLD_NAMES))}` for `device_port`.",
            "Boards of these device ports describe the chip, and must have these fields too:",
            "\n".join(needs),
            "## memory",
            _fields(table.MEMORY),
            "Each of the two:",
            _fields(table.MEMORY_RANGE),
            "## uart",
            _fields(table.UART),
            "`kind` is one of these drivers:",
            rows_of(("kind", "hardware"), _drivers("uart", root)),
            "## A register write",
            "`setup` is a list of register writes, and `restart` is one. First the bits of `clear` are cleared, then "
            "those of `set` are set.",
            _fields(table.REGISTER_WRITE),
            "## timer and interrupts",
            "`kind` is a driver. Every other field is a number or a hexadecimal string, and becomes a macro of the "
            "generated `board.h`: `hz` of a timer is `BOARD_TIMER_HZ`. A driver needs the macros that it uses.",
            rows_of(("kind of timer", "hardware"), _drivers("timer", root)),
            rows_of(("kind of interrupts", "hardware"), _drivers("interrupts", root)),
            "## cpu",
            "The core decides the compiler, its flags, and the options of TVM's target `llvm` that suit it.",
            rows_of(
                ("cpu", "compiler", "flags"),
                [[code(name), code(f"{cpu.cross}gcc"), code(" ".join(cpu.flags))] for name, cpu in CPUS.items()],
            ),
            "## runners",
            "The key is the name of a flash tool or emulator. The value is an object with the facts that the tool needs "
            "about the board.",
            *_runners(),
            "## Rules between fields",
            "\n".join(f"- {rule}" for rule in RULES.values()),
        ]
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


def _drivers(kind: str, root: Path) -> Iterator[List[str]]:
    """Yield each driver with the first comment of its file."""
    for name in schema.drivers(kind):
        text = (root / "runtime/device/ports" / kind / f"{name}.c").read_text(encoding="utf-8")
        found = FIRST_COMMENT.search(text)
        words = re.sub(r"\n \* ?", " ", found[1]) if found else ""
        yield [code(name), plain(re.split(r"(?<=\.)\s", words.strip())[0])]


def _runners() -> Iterator[str]:
    for name, runner in RUNNERS.items():
        yield f"### {name}"
        install = how_to_install(runner.tool)
        yield f"Program: `{runner.tool}`. {install or ''}" if install else f"Program: `{runner.tool}`."
        yield _fields(runner.parameters) if runner.parameters else "No parameters: the object is empty, `{}`."
