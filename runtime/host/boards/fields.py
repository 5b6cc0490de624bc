# SPDX-License-Identifier: Apache-2.0
"""Objects of boards.json against a table of their fields: each field with the reader of its value, whether it
must be there, and what it means. A wrong one is refused with the field's own sentence."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Final, Mapping, NamedTuple, Tuple, Union

from runtime import server

LONGEST_TEXT: Final = 4_000
SPACES: Final = "\u00a0\u202f"  # print well, though Python does not call them printable
LARGEST: Final = (1 << 63) - 1
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")


class Field(NamedTuple):
    """One field of an object. read: gives the value or raises ValueError("want ...")."""

    read: Callable[[Any], Any]
    required: bool
    meaning: str


def text(value: Any) -> str:
    """Reads a text on one line: no control characters, which a terminal, C or a command line would take for
    more than text."""
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT:
        raise ValueError("want a text")
    if not all(letter.isprintable() or letter in SPACES for letter in value):
        raise ValueError("want a text without control characters")
    return value


def flag(value: Any) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise ValueError("want true or false")
    return value


def count(value: Any) -> int:
    """Reads a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise ValueError("want a whole number above 0")
    return value


def number(value: Any) -> int:
    """Reads a whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise ValueError("want a whole number, 0 or more")
    return value


def address(value: Any) -> int:
    """Reads a hexadecimal text such as "0x40004400"."""
    if not isinstance(value, str) or not ADDRESS.fullmatch(value):
        raise ValueError('want a hexadecimal text such as "0x40004400"')
    return int(value, 16)


def one_of(*allowed: Union[str, int]) -> Callable[[Any], Any]:
    """A reader of one of these values."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value not in allowed:
            raise ValueError(f"want one of: {', '.join(map(str, allowed))}")
        return value

    return read


def strings(value: Any) -> Tuple[str, ...]:
    """Reads a list of texts."""
    if not isinstance(value, list):
        raise ValueError("want a list of texts")
    return tuple(map(text, value))


def non_empty_strings(value: Any) -> Tuple[str, ...]:
    """Reads a list of at least one text."""
    if not strings(value):
        raise ValueError("want a list of at least one text")
    return tuple(value)


class WrongField(Exception):
    """what: the field and what is wrong with it. next_step: one sentence."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step


def read_fields(value: Any, fields: Mapping[str, Field], where: str = "") -> Dict[str, Any]:
    """Every field of `fields` with its value, None for one that is not there.

    where: what stands before a field's name in messages, such as "runners.jlink.". Raises WrongField, and
    ValueError where the value is no object.
    """
    if not isinstance(value, dict):
        raise ValueError(f"want an object with {', '.join(fields)}")
    for key in value:
        if key not in fields:
            unknown = server.shortened(where + key)
            raise WrongField(f"unknown field {unknown!r}.", server.did_you_mean(key, fields))
    result: Dict[str, Any] = {}
    for key, field in fields.items():
        if key not in value:
            if field.required:
                raise WrongField(f"field {where + key!r} is missing.", f"{key}: {field.meaning}.")
            result[key] = None
            continue
        try:
            result[key] = field.read(value[key])
        except WrongField as error:
            inner = re.sub(r"'", f"'{where + key}.", error.what, count=1)
            raise WrongField(inner, error.next_step) from None
        except ValueError as error:
            raise WrongField(
                f"field {where + key!r} is {server.shortened(repr(value[key]))}; {error}.",
                f"{key}: {field.meaning}.",
            ) from None
    return result
