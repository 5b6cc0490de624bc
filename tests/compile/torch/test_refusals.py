# SPDX-License-Identifier: Apache-2.0
"""Programs that are refused: shapes, types and state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.culprit import named
from runtime.host.compile.torch_import.importing import import_program
from tests.compile.torch.running import exported

X = torch.randn(2, 3)


def refusal(program: Any) -> str:
    with pytest.raises(ModelError) as caught:
        import_program(program)
    assert caught.value.what.endswith(".") and caught.value.next_step.endswith(".")
    return caught.value.what


def test_a_dynamic_shape() -> None:
    program = exported(nn.Linear(3, 2), [X], dynamic_shapes=({0: Dim("batch", min=2, max=8)},))
    assert "Input 'input' has a dynamic shape: dimension 0" in refusal(program)


def test_a_buffer_that_changes() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return x + self.count

    assert "changes 'count'" in refusal(exported(Counter(), [X]))


def test_an_input_that_changes() -> None:
    assert "changes" in refusal(exported(lambda x: x.add_(1), [X]))


def test_a_batch_norm_in_training_mode() -> None:
    module = nn.BatchNorm1d(3).train()
    assert "changes 'running_mean'" in refusal(torch.export.export(module, (X,)))


def test_an_input_that_is_a_number() -> None:
    assert "is not a tensor" in refusal(exported(lambda x, n: x * n, [X, 3]))


def test_an_output_that_is_a_number() -> None:
    assert "is not a tensor" in refusal(exported(lambda x: (x, 3), [X]))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_a_type_that_devices_do_not_support(kind: torch.dtype) -> None:
    name = str(kind).split(".")[-1]
    assert f"has type {name}" in refusal(exported(lambda x: x + 1, [X.to(kind)]))
    assert f"type {name}" in refusal(exported(lambda x: x.to(kind) * 2, [X]))


def test_a_parameter_of_another_type() -> None:
    module = nn.Linear(3, 2).half()
    assert "float16" in refusal(exported(lambda x: module.weight * x.sum(), [X]))


def test_control_flow() -> None:
    def forward(x: torch.Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))

    refusal(exported(forward, [X]))


def test_an_output_that_is_nothing() -> None:
    assert "Output 0 of the program is not a tensor" in refusal(exported(lambda x: None, [X]))


def test_a_tensor_without_elements() -> None:
    assert "without elements" in refusal(exported(lambda x: x[:0], [X]))


def test_the_operator_that_cannot_be_compiled_is_named() -> None:
    def compile_one(program: Any) -> None:
        if any("sinh" in node.name for node in program.graph.nodes):
            raise ModelError("No kernel.", "Next.")

    program = exported(lambda x: torch.sinh(x + 1).sum(1), [X])
    found = named(program, ModelError("Something failed.", "Next."), compile_one)
    assert found.what == "Operator aten.sinh of node 'sinh' cannot be compiled: No kernel."
    assert (
        named(program, ModelError("Something failed.", "Next."), lambda _one: None).what
        == "Something failed."
    )
