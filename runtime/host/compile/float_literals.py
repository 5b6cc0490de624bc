# SPDX-License-Identifier: Apache-2.0
"""Floating-point constants in the C of kernels, exact to the last bit.

TVM's code generator prints a float with seven significant digits (0.25 to 0.27), too few for float32:
1.23456789 becomes 1.234568e+00f. The script of the same kernel has all digits, so that each literal can be
replaced.
"""

from __future__ import annotations

import re
from typing import Dict, Final, Set

from runtime.host.compile.errors import ModelError

_IN_SCRIPT: Final = re.compile(r"T\.float32\((-?[0-9.e+-]+)\)")
_IN_C: Final = re.compile(r"\b[0-9]\.[0-9]{6}e[+-][0-9]{2,3}(?=f\b)")


def literals_of(script: str) -> Dict[str, str]:
    """Return literal of TVM's C -> exact literal, both without sign, of the constants in a kernel's script.

    Raises:
        ModelError: Two constants of the kernel have the same literal in TVM's C.
    """
    values: Dict[str, Set[str]] = {}
    for text in _IN_SCRIPT.findall(script):
        value = abs(float(text))
        values.setdefault(f"{value:.6e}", set()).add(f"{value:.8e}")
    for short, exact in values.items():
        if len(exact) > 1:
            raise ModelError(
                f"A kernel has the constants {' and '.join(sorted(exact))}, which TVM prints as {short}.",
                "Change one of the constants in the model.",
            )
    return {short: exact.pop() for short, exact in values.items()}


def with_exact_literals(line: str, literals: Dict[str, str]) -> str:
    """Return a line of C with the exact form of each constant."""
    return _IN_C.sub(lambda found: literals.get(found[0], found[0]), line)
