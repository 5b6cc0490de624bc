# SPDX-License-Identifier: Apache-2.0
"""Facts about the operators of a PyTorch program."""

from __future__ import annotations

from typing import Any, Callable, Final, Mapping, Sequence, Tuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from runtime.host.compile.torch_import.operators import operators_of_program, parameters_of_program
from tests.compile.torch.nets import all_nets
from tests.compile.torch.running import exported

Fact = Tuple[Callable[..., Any], Sequence[torch.Tensor], str, int, int]

FACTS: Final[Mapping[str, Fact]] = {
    "conv2d": (nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 8)], "conv2d", 4 * 36 * 27, 112),
    "depthwise": (
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        [torch.zeros(1, 4, 8, 8)],
        "conv2d",
        4 * 36 * 9,
        36,
    ),
    "transposed": (
        nn.ConvTranspose2d(2, 5, 2, stride=2, bias=False),
        [torch.zeros(1, 2, 3, 3)],
        "conv_transpose2d.input",
        2 * 9 * 5 * 4,
        40,
    ),
    "linear": (nn.Linear(7, 5), [torch.zeros(2, 7)], "linear", 70, 40),
    "matmul": (torch.matmul, [torch.zeros(3, 2, 7), torch.zeros(7, 5)], "matmul", 210, 0),
    "addmm": (torch.addmm, [torch.zeros(5), torch.zeros(2, 7), torch.zeros(7, 5)], "addmm", 70, 0),
    "einsum": (
        lambda x, y: torch.einsum("bij,bjk->bik", x, y),
        [torch.zeros(3, 2, 7), torch.zeros(3, 7, 5)],
        "einsum",
        210,
        0,
    ),
    "gru": (nn.GRU(5, 3), [torch.zeros(4, 1, 5)], "gru.input", 4 * (45 + 27), 90),
    "attention": (
        F.scaled_dot_product_attention,
        [torch.zeros(1, 2, 5, 4)] * 3,
        "scaled_dot_product_attention",
        2 * 2 * 5 * 5 * 4,
        0,
    ),
    "relu": (torch.relu, [torch.zeros(2, 3)], "relu", 0, 0),
}


@pytest.mark.parametrize("name", FACTS)
def test_macs_and_parameters(name: str) -> None:
    model, inputs, operator, macs, parameters = FACTS[name]
    program = exported(model, inputs)
    (found,) = (fact for fact in operators_of_program(program) if fact.operator == operator)
    assert (found.macs, found.parameters) == (macs, parameters)
    assert parameters_of_program(program) == parameters


def test_types_and_memory() -> None:
    (found,) = operators_of_program(exported(nn.Linear(7, 5), [torch.zeros(2, 7)]))
    assert found.inputs == ["float32 2x7", "float32 5x7", "float32 5"] and found.outputs == ["float32 2x5"]
    assert found.memory_bytes == 4 * (14 + 10)


def test_a_tensor_that_is_used_twice_counts_once() -> None:
    (found,) = operators_of_program(exported(lambda x: x * x, [torch.zeros(6)]))
    assert found.memory_bytes == 48 and found.inputs == ["float32 6", "float32 6"]


def test_parameters_of_a_net() -> None:
    module, inputs = all_nets()["lstm"]
    assert parameters_of_program(exported(module, inputs)) == sum(
        parameter.numel() for parameter in module.parameters()
    )
