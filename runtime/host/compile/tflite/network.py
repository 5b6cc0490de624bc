# SPDX-License-Identifier: Apache-2.0
"""The network in a TensorFlow Lite file: tensors, and operators in order of execution."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, List, Optional, Tuple

import numpy as np

from runtime.host.compile.errors import ModelError

Array = Any  # numpy.ndarray; numpy's generic form needs a newer Python

QUANTIZED: Final = (np.dtype(np.int8), np.dtype(np.uint8))
"""Element types of quantized activations."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Attributes:
        index: Position in the list of tensors.
        name: Name in the file, which may be empty and may have duplicates.
        dtype: Element type.
        shape: Static shape.
        data: Elements of a constant; None for an input or a computed tensor.
        scale: Scales, float32: one, or one for each index of the axis; None for a tensor of plain numbers.
        zero: Zero points, int64, as many as scales.
        axis: Axis of the scales.
        is_variable: The tensor keeps its elements between runs.
        is_resizable: The file allows other extents at run time. They are not used.
    """

    index: int
    name: str
    dtype: Any
    shape: Tuple[int, ...]
    data: Optional[Array] = None
    scale: Optional[Array] = None
    zero: Optional[Array] = None
    axis: int = 0
    is_variable: bool = False
    is_resizable: bool = False

    @property
    def is_quantized(self) -> bool:
        """Return whether the elements stand for real numbers: int8 or uint8 with a scale."""
        return self.scale is not None and self.dtype in QUANTIZED

    def same_numbers(self, other: Tensor) -> bool:
        """Return whether equal elements of both tensors stand for equal numbers."""
        if self.dtype != other.dtype or self.is_quantized != other.is_quantized:
            return False
        pairs = ((self.scale, other.scale), (self.zero, other.zero))
        return not self.is_quantized or all(
            one is not None and two is not None and np.array_equal(one, two) for one, two in pairs
        )


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator of the file.

    Attributes:
        op: Name of the builtin operator, or the code of a custom one.
        is_custom: The operator does not belong to TensorFlow Lite.
        inputs: Inputs; None for one that is left out.
        outputs: Outputs.
        options: Attributes: an object of the schema, with the defaults where the file has none.
        label: Position and outputs for messages.
    """

    op: str
    is_custom: bool
    inputs: List[Optional[Tensor]]
    outputs: List[Tensor]
    options: Any
    label: str

    def refusal(self, reason: str, next_step: str = "Replace the operator in the model.") -> ModelError:
        """Return the error for an operator that cannot be converted."""
        return ModelError(f"Operator {self.op} {self.label} is not supported: {reason}.", next_step)


@dataclasses.dataclass(frozen=True)
class Network:
    """The main graph of a file.

    Attributes:
        inputs: Inputs in order.
        outputs: Outputs in order.
        operators: Operators in order of execution.
    """

    inputs: List[Tensor]
    outputs: List[Tensor]
    operators: List[Operator]
