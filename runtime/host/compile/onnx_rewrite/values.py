# SPDX-License-Identifier: Apache-2.0
"""Values and nodes of a model while it is rewritten.

All shapes are static. A value with data is a constant. Sequences and optionals have no form in the
result, so they exist here only: as Python lists of values, and as an item that may be empty.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, List, Mapping, Optional, Tuple, Union

import numpy as np

from runtime.host.compile.errors import ModelError

Array = Any  # numpy.ndarray; numpy's generic form needs a newer Python

TARGET: Final = 21
"""Opset of a rewritten model. Opset 21 is the newest one whose operators TVM 0.27 reads by version."""

IR_VERSION: Final = 10
"""Version of the file format that belongs to opset 21."""

OWN_DOMAIN: Final = "microtvm"
"""Domain of the operators that compute with integers (integers/operators.py)."""

OUTPUT_TYPE: Final = "output_type"
OUTPUT_SHAPE: Final = "output_shape"
"""Attributes of an operator of our domain: type (of TensorProto) and shape of its only output."""

SUPPORTED_DTYPES: Final = frozenset(
    np.dtype(name)
    for name in "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()  # noqa: SIM905
)
"""Element types that a rewritten model may have."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the model.

    Attributes:
        name: Unique name in the rewritten graph.
        dtype: Element type.
        shape: Static shape.
        data: Elements of a constant; None for a tensor that depends on inputs.
    """

    name: str
    dtype: Any
    shape: Tuple[int, ...]
    data: Optional[Array] = None

    @property
    def rank(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_float(self) -> bool:
        """Return whether the elements are floating-point numbers."""
        return bool(self.dtype.kind == "f")


@dataclasses.dataclass(frozen=True)
class TensorList:
    """A sequence of tensors whose length is known.

    Attributes:
        items: The tensors, in order.
    """

    items: Tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Empty:
    """An optional without a value."""


Item = Union[Value, TensorList, Empty]


@dataclasses.dataclass
class Node:
    """A node whose inputs are known.

    Attributes:
        op: Operator.
        inputs: Inputs; None for a missing one. Missing inputs at the end may be left out.
        attributes: Attributes by name; strings are decoded.
        outputs: Names of the outputs; empty for an output that the node leaves out.
        name: Name for messages.
        opset: Opset of the default domain that defines the operator here.
        domain: Domain of the operator; empty for the default one.
        scope: Items by name that the bodies of the node can see.
        body_opset: Opset of the bodies of the node.
    """

    op: str
    inputs: List[Optional[Item]]
    attributes: Dict[str, Any]
    outputs: List[str]
    name: str = ""
    opset: int = TARGET
    domain: str = ""
    scope: Mapping[str, Item] = dataclasses.field(default_factory=dict)
    body_opset: int = TARGET

    def has(self, index: int) -> bool:
        """Return whether the node has the input of this index."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        """Return the tensor of an input.

        Raises:
            ModelError: The input is missing, or it is not a tensor.
        """
        item = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(item, Value):
            raise self.refusal(f"input {index} is missing or is not a tensor")
        return item

    def optional(self, index: int) -> Optional[Value]:
        """Return the tensor of an input, or None for a missing input."""
        return self.value(index) if self.has(index) else None

    def values(self) -> List[Value]:
        """Return all inputs of a node whose inputs are tensors."""
        return [self.value(index) for index in range(len(self.inputs))]

    def constant(self, index: int, meaning: str) -> Array:
        """Return the elements of an input that must be constant.

        Args:
            index: Number of the input.
            meaning: Name of the input for the message.

        Raises:
            ModelError: The input depends on inputs of the model.
        """
        value = self.value(index)
        if value.data is None:
            raise self.refusal(
                f"{meaning} is computed from the model's inputs",
                f"Export the model with a constant {meaning}.",
            )
        return value.data

    def wants(self, index: int) -> bool:
        """Return whether the model uses the output of this index."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def refusal(self, reason: str, next_step: str = "Replace the operator in the model.") -> ModelError:
        """Return the error for a node that cannot be compiled."""
        return ModelError(f"Operator {self.op} of node {self.name!r} is not supported: {reason}.", next_step)


def axis_of(node: Node, axis: int, rank: int) -> int:
    """Return an axis as a number from 0 to rank - 1.

    Raises:
        ModelError: The axis is outside of the range of ONNX.
    """
    if not -rank <= axis < rank:
        raise node.refusal(f"axis {axis} is outside of a tensor of rank {rank}", "Check the model.")
    return axis % rank
