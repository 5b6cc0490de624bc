# SPDX-License-Identifier: Apache-2.0
"""Small files of one operator each."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any, Dict, Final, List, Optional, Sequence, Tuple

import numpy as np

from tests.compile.tflite.builder import Builder

SCALES: Final = (0.031, 0.047, 0.023)
ZEROS: Final = {"int8": (3, -11, 5), "uint8": (131, 117, 140)}
OUTPUT: Final = (0.05, {"int8": -7, "uint8": 120})


@dataclasses.dataclass(frozen=True)
class Weights:
    """Constant weights or slopes, quantized to one scale, or to one for each index of an axis."""

    shape: Tuple[int, ...]
    axis: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Bias:
    """Constant bias: int32 in a quantized file."""

    shape: Tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Fixed:
    """An input of a type that does not depend on the form, or a constant."""

    dtype: str
    shape: Tuple[int, ...]
    data: Any = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One operator.

    Attributes:
        op: Builtin operator.
        inputs: Shapes of activations, lists of integers for constants, or other inputs.
        outputs: Shapes of outputs, or with an element type that does not depend on the form.
        options: Fields of the options.
        kind: Type of the options in the schema.
        types: Element types: float32, int8, uint8, or others for all activations.
        same: All scales are equal.
        output: Scale of the output and zero point for int8, if an operator prescribes them.
        returns: Element type of the outputs, if it is another one than that of the inputs.
        low: Least number of inputs.
        high: Largest number of inputs.
        label: Addition to the name of the test.
    """

    op: str
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    options: Dict[str, Any] = dataclasses.field(default_factory=dict)
    kind: str = ""
    types: Tuple[str, ...] = ("float32",)
    same: bool = False
    output: Optional[Tuple[float, int]] = None
    returns: Optional[str] = None
    low: float = -2
    high: float = 2
    label: str = ""

    @property
    def name(self) -> str:
        """Return the name of the test."""
        return f"{self.op}-{self.label}" if self.label else self.op


def file_of(case: Case, dtype: str) -> bytes:
    """Return the file of a case in one element type."""
    builder = Builder()
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    inputs: List[int] = []
    given: List[int] = []
    first = (SCALES[0], ZEROS[dtype][0]) if dtype in ZEROS else None
    weight_scales: List[float] = [1.0]
    for number, item in enumerate(case.inputs):
        index = _input(builder, item, dtype, first, number, case, random, weight_scales)
        inputs.append(index)
        is_activation = isinstance(item, tuple) or (isinstance(item, Fixed) and item.data is None)
        if is_activation:
            given.append(index)
    outputs = []
    for output in case.outputs:
        kind = output.dtype if isinstance(output, Fixed) else case.returns or dtype
        shape = output.shape if isinstance(output, Fixed) else output
        fields: Dict[str, Any] = {}
        if kind in ZEROS:
            scale, zero = OUTPUT[0], OUTPUT[1][kind]
            if case.same and first is not None:
                scale, zero = first
            elif case.output is not None:
                scale, zero = case.output[0], case.output[1] + (128 if kind == "uint8" else 0)
            fields = {"scale": [scale], "zero": [zero]}
        outputs.append(builder.tensor(shape, kind, **fields))
    builder.operator(case.op, inputs, outputs, (case.kind, case.options) if case.kind else None)
    return builder.finish(given, outputs)


def _input(
    builder: Builder,
    item: Any,
    dtype: str,
    first: Optional[Tuple[float, int]],
    number: int,
    case: Case,
    random: np.random.Generator,
    weight_scales: List[float],
) -> int:
    if item is None:
        return -1
    if isinstance(item, Fixed):
        if item.data is None:
            return builder.tensor(item.shape, item.dtype)
        return builder.tensor(item.shape, item.dtype, data=item.data)
    if isinstance(item, list):
        return builder.constant(item)
    if isinstance(item, Weights):
        if first is None:
            return builder.tensor(item.shape, dtype, data=random.uniform(-1, 1, item.shape))
        count = 1 if item.axis is None else item.shape[item.axis]
        scales = [round(float(scale), 5) for scale in random.uniform(0.004, 0.012, count)]
        weight_scales[:] = scales
        low, high, zero = (-127, 128, 0) if dtype == "int8" else (0, 256, 119)
        data = random.integers(low, high, item.shape)
        return builder.tensor(item.shape, dtype, data=data, scale=scales, zero=[zero], axis=item.axis or 0)
    if isinstance(item, Bias):
        if first is None:
            return builder.tensor(item.shape, "float32", data=random.uniform(-1, 1, item.shape))
        steps = [first[0] * scale for scale in weight_scales]
        data = random.integers(-2000, 2000, item.shape)
        return builder.tensor(item.shape, "int32", data=data, scale=steps)
    if first is None:
        return builder.tensor(item, dtype)
    position = 0 if case.same else number % len(SCALES)
    return builder.tensor(item, dtype, scale=[SCALES[position]], zero=[ZEROS[dtype][position]])
