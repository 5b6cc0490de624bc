# SPDX-License-Identifier: Apache-2.0
"""Results of operators of integers as integers/operators.py defines them, in exact arithmetic."""

from __future__ import annotations

from typing import Any, List, Mapping

import numpy as np

from runtime.host.compile.integers import operators
from tests.compile.library.random_operators import Operator


def result_of(operator: Operator) -> np.ndarray:
    """Return the output of an operator."""
    x, weights, *channels = (array.astype(np.int64) for array in operator.inputs)
    attributes = operator.attributes
    if operator.name == operators.DENSE:
        sums = x @ weights.T
    else:
        sums = _windows(x, weights, attributes, operator.output.shape)
    columns = [-1, *[1] * (sums.ndim - 2)]
    bias, multipliers = (array.astype(object).reshape(columns) for array in channels)
    found = _rescaled(sums.astype(object), bias, multipliers, attributes)
    limited = np.minimum(np.maximum(found, attributes["lowest"]), attributes["highest"])
    result: np.ndarray = limited.astype(operator.output.dtype)
    return result


def _windows(x: Any, weights: Any, attributes: Mapping[str, Any], shape: Any) -> Any:
    """Return the sums of weights times elements of x, or of its padding, for each position of the window."""
    rank, groups = x.ndim - 2, attributes["group"]
    pads = attributes["pads"]
    around = [(0, 0), (0, 0), *((pads[axis], pads[rank + axis]) for axis in range(rank))]
    padded = np.pad(x, around, constant_values=attributes["zero_point"])
    padded = padded.reshape(x.shape[0], groups, -1, *padded.shape[2:])
    taps = weights.reshape(groups, -1, *weights.shape[1:])
    sums = np.zeros((x.shape[0], groups, taps.shape[1], *shape[2:]), np.int64)
    every: List[Any] = [slice(None)] * 3  # the axes before those of the window
    for place in np.ndindex(*weights.shape[2:]):
        below = [
            slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
            for at, dilation, stride, count in zip(
                place, attributes["dilations"], attributes["strides"], shape[2:]
            )
        ]
        elements, tap = padded[tuple(every + below)], taps[tuple(every + list(place))]
        sums += np.einsum("ngi...,goi->ngo...", elements, tap)
    return sums.reshape(shape)


def _rescaled(sums: Any, bias: Any, multipliers: Any, attributes: Mapping[str, Any]) -> Any:
    """Return the results without limits. All arrays have Python's integers."""
    form, before = attributes["form"], attributes["before"]
    shift, offset = attributes["shift"], attributes["offset"]
    if form == operators.HIGH:
        shifted = _of_bits((sums << before) + bias, 32)
        return _of_bits((shifted * multipliers >> 32) + offset, 32) >> shift
    bits = {operators.NARROW: 32, operators.WIDE: 64}[form]
    return _of_bits(_of_bits(sums + bias, 32) * multipliers + offset, bits) >> shift


def _of_bits(numbers: Any, bits: int) -> Any:
    """Return integers that fit signed ones of this size. An operator with others is invalid."""
    assert np.all(numbers >= -(1 << bits - 1)) and np.all(numbers < 1 << bits - 1)
    return numbers
