# SPDX-License-Identifier: Apache-2.0
"""Operands of an operator when it is imported, and the kernel that is chosen for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, Final, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.compile.program import Shape

if TYPE_CHECKING:
    import numpy as np

LARGEST_EXTENT: Final = (1 << 15) - 1

ATTRIBUTE: Final = "mtvm.kernel"
"""Attribute of a tirx.PrimFunc whose kernel is one of ours: a Choice as JSON."""


class Operand(NamedTuple):
    """Input or output of an operator.

    Attributes:
        shape: Extents.
        dtype: Data type in NumPy's spelling.
        data: Value of a constant; None for other tensors.
    """

    shape: Shape
    dtype: str
    data: Optional[np.ndarray] = None


def constants_of(inputs: Sequence[Operand]) -> Sequence[Any]:
    """Return the arrays of the inputs after the first one, which are constants."""
    return [each.data for each in inputs[1:]]


def plane_of(extents: Sequence[int], missing: int = 1) -> Sequence[int]:
    """Return two extents of a window or plane that may have one."""
    return [missing] * (2 - len(extents)) + [int(extent) for extent in extents]


def fits(fields: Mapping[str, Any]) -> bool:
    """Return whether the extents of a kernel fit its structure in C, which has 16 bits for them."""
    return all(fields[name] <= LARGEST_EXTENT for name in fields if name.endswith(("height", "width")))


class Choice(NamedTuple):
    """A kernel of ours for an operator.

    Attributes:
        kernel: conv, depthwise or dense.
        attributes: Attributes of the operator (integers/operators.py): integers and lists of integers.
    """

    kernel: str
    attributes: Mapping[str, Any]

    def text(self) -> str:
        """Return the choice as JSON."""
        return json.dumps(self._asdict(), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Choice:
        """Return the choice of a JSON text."""
        return cls(**json.loads(text))


class Prepared(NamedTuple):
    """A kernel of ours for one call.

    Attributes:
        source: Name of its file in runtime/kernels.
        function: Name of its function in C.
        parameters: Type and value of its first argument.
        constants: Arrays that it takes after the first input.
        scratch_bytes: Size of its last argument.
        is_in_place: The output may take over the memory of the first input.
    """

    source: str
    function: str
    parameters: Tuple[str, Dict[str, Any]]
    constants: Tuple[Any, ...]
    scratch_bytes: int
    is_in_place: bool
