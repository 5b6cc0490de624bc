# SPDX-License-Identifier: Apache-2.0
"""The boards of a platform: boards.json, read and checked against its schema.

    {"schema": 1, "boards": {"<name>": {"label": ..., "family": ..., ...}}}

To add a board is to add an entry. FIELDS is the schema: every field with its type, whether it must be
there, and what it means; a wrong entry is refused with the field's own sentence.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from runtime import server
from runtime.host.errors import BoardError

SCHEMA_VERSION = 1


class Field(NamedTuple):
    """One field of a board's entry. types: the JSON types allowed, as Python types."""

    types: Tuple[type, ...]
    required: bool
    meaning: str


NoneType = type(None)

FIELDS: Dict[str, Field] = {
    "label": Field((str,), True, "what the board is, in words"),
    "family": Field((str,), True, "the board family whose build files serve it"),
    "port": Field((str,), True, "the folder of runtime/device/ports/ that holds its platform functions"),
    "transport": Field((str,), True, "how its bytes travel: process"),
    "verified": Field((str,), True, "how far it was verified: run, emulated or built"),
    "memory": Field((dict, NoneType), False, "flash_bytes and ram_bytes, or null where there is no limit"),
    "default": Field((bool,), False, "true on the one board that is used when none is named"),
}
TRANSPORTS = ("process",)
VERIFIED = ("run", "emulated", "built")


class Board(NamedTuple):
    """One entry of boards.json. Sizes are bytes; None stands for "no limit"."""

    name: str
    label: str
    family: str
    port: str
    transport: str
    verified: str
    flash_bytes: Optional[int]
    ram_bytes: Optional[int]
    default: bool


def load_boards(path: Union[str, os.PathLike[str]]) -> Dict[str, Board]:
    """Read boards.json at path; its order is kept. Raises BoardError naming the entry and the field."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - an API server's start does without pathlib
            document = json.load(file)
    except OSError as error:
        raise BoardError(
            f"{path} cannot be read: {error.strerror or error}.",
            "It came with the platform: restore it, or bake the platform again.",
        ) from error
    except ValueError as error:
        raise BoardError(f"{path} is not JSON: {error}.", "Mend the line that it names.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA_VERSION:
        found = document.get("schema") if isinstance(document, dict) else document
        raise BoardError(
            f'{path} has schema {found!r}; want {{"schema": {SCHEMA_VERSION}, "boards": {{...}}}}.',
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
    raise BoardError(f"There is no board {name!r}.", server.did_you_mean(name, boards))


def _board(path: Union[str, os.PathLike[str]], name: str, entry: Any) -> Board:
    def refuse(what: str, next_step: str) -> BoardError:
        return BoardError(f"{path}: board {name!r}: {what}", next_step)

    if not isinstance(entry, dict):
        raise refuse("is not an object.", f"Give it the fields {', '.join(FIELDS)}.")
    for key in entry:
        if key not in FIELDS:
            raise refuse(f"unknown field {key!r}.", server.did_you_mean(key, FIELDS))
    for key, field in FIELDS.items():
        if key not in entry:
            if field.required:
                raise refuse(f"field {key!r} is missing.", f"{key}: {field.meaning}.")
        elif type(entry[key]) not in field.types:
            raise refuse(f"field {key!r} is {entry[key]!r}.", f"{key}: {field.meaning}.")
    for key, allowed in (("transport", TRANSPORTS), ("verified", VERIFIED)):
        if entry[key] not in allowed:
            raise refuse(f"field {key!r} is {entry[key]!r}.", f"want one of: {', '.join(allowed)}.")
    return Board(
        name=name,
        label=entry["label"],
        family=entry["family"],
        port=entry["port"],
        transport=entry["transport"],
        verified=entry["verified"],
        flash_bytes=_memory(entry, "flash_bytes", refuse),
        ram_bytes=_memory(entry, "ram_bytes", refuse),
        default=entry.get("default", False),
    )


def _memory(entry: Dict[str, Any], key: str, refuse: Any) -> Optional[int]:
    memory = entry.get("memory")
    if memory is None:
        return None
    size = memory.get(key)
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise refuse(f"memory.{key} is {size!r}.", f"memory: {FIELDS['memory'].meaning}.")
    return size
