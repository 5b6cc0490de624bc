# SPDX-License-Identifier: Apache-2.0
"""Options of the compilation of a model file, which several commands share."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Tuple

import click

from runtime.host.errors import PlatformError

Function = Callable[..., Any]
Shapes = Dict[str, Tuple[int, ...]]


def compile_options(function: Function) -> Function:
    """Add --input-shape and --no-verify, as the arguments input_shapes and verify of the function."""

    @functools.wraps(function)
    def command(*args: Any, shapes: Tuple[str, ...], no_verify: bool, **others: Any) -> Any:
        return function(*args, input_shapes=_read_shapes(shapes), verify=not no_verify, **others)

    decorated: Function = click.option(
        "--no-verify",
        is_flag=True,
        help="Do not compare the answers of a compiled model file with the reference runtime.",
    )(command)
    return click.option(
        "--input-shape",
        "shapes",
        multiple=True,
        metavar="NAME=1,3,32,32",
        help="Shape of an input of a model file, where the file leaves dimensions open. Repeat it for more.",
    )(decorated)


def _read_shapes(texts: Tuple[str, ...]) -> Shapes:
    """Return input -> extents of the values of --input-shape.

    Raises:
        PlatformError: A value has another form, or an input is a duplicate.
    """
    shapes: Shapes = {}
    for text in texts:
        name, separator, extents = text.rpartition("=")
        parts = extents.split(",") if extents else []
        if not separator or not name or not all(part.strip().isdecimal() for part in parts):
            raise PlatformError(
                f"--input-shape {text} is invalid: expected NAME and a list of numbers.",
                "Write it as --input-shape NAME=1,3,32,32.",
            )
        if name in shapes:
            raise PlatformError(f"--input-shape of {name!r} is a duplicate.", "Give each input one shape.")
        shapes[name] = tuple(int(part) for part in parts)
        if not all(0 < extent < 1 << 31 for extent in shapes[name]):
            raise PlatformError(
                f"--input-shape {text} has an extent out of range: expected 1 or more.",
                "Give the extents of one inference.",
            )
    return shapes
