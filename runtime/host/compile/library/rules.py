# SPDX-License-Identifier: Apache-2.0
"""Which of our kernels takes an operator."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Mapping, NamedTuple, Optional, Sequence

from runtime.host.compile.integers import operators
from runtime.host.compile.library.choice import LARGEST_EXTENT, Choice, Operand, Prepared
from runtime.host.compile.library.conv import prepared_conv, prepared_rows
from runtime.host.compile.library.dense import prepared_dense
from runtime.host.compile.library.depthwise import prepared_depthwise
from runtime.host.compile.library.strip import prepared_strip, takes_strip

BYTES: Final = ("int8", "uint8")
LARGEST_PARAMETER: Final = 255  # extents, strides and dilations of a window
FEWEST_ROWS: Final = 3  # of which a product is faster as a convolution

Prepare = Callable[[Dict[str, Any], Sequence[Operand], Operand], Optional[Prepared]]


class KernelRule(NamedTuple):
    """A kernel, and what it takes.

    Attributes:
        operator: Operator of integers/operators.py.
        takes: Whether it takes attributes, inputs and output.
        prepared: Function that packs the constants.
    """

    operator: str
    takes: Callable[[Mapping[str, Any], Sequence[Operand], Operand], bool]
    prepared: Prepare


def choose(
    operator: str, attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Choice]:
    """Return the kernel of ours for an operator; None where TVM's loops compute it."""
    for kernel, rule in RULES.items():
        if operator == rule.operator and rule.takes(attributes, inputs, output):
            kept = {name: value for name, value in attributes.items() if not name.startswith("output_")}
            if rule.prepared(kept, inputs, output) is not None:
                return Choice(kernel, kept)
    return None


def prepare(choice: Choice, inputs: Sequence[Operand], output: Operand) -> Prepared:
    """Return a chosen kernel with its constants."""
    found = RULES[choice.kernel].prepared(dict(choice.attributes), inputs, output)
    assert found is not None  # choose() has prepared it before
    return found


def _has_constants(inputs: Sequence[Operand], output: Operand) -> bool:
    x, weights, *others = inputs
    return (
        x.dtype in BYTES
        and output.dtype in BYTES
        and weights.dtype == "int8"
        and all(each.data is not None for each in (weights, *others))
        and max(*x.shape, *output.shape) <= LARGEST_EXTENT
    )


def _is_conv(attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    parameters = [*inputs[1].shape[2:], *attributes["strides"], *attributes["dilations"]]
    return (
        len(output.shape) in (3, 4)
        and _has_constants(inputs, output)
        and max(parameters) <= LARGEST_PARAMETER
        and max(attributes["pads"]) <= LARGEST_EXTENT
        and min(attributes["pads"]) >= 0
    )


def _is_depthwise(attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    return _is_conv(attributes, inputs, output) and attributes["group"] > 1 and inputs[1].shape[1] == 1


def _is_strip(attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    return _is_conv(attributes, inputs, output) and takes_strip(dict(attributes), inputs, output)


def _is_dense(_attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    return _has_constants(inputs, output)


def _has_rows(_attributes: Mapping[str, Any], inputs: Sequence[Operand], output: Operand) -> bool:
    return _has_constants(inputs, output) and output.shape[0] >= FEWEST_ROWS


RULES: Final[Dict[str, KernelRule]] = {
    "depthwise": KernelRule(operators.CONV, _is_depthwise, prepared_depthwise),
    "strip": KernelRule(operators.CONV, _is_strip, prepared_strip),
    "conv": KernelRule(operators.CONV, _is_conv, prepared_conv),
    "rows": KernelRule(operators.DENSE, _has_rows, prepared_rows),
    "dense": KernelRule(operators.DENSE, _is_dense, prepared_dense),
}
"""Kernel -> its rule; the first that takes an operator is used."""
