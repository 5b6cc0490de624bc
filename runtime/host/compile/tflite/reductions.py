# SPDX-License-Identifier: Apache-2.0
"""Operators that combine the elements of axes."""

from __future__ import annotations

from typing import Callable, List

import numpy as np

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite.call import AGAIN, Call

Convert = Callable[[Call], List[Value]]


def _axes(call: Call) -> List[int]:
    """Return the axes without duplicates; all axes if the list is empty and the data has none."""
    rank = call.raw().rank
    return sorted({call.axis(axis, rank) for axis in call.integers(1, "axes")})


def _reduced(call: Call, op: str, value: Value) -> Value:
    axes = _axes(call)
    if not axes:
        return value
    keep = int(bool(call.options.keepDims))
    return call.emit.op(op, value, call.ints(axes), keepdims=keep)


def reduction(op: str) -> Convert:
    """Return the conversion of a reduction of numbers."""

    def convert(call: Call) -> List[Value]:
        if op == "ReduceMean" and not call.real().is_float:
            raise call.refusal("its mean of integers is rounded", "Use float32.")
        return [call.written(_reduced(call, op, call.real()))]

    return convert


def extreme(op: str) -> Convert:
    """Return the conversion of REDUCE_MAX or REDUCE_MIN, which select elements."""

    def convert(call: Call) -> List[Value]:
        call.needs_same_scales(0)  # LiteRT takes the elements as they are
        return [_reduced(call, op, call.raw())]

    return convert


def logical(op: str) -> Convert:
    """Return the conversion of REDUCE_ANY or REDUCE_ALL."""

    def convert(call: Call) -> List[Value]:
        number = call.cast(call.raw(), np.int32)
        return [call.cast(_reduced(call, op, number), np.bool_)]

    return convert


def position(op: str) -> Convert:
    """Return the conversion of ARG_MAX or ARG_MIN: the first index of the extreme element of an axis."""

    def convert(call: Call) -> List[Value]:
        axes = call.integers(1, "axis")
        if len(axes) != 1:
            raise call.refusal("it has no single axis", AGAIN)
        axis = call.axis(axes[0], call.raw().rank)
        answer = call.emit.op(op, call.raw(), axis=axis, keepdims=0)
        return [call.cast(answer, call.output().dtype)]

    return convert


def running_sum(call: Call) -> List[Value]:
    """Convert CUMSUM."""
    axes = call.integers(1, "axis")
    if len(axes) != 1:
        raise call.refusal("it has no single axis", AGAIN)
    axis = call.emit.constant(np.array(call.axis(axes[0], call.raw().rank), np.int64))
    flags = {"exclusive": int(bool(call.options.exclusive)), "reverse": int(bool(call.options.reverse))}
    return [call.emit.op("CumSum", call.raw(), axis, **flags)]
