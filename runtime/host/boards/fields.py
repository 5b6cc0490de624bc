# SPDX-License-Identifier: Apache-2.0
"""Check of objects in boards.json against a table of their fields.

The table has a reader for each field's value, states if the field is required, and describes the field. The
error of a missing or invalid field contains this description.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Final, Mapping, NamedTuple, Tuple, Union

from runtime import server

LONGEST_TEXT: Final = 4_000
SPACES: Final = "\u00a0\u202f"  # str.isprintable() is False for these spaces, but terminals print them
LARGEST: Final = (1 << 63) - 1
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")


class Field(NamedTuple):
    """One field of an object.

    Attributes:
        read: Function that returns the value, or raises ValueError("expected ...").
        required: The field must be present.
        meaning: Noun phrase that completes the sentence "Set <field> to ...".
    """

    read: Callable[[Any], Any]
    required: bool
    meaning: str


def text(value: Any) -> str:
    """Return a string of one line.

    Control characters have a meaning in terminals, in C and on command lines.

    Raises:
        ValueError: The value is another type, empty, too long, or has control characters.
    """
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT:
        raise ValueError(f"expected a string of 1 to {LONGEST_TEXT:,} characters")
    if not all(letter.isprintable() or letter in SPACES for letter in value):
        raise ValueError("expected a string without control characters")
    return value


def flag(value: Any) -> bool:
    """Return true or false. Raise ValueError for another value."""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def count(value: Any) -> int:
    """Return an integer from 1 to LARGEST. Raise ValueError for another value."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise ValueError("expected an integer above 0")
    return value


def number(value: Any) -> int:
    """Return an integer from 0 to LARGEST. Raise ValueError for another value."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise ValueError("expected an integer of 0 or more")
    return value


def address(value: Any) -> int:
    """Return the number in a hexadecimal string such as "0x40004400". Raise ValueError for another value."""
    if not isinstance(value, str) or not ADDRESS.fullmatch(value):
        raise ValueError('expected a hexadecimal string such as "0x40004400"')
    return int(value, 16)


def one_of(*allowed: Union[str, int]) -> Callable[[Any], Any]:
    """Return a reader that accepts only these values."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value not in allowed:
            raise ValueError(f"expected one of {', '.join(map(str, allowed))}")
        return value

    return read


def strings(value: Any) -> Tuple[str, ...]:
    """Return the items of a list of strings. Raise ValueError for another value."""
    if not isinstance(value, list):
        raise ValueError("expected a list of strings")
    return tuple(map(text, value))


def non_empty_strings(value: Any) -> Tuple[str, ...]:
    """Return the items of a list of at least one string. Raise ValueError for another value."""
    if not strings(value):
        raise ValueError("expected a list of at least one string")
    return tuple(value)


class WrongField(Exception):
    """A field that is unknown, missing, duplicate or invalid.

    Attributes:
        what: Sentence that names the field, in single quotes, and its problem.
        next_step: An imperative sentence.
    """

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step


def read_fields(value: Any, fields: Mapping[str, Field], where: str = "") -> Dict[str, Any]:
    """Return the value of every field of `fields`, None for a missing one.

    Args:
        value: The object in boards.json.
        fields: Name of a field -> its row in the table.
        where: Prefix of a field's name in messages, such as "runners.jlink.".

    Raises:
        WrongField: A field is unknown, missing or invalid.
        ValueError: The value is not an object.
    """
    if not isinstance(value, dict):
        raise ValueError(f"expected an object with the fields {', '.join(fields)}")
    for key in value:
        if key not in fields:
            unknown = server.shortened(where + key)
            raise WrongField(f"unknown field {unknown!r}.", server.did_you_mean(key, fields))
    result: Dict[str, Any] = {}
    for key, field in fields.items():
        if key not in value:
            if field.required:
                raise WrongField(f"field {where + key!r} is missing.", f"Set {key!r} to {field.meaning}.")
            result[key] = None
            continue
        try:
            result[key] = field.read(value[key])
        except WrongField as error:
            inner = re.sub(r"'", f"'{where + key}.", error.what, count=1)
            raise WrongField(inner, error.next_step) from None
        except ValueError as error:
            raise WrongField(
                f"field {where + key!r} is invalid: {error}, got {server.shortened(repr(value[key]))}.",
                f"Set {key!r} to {field.meaning}.",
            ) from None
    return result
