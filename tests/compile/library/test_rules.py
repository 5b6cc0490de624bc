# SPDX-License-Identifier: Apache-2.0
"""Rules of the library: operators that no kernel takes remain with the loops of TVM."""

from __future__ import annotations

import re
import tarfile
from io import BytesIO
from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import pytest

from runtime.host.compile import compile_model
from runtime.host.compile.integers import operators
from runtime.host.compile.integers.windows import window_counts
from runtime.host.compile.library.choice import LARGEST_EXTENT, Choice, Operand
from runtime.host.compile.library.rules import LARGEST_PARAMETER, choose
from tests.compile.quantized import Form, Graph

HIGH: Final = {
    "form": operators.HIGH,
    "before": 4,
    "shift": 12,
    "offset": 2048,
    "lowest": -128,
    "highest": 127,
}
WIDE: Final = {**HIGH, "form": operators.WIDE, "before": 0, "shift": 30, "offset": 1 << 29}
NARROW: Final = {**HIGH, "form": operators.NARROW, "before": 0, "shift": 10, "offset": 512}


class Request(NamedTuple):
    """Arguments of choose()."""

    operator: str
    attributes: Dict[str, Any]
    inputs: List[Operand]
    output: Operand

    def kernel(self) -> Optional[str]:
        """Return the name of the chosen kernel."""
        choice = choose(self.operator, self.attributes, self.inputs, self.output)
        return None if choice is None else choice.kernel

    def without(self, at: int) -> Request:
        """Return the request with an input that is not constant."""
        inputs = list(self.inputs)
        inputs[at] = inputs[at]._replace(data=None)
        return self._replace(inputs=inputs)


def conv(
    x: Sequence[int] = (1, 4, 6, 6),
    weights: Sequence[int] = (3, 4, 3, 3),
    types: Sequence[str] = ("int8", "int8", "int8"),
    form: Mapping[str, int] = HIGH,
    multiplier: int = 1 << 20,
    bias: int = 0,
    **changes: Any,
) -> Request:
    """Return a convolution. `types`: of x, weights and output."""
    rank = len(x) - 2
    attributes: Dict[str, Any] = {
        "strides": [1] * rank,
        "dilations": [1] * rank,
        "pads": [0] * 2 * rank,
        "group": 1,
        "zero_point": 3,
    }
    attributes.update(form, **changes)
    counts = window_counts(
        x[2:], weights[2:], *(attributes[each] for each in ("strides", "dilations", "pads"))
    )
    made = weights[0]
    return Request(
        operators.CONV, attributes, *_tensors(x, weights, types, multiplier, bias, (x[0], made, *counts))
    )


def dense(
    rows: int = 1, depth: int = 8, types: Sequence[str] = ("int8", "int8", "int8"), bias: int = 0
) -> Request:
    """Return a product with five columns."""
    tensors = _tensors((rows, depth), (5, depth), types, 1 << 20, bias, (rows, 5))
    return Request(operators.DENSE, dict(HIGH), *tensors)


def _tensors(
    x: Sequence[int],
    weights: Sequence[int],
    types: Sequence[str],
    multiplier: int,
    bias: int,
    y: Sequence[int],
) -> Any:
    taps = np.ones(weights, types[1])
    constants = (taps, np.full(weights[0], bias, np.int32), np.array([multiplier], np.int32))
    inputs = [
        Operand(tuple(x), types[0]),
        *(Operand(each.shape, str(each.dtype), each) for each in constants),
    ]
    return inputs, Operand(tuple(y), types[2])


TAKEN: Final = {
    "1-D": (conv((1, 4, 9), (3, 4, 5)), "conv"),
    "2-D": (conv(), "conv"),
    "grouped": (conv((1, 4, 6, 6), (4, 2, 3, 3), group=2), "conv"),
    "one input channel": (conv((1, 1, 6, 6), (3, 1, 3, 3)), "conv"),
    "depthwise": (conv((1, 4, 6, 6), (8, 1, 3, 3), group=4), "depthwise"),
    "uint8": (conv(types=("uint8", "int8", "uint8")), "conv"),
    "narrow form": (conv(form=NARROW, multiplier=100), "conv"),
    "wide form": (conv(form=WIDE), "conv"),
    "largest extent": (conv((1, 4, LARGEST_EXTENT), (3, 4, 1)), "conv"),
    "largest parameters": (conv((1, 4, 255), (3, 4, 255), strides=[LARGEST_PARAMETER]), "conv"),
    "one row": (dense(1), "dense"),
    "two rows": (dense(2), "dense"),
    "three rows": (dense(3), "rows"),
}

REFUSED: Final = {
    "3-D": conv((1, 4, 6, 6, 6), (3, 4, 3, 3, 3)),
    "int16 weights": conv(types=("int8", "int16", "int8")),
    "int16 input": conv(types=("int16", "int8", "int8")),
    "int32 output": conv(types=("int8", "int8", "int32")),
    "float output": conv(types=("int8", "int8", "float32"), form={"form": operators.FLOAT}),
    "variable weights": conv().without(1),
    "variable bias": conv().without(2),
    "variable multipliers": conv().without(3),
    "input too large": conv((1, 4, LARGEST_EXTENT + 1), (3, 4, 1)),
    "output too large": conv((1, 4, LARGEST_EXTENT), (3, 4, 1), pads=[1, 0]),
    "window too large": conv((1, 4, 300), (3, 4, LARGEST_PARAMETER + 1)),
    "stride too large": conv((1, 4, 300), (3, 4, 1), strides=[LARGEST_PARAMETER + 1]),
    "dilation too large": conv((1, 4, 300), (3, 4, 2), dilations=[LARGEST_PARAMETER + 1]),
    "padding too large": conv((1, 4, 9), (3, 4, 1), pads=[LARGEST_EXTENT + 1, 0], strides=[255]),
    "negative padding": conv((1, 4, 9), (3, 4, 1), pads=[-1, 0]),
    "sums of signed elements beyond 32 bits": conv(
        types=("uint8", "int8", "int8"), form={**WIDE}, bias=(1 << 31) - 1
    ),
    "negative multiplier": conv(form=WIDE, multiplier=-5),
    "offset with bits of a fraction": conv(form={**WIDE, "offset": 12345}),
    "wide form with a small shift": conv(form={**WIDE, "shift": 8, "offset": 128}),
    "too many rows": dense(LARGEST_EXTENT + 1),
    "product with int16 weights": dense(types=("int8", "int16", "int8")),
    "product with float output": dense(types=("int8", "int8", "float32")),
    "product with variable weights": dense().without(1),
    "another operator": conv()._replace(operator=operators.CONV_TRANSPOSE),
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_operator_has_a_kernel(name: str) -> None:
    request, kernel = TAKEN[name]
    assert request.kernel() == kernel


@pytest.mark.parametrize("name", REFUSED)
def test_an_operator_without_a_kernel_is_refused(name: str) -> None:
    assert REFUSED[name].kernel() is None


def test_a_choice_is_read_as_it_was_written() -> None:
    request = conv()
    choice = choose(*request)
    assert choice is not None
    assert Choice.read(choice.text()) == choice
    shaped = {**request.attributes, "output_shape": [1, 3, 4, 4], "output_type": 3}
    assert choose(request.operator, shaped, request.inputs, request.output) == choice


@pytest.mark.slow
def test_a_model_has_kernels_of_the_library_and_loops_of_tvm() -> None:
    graph = Graph(Form(weights="int8"))
    x, weight = graph.input(1, 3, 5, 5), graph.weight(5, 3, 3, 3)
    graph.output(graph.op("Conv", x, weight))
    graph.output(graph.op("Conv", graph.input(1, 3, 4, 4), graph.weight(3, 1, 3, 3), group=3))
    graph.output(graph.op("MatMul", graph.input(1, 7), graph.weight(7, 5, axis=1)))
    graph.output(graph.op("MatMul", graph.input(4, 7), graph.weight(7, 5, axis=1)))
    own = sorted(["conv", "depthwise", "dense", "rows"])
    graph.output(graph.op("Conv", graph.input(1, 2, 3, 3, 3), graph.weight(2, 2, 2, 2, 2)))
    graph.end(graph.op("Conv", x, weight))
    graph.form = graph.form._replace(weights="uint8")  # int16 without their zero point
    graph.output(graph.op("Conv", graph.input(1, 3, 6, 6), graph.weight(5, 3, 3, 3)))
    compiled = compile_model(graph.model(), verify=False)
    with tarfile.open(fileobj=BytesIO(compiled.archive.data)) as tar:
        file = tar.extractfile("codegen/host/src/default_lib1.c")
        assert file is not None
        code = file.read().decode()
    assert sorted(re.findall(r"^static void own\d+_(\w+)\(", code, re.MULTILINE)) == own
    assert len(re.findall(r"^static .*void k\d+_IntegerConv", code, re.MULTILINE | re.IGNORECASE)) == 3
