# SPDX-License-Identifier: Apache-2.0
"""An operator of a TensorFlow Lite file while it is converted.

Quantized activations are carried as integers. An operator that computes with numbers reads them through
DequantizeLinear (`real`) and writes them through QuantizeLinear (`written`), from which the compiler makes
integer kernels. An operator that only moves elements uses the integers (`raw`).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Final, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.parts import cast, ints, reshaped
from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.network import QUANTIZED, Array, Operator, Tensor
from runtime.host.compile.tflite.schema import names_of

AGAIN: Final = "Convert the model again."
SAME_SCALE: Final = 1e-3  # relative difference that is far less than a step of 256
LONGEST_LIST: Final = 4096  # of integers that are attributes of an operator: axes, extents

Limits = Tuple[Optional[float], Optional[float]]

ACTIVATIONS: Final[Dict[str, Limits]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
"""Fused activation -> limits of the output. LiteRT's kernels ignore TANH and SIGN_BIT."""


@dataclasses.dataclass(frozen=True)
class Call:
    """An operator with the values of its inputs.

    Attributes:
        emit: Writer of the ONNX graph.
        operator: Operator of the file.
        values: Values of the inputs; None for one that is left out.
    """

    emit: Emitter
    operator: Operator
    values: Sequence[Optional[Value]]

    @property
    def options(self) -> Any:
        """Return the attributes of the operator."""
        return self.operator.options

    @property
    def refusal(self) -> Callable[..., ModelError]:
        """Return the function that makes the error for an operator that cannot be converted."""
        return self.operator.refusal

    def has(self, index: int) -> bool:
        """Return whether the operator has the input of this index."""
        return index < len(self.values) and self.values[index] is not None

    def input(self, index: int = 0) -> Tensor:
        """Return the tensor of an input.

        Raises:
            ModelError: The input is missing.
        """
        tensor = self.operator.inputs[index] if index < len(self.operator.inputs) else None
        if tensor is None:
            raise self.refusal(f"input {index} is missing", AGAIN)
        return tensor

    def output(self, index: int = 0) -> Tensor:
        """Return the tensor of an output.

        Raises:
            ModelError: The output is missing.
        """
        if index >= len(self.operator.outputs):
            raise self.refusal(f"output {index} is missing", AGAIN)
        return self.operator.outputs[index]

    def raw(self, index: int = 0) -> Value:
        """Return an input with its elements as they are stored."""
        self.input(index)
        value = self.values[index]
        assert value is not None
        return value

    def real(self, index: int = 0) -> Value:
        """Return an input as real numbers."""
        return self.dequantized(self.raw(index), self.input(index))

    def dequantized(self, value: Value, tensor: Tensor, axis: Optional[int] = None) -> Value:
        """Return real numbers for elements that have the scale of a tensor.

        Args:
            value: Elements, perhaps in another shape than the tensor.
            tensor: Tensor with the scale.
            axis: Axis of the scales in the value; None for a tensor with one scale.
        """
        if tensor.scale is None or not tensor.is_quantized:
            if tensor.dtype in QUANTIZED:
                raise self.refusal(f"an input has type {tensor.dtype} and no scale", "Quantize the model.")
            return value
        if tensor.scale.size == 1:
            scale, zero = self._parameters(tensor)
            return self.emit.op("DequantizeLinear", value, scale, zero)
        if axis is None:
            raise self.refusal("an activation has several scales", "Quantize activations with one scale.")
        zeros = _zero_points(self, tensor)
        return self.emit.op(
            "DequantizeLinear",
            value,
            self.emit.constant(tensor.scale, np.float32),
            self.emit.constant(zeros),
            axis=axis,
        )

    def written(self, value: Value, index: int = 0) -> Value:
        """Return real numbers in the form of an output: quantized if the output is."""
        tensor = self.output(index)
        if not tensor.is_quantized:
            if tensor.dtype in QUANTIZED:
                raise self.refusal(f"its output has type {tensor.dtype} and no scale", "Quantize the model.")
            return value
        scale, zero = self._parameters(tensor)
        return self.emit.op("QuantizeLinear", value, scale, zero)

    def activated(self, value: Value, fused: int, index: int = 0) -> Value:
        """Return an output after its fused activation.

        Args:
            value: Real numbers.
            fused: Number of the activation in the schema.
            index: Number of the output.
        """
        name = names_of("ActivationFunctionType").get(fused, f"number {fused}")
        if name not in ACTIVATIONS:
            raise self.refusal(f"its fused activation is {name}", "Use an activation of its own.")
        return self.written(self.clipped(value, ACTIVATIONS[name]), index)

    def clipped(self, value: Value, limits: Limits) -> Value:
        """Return a value within limits."""
        low, high = limits
        if low is None and high is None:
            return value
        if not value.is_float and value.dtype != np.int32:
            raise self.refusal(f"its activation has type {value.dtype}", "Use float32.")
        if low == 0 and high is None:
            return self.emit.op("Relu", value)
        ends = [None if limit is None else self.emit.like(limit, value) for limit in limits]
        return self.emit.op("Clip", value, *ends)

    def constant(self, index: int, meaning: str) -> Array:
        """Return the elements of an input that must be constant.

        Raises:
            ModelError: The input depends on inputs of the model.
        """
        data = self.raw(index).data
        if data is None:
            raise self.refusal(
                f"{meaning} is computed from the model's inputs",
                f"Convert the model with a constant {meaning}.",
            )
        return data

    def integers(self, index: int, meaning: str) -> List[int]:
        """Return the elements of an input that is a constant list of integers."""
        data = np.asarray(self.constant(index, meaning))
        if data.dtype.kind not in "iu" or data.size > LONGEST_LIST:
            raise self.refusal(f"{meaning} is not a list of integers", AGAIN)
        return [int(number) for number in data.reshape(-1)]

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis as a number from 0 to rank - 1.

        Raises:
            ModelError: The axis is outside of the tensor.
        """
        if not -rank <= axis < rank:
            raise self.refusal(f"axis {axis} is outside of a tensor of rank {rank}", AGAIN)
        return axis % rank

    def needs_rank(self, index: int, rank: int) -> Tuple[int, ...]:
        """Return the shape of an input that must have a rank."""
        shape = self.raw(index).shape
        if len(shape) != rank:
            raise self.refusal(f"input {index} has rank {len(shape)}: expected {rank}", AGAIN)
        return shape

    def needs_count(self, declared: int, actual: int) -> None:
        """Raise a ModelError if an attribute repeats a number of tensors, and repeats another one."""
        if declared != actual:
            raise self.refusal(f"it declares {declared} tensors, and has {actual}", AGAIN)

    def same_scales(self, *indices: int) -> bool:
        """Return whether equal elements of these inputs and of the output stand for equal numbers."""
        return all(self.input(index).same_numbers(self.output()) for index in indices)

    def needs_same_scales(self, *indices: int) -> None:
        """Raise a ModelError if the elements of an input get another meaning in the output."""
        if not self.same_scales(*indices):
            raise self.refusal("its output has another scale or element type than its input", AGAIN)

    def needs_output(self, scale: float, zero: int) -> None:
        """Raise a ModelError if a quantized output has other parameters than TensorFlow Lite prescribes.

        Args:
            scale: Prescribed scale.
            zero: Prescribed zero point of an output of int8; the one of uint8 is larger by 128.
        """
        tensor = self.output()
        if not tensor.is_quantized or tensor.scale is None or tensor.zero is None:
            return
        expected = zero + (128 if tensor.dtype == np.uint8 else 0)
        if abs(tensor.scale[0] / scale - 1) > SAME_SCALE or tensor.zero[0] != expected:
            found = f"scale {tensor.scale[0]:g} and zero point {tensor.zero[0]}"
            raise self.refusal(f"its output has {found}: expected {scale:g} and {expected}", AGAIN)

    def shaped(self, value: Value, shape: Sequence[int]) -> Value:
        """Return a value in another shape of as many elements."""
        if int(np.prod(shape, dtype=np.int64)) != value.size:
            raise self.refusal(
                f"{value.size} elements do not fit the shape {'x'.join(map(str, shape))}",
                AGAIN,
            )
        return reshaped(self.emit, value, shape)

    def ints(self, numbers: Iterable[int]) -> Value:
        """Return a constant list of int64."""
        return ints(self.emit, [int(number) for number in numbers])

    def cast(self, value: Value, dtype: Any) -> Value:
        """Return a value in another element type."""
        return cast(self.emit, value, dtype)

    def _parameters(self, tensor: Tensor) -> Tuple[Value, Value]:
        """Return scale and zero point of a tensor that has one of each."""
        if tensor.scale is None or tensor.scale.size != 1:
            raise self.refusal("an activation has several scales", "Quantize activations with one scale.")
        zero = _zero_points(self, tensor).reshape(())
        return self.emit.constant(tensor.scale.reshape(())), self.emit.constant(zero)


def _zero_points(call: Call, tensor: Tensor) -> Array:
    """Return the zero points of a tensor in its element type."""
    limits = np.iinfo(tensor.dtype)
    assert tensor.zero is not None
    if tensor.zero.min() < limits.min or tensor.zero.max() > limits.max:
        raise call.refusal(f"a zero point is outside of {tensor.dtype}", AGAIN)
    return tensor.zero.astype(tensor.dtype)
