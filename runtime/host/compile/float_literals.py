# SPDX-License-Identifier: Apache-2.0
"""Floating-point constants in the C of kernels, exact to the last bit.

TVM's code generator prints a float with seven significant digits (0.25 to 0.27), too few for float32:
1.23456789 becomes 1.234568e+00f. The script of the same kernel has all digits, so that each literal can be
replaced.

Two constants of a kernel may have the same literal, such as two scales that differ in the last bit. Then the
script is compiled again with a marker in place of each: a number near the constants with a literal of its
own. If both texts in C are equal except for these literals, each marker is at the place of its constant.
Markers have the order of the constants, and are between the same other constants: TVM folds a comparison of
constants to the same result.
"""

from __future__ import annotations

import re
from typing import Callable, Collection, Dict, Final, List, Optional, Set

from runtime.host.compile.errors import ModelError

SHORT: Final = ".6e"  # of TVM's C
EXACT: Final = ".8e"  # of a float32

_IN_SCRIPT: Final = re.compile(r"(?<=T\.float32\()(-?)([0-9.e+-]+)(?=\))")
_IN_C: Final = re.compile(r"\b[0-9]\.[0-9]{6}e[+-][0-9]{2,3}(?=f\b)")
_NAME: Final = re.compile(r"\b[A-Za-z_]\w*")

Values = Dict[str, List[float]]


def literals_of(script: str) -> Dict[str, str]:
    """Return literal of TVM's C -> exact literal, both without sign, of the constants in a kernel's script.

    A literal of several constants is left out: distinguished() replaces it.
    """
    return {
        short: format(values[0], EXACT) for short, values in _values_of(script).items() if len(values) == 1
    }


def with_exact_literals(line: str, literals: Dict[str, str]) -> str:
    """Return a line of C with the exact form of each constant."""
    return _IN_C.sub(lambda found: literals.get(found[0], found[0]), line)


def distinguished(
    name: str, body: str, script: str, generate: Callable[[str], Optional[str]], known: Collection[str]
) -> str:
    """Return the C of a kernel with the exact form of the constants whose literals are equal.

    Args:
        name: Name of the kernel, for messages.
        body: C of the kernel.
        script: Script of the kernel.
        generate: Function from a script to its C; None for a script that TVM does not compile.
        known: Names of C, which no kernel declares.

    Raises:
        ModelError: The constant of a literal is not certain.
    """
    values = _values_of(script)
    alike = {short: found for short, found in values.items() if len(found) > 1}
    if not alike:
        return body
    markers = _markers(values, alike)
    marked = generate(_marked(script, markers)) if markers else None
    back = {format(marker, SHORT): value for value, marker in markers.items()}
    short = {literal: format(value, SHORT) for literal, value in back.items()}
    literals = _IN_C.findall(marked or "")
    if marked is None or _shape(with_exact_literals(marked, short), known) != _shape(body, known):
        found = next(iter(alike.values()))
        raise ModelError(
            f"Kernel {name} has the constants {' and '.join(format(value, EXACT) for value in found)}, which "
            "have the same literal in TVM's C.",
            "Change one of them, such as a scale, in an operator that the kernel is named after.",
        )
    place = iter(literals)

    def exact(found: re.Match[str]) -> str:
        literal = next(place)
        return format(back[literal], EXACT) if literal in back else found[0]

    return _IN_C.sub(exact, body)


def _values_of(script: str) -> Values:
    """Return literal of TVM's C -> absolute values of the constants with that literal, in order."""
    found: Dict[str, Set[str]] = {}
    for _, text in _IN_SCRIPT.findall(script):
        found.setdefault(format(float(text), SHORT), set()).add(format(float(text), EXACT))
    return {short: sorted(map(float, exact)) for short, exact in found.items()}


def _markers(values: Values, alike: Values) -> Dict[float, float]:
    """Return constant -> marker for the constants with equal literals; empty without room for markers."""
    markers: Dict[float, float] = {}
    for short, group in alike.items():
        others = [value for key, found in values.items() if key != short for value in found]
        others += markers.values()
        # Above or below the literal itself, as TVM may add a constant that has it: the 1 of a sigmoid.
        for first in (1, -len(group)):
            chosen = [_next(short, first + index) for index in range(len(group))]
            low, high = min(group[0], chosen[0]), max(group[-1], chosen[-1])
            if (
                low > 0
                and all(one < other for one, other in zip(chosen, chosen[1:]))
                and not any(low <= other <= high for other in others)
                and not {format(other, SHORT) for other in others} & {format(one, SHORT) for one in chosen}
            ):
                markers.update(zip(group, chosen))
                break
        else:
            return {}
    return markers


def _next(literal: str, steps: int) -> float:
    """Return the number that is some units of the last digit after a literal."""
    number, exponent = literal.split("e")
    return float(format(float(literal) + steps * 10.0 ** (int(exponent) + 1 - len(number[1:])), SHORT))


def _marked(script: str, markers: Dict[float, float]) -> str:
    """Return a script with markers in place of constants."""

    def replaced(found: re.Match[str]) -> str:
        value = float(format(float(found[2]), EXACT))
        return f"{found[1]}{markers[value]!r}" if value in markers else found[0]

    return _IN_SCRIPT.sub(replaced, script)


def _shape(body: str, known: Collection[str]) -> str:
    """Return C with its names numbered in order of appearance.

    A kernel with arguments of equal names has other names after its script: x_handle_1, not x_1_handle.
    """
    numbers: Dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[0] if found[0] in known else numbers.setdefault(found[0], f"name{len(numbers)}")

    return _NAME.sub(renamed, body)
