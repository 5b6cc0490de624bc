# SPDX-License-Identifier: Apache-2.0
"""Operators that compute each element alone: activations, arithmetic, comparisons, casts."""

from __future__ import annotations

from typing import Callable, Final, List, Mapping, Optional

import numpy as np

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call, Limits
from runtime.host.compile.tflite.network import QUANTIZED

Convert = Callable[[Call], List[Value]]
INTEGERS: Final = "iu"


def unary(op: str) -> Convert:
    """Return the conversion of an operator that has an ONNX operator of one input."""

    def convert(call: Call) -> List[Value]:
        return [call.written(call.emit.op(op, call.real()))]

    return convert


def binary(op: str) -> Convert:
    """Return the conversion of an operator that has an ONNX operator of two inputs that broadcast."""

    def convert(call: Call) -> List[Value]:
        return [call.written(call.emit.op(op, call.real(0), call.real(1)))]

    return convert


def arithmetic(op: str) -> Convert:
    """Return the conversion of an operator of two inputs with a fused activation."""

    def convert(call: Call) -> List[Value]:
        fused = call.options.fusedActivationFunction
        if call.raw(0).dtype.kind in INTEGERS and not call.input(0).is_quantized and op == "Div":
            raise call.refusal(
                "a quotient of integers has no answer for a divisor of zero", "Divide float32."
            )
        return [call.activated(call.emit.op(op, call.real(0), call.real(1)), fused)]

    return convert


def extreme(op: str) -> Convert:
    """Return the conversion of MAXIMUM or MINIMUM, which select elements."""

    def convert(call: Call) -> List[Value]:
        call.needs_same_scales(0, 1)  # LiteRT compares the elements as they are
        return [call.emit.op(op, call.raw(0), call.raw(1))]

    return convert


def clipping(low: Optional[float], high: Optional[float]) -> Convert:
    """Return the conversion of an activation that only limits the elements."""
    limits: Limits = (low, high)

    def convert(call: Call) -> List[Value]:
        return [call.written(call.clipped(call.real(), limits))]

    return convert


def power(call: Call) -> List[Value]:
    """Convert POW."""
    if not call.raw(0).is_float:
        raise call.refusal(f"its inputs have type {call.raw(0).dtype}", "Use float32.")
    return [call.emit.op("Pow", call.real(0), call.real(1))]


def bounded(op: str, scale: float, zero: int) -> Convert:
    """Return the conversion of a function with a bounded range, whose quantized output has a fixed scale."""

    def convert(call: Call) -> List[Value]:
        call.needs_output(scale, zero)
        return [call.written(call.emit.op(op, call.real()))]

    return convert


def square(call: Call) -> List[Value]:
    """Convert SQUARE."""
    value = call.real()
    return [call.written(call.emit.op("Mul", value, value))]


def squared_difference(call: Call) -> List[Value]:
    """Convert SQUARED_DIFFERENCE."""
    value = call.emit.op("Sub", call.real(0), call.real(1))
    return [call.written(call.emit.op("Mul", value, value))]


def reciprocal_root(call: Call) -> List[Value]:
    """Convert RSQRT."""
    return [call.written(call.emit.op("Reciprocal", call.emit.op("Sqrt", call.real())))]


def sum_of_all(call: Call) -> List[Value]:
    """Convert ADD_N."""
    total = call.real(0)
    for index in range(1, len(call.values)):
        total = call.emit.op("Add", total, call.real(index))
    return [call.written(total)]


def leaky_relu(call: Call) -> List[Value]:
    """Convert LEAKY_RELU."""
    return [call.written(call.emit.op("LeakyRelu", call.real(), alpha=float(call.options.alpha)))]


def prelu(call: Call) -> List[Value]:
    """Convert PRELU: the slope broadcasts to the data."""
    data, slope = call.real(0), call.real(1)
    if np.broadcast_shapes(data.shape, slope.shape) != data.shape:
        raise call.refusal("its slope is larger than its data", AGAIN)
    return [call.written(call.emit.op("PRelu", data, slope))]


def gelu(call: Call) -> List[Value]:
    """Convert GELU, exact or with a hyperbolic tangent."""
    form = "tanh" if call.options.approximate else "none"
    return [call.written(call.emit.op("Gelu", call.real(), approximate=form))]


def floor_division(call: Call) -> List[Value]:
    """Convert FLOOR_DIV."""
    one, other = call.real(0), call.real(1)
    if one.is_float:
        return [call.emit.op("Floor", call.emit.op("Div", one, other))]
    _check_divisor(call)
    rest = call.emit.op("Mod", one, other)  # with the sign of the divisor
    return [call.emit.op("Div", call.emit.op("Sub", one, rest), other)]


def floor_remainder(call: Call) -> List[Value]:
    """Convert FLOOR_MOD: the remainder has the sign of the divisor."""
    one, other = call.real(0), call.real(1)
    if not one.is_float:
        _check_divisor(call)
        return [call.emit.op("Mod", one, other)]
    rest = call.emit.op("Mod", one, other, fmod=1)  # with the sign of the dividend
    zero = call.emit.like(0, rest)
    opposite = call.emit.op(
        "Less", call.emit.op("Mul", call.emit.op("Sign", rest), call.emit.op("Sign", other)), zero
    )
    return [call.emit.op("Where", opposite, call.emit.op("Add", rest, other), rest)]


def _check_divisor(call: Call) -> None:
    """Raise a ModelError for an integer division whose divisor may be zero."""
    data = call.raw(1).data
    if data is None or not np.asarray(data).all():
        raise call.refusal("its divisor may be zero", "Use a constant divisor, or float32.")


def comparison(op: str, negated: bool = False) -> Convert:
    """Return the conversion of a comparison of numbers."""

    def convert(call: Call) -> List[Value]:
        first, second = call.input(0), call.input(1)
        equal = first.same_numbers(second)
        # Equal scales: the integers compare as their numbers do.
        sides = [call.raw(index) if equal else call.real(index) for index in (0, 1)]
        answer = call.emit.op(op, *sides)
        return [call.emit.op("Not", answer) if negated else answer]

    return convert


def converted(call: Call) -> List[Value]:
    """Convert CAST: floating-point numbers lose their fraction."""
    source, target = call.raw(), call.output().dtype
    if call.input().is_quantized or call.output().is_quantized:
        raise call.refusal("it reads or writes a quantized tensor", "Use QUANTIZE or DEQUANTIZE.")
    if target == np.bool_ and source.is_float:
        return [call.emit.op("Not", call.emit.op("Equal", source, call.emit.like(0, source)))]
    return [call.cast(source, target)]


def quantized(call: Call) -> List[Value]:
    """Convert QUANTIZE: from real numbers, or from another scale or integer type."""
    if not call.output().is_quantized:
        raise call.refusal(f"its output has type {call.output().dtype}", "Quantize to int8.")
    if not call.input().is_quantized and call.raw().dtype != np.float32:
        raise call.refusal(f"its input has type {call.raw().dtype}", "Quantize float32 or int8.")
    return [call.written(call.real())]


def dequantized(call: Call) -> List[Value]:
    """Convert DEQUANTIZE. Constants of float16 become float32."""
    source = call.raw()
    if source.dtype == np.float16:
        return [call.emit.constant(np.asarray(call.constant(0, "data")), np.float32)]
    if not call.input().is_quantized:
        raise call.refusal(f"its input has type {source.dtype}", "Quantize to int8.")
    return [call.dequantized(source, call.input(), call.input().axis)]


def select(call: Call) -> List[Value]:
    """Convert SELECT and SELECT_V2. SELECT takes rows if its condition has rank 1."""
    call.needs_same_scales(1, 2)
    condition = call.raw(0)
    if call.operator.op == "SELECT" and condition.rank == 1 and call.raw(1).rank > 1:
        condition = call.shaped(condition, [condition.size, *[1] * (call.raw(1).rank - 1)])
    return [call.emit.op("Where", condition, call.raw(1), call.raw(2))]


def zeros_like(call: Call) -> List[Value]:
    """Convert ZEROS_LIKE."""
    if call.output().dtype in QUANTIZED:
        raise call.refusal("its output may be quantized", "Use a constant.")
    return [call.emit.constant(np.zeros(call.raw().shape, call.output().dtype))]


LIMITS: Final[Mapping[str, Limits]] = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}
"""Activation -> limits of its output."""
