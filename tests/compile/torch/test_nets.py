# SPDX-License-Identifier: Apache-2.0
"""Whole nets of PyTorch: the compiled C has PyTorch's answers, also for the inputs of the verification."""

from __future__ import annotations

import pytest
import torch

from runtime.host.compile.torch_import.importing import import_program
from runtime.host.compile.trained.from_torch import TorchModel
from runtime.host.compile.verification import verify_archive
from tests.compile.torch.nets import all_nets
from tests.compile.torch.running import Function, compiled, error_of, exported

NETS = all_nets()


@pytest.mark.parametrize("name", NETS)
def test_it_answers_as_pytorch(name: str) -> None:
    module, inputs = NETS[name]
    program = exported(module, inputs)
    assert error_of(program, inputs) <= 2e-6


@pytest.mark.parametrize("name", NETS)
def test_it_is_verified(name: str) -> None:
    module, inputs = NETS[name]
    program = exported(module, inputs)
    verified = verify_archive(TorchModel(program), compiled(program))
    assert verified is not None and verified.reference == "PyTorch" and verified.sets >= 1


def test_names_follow_the_signature() -> None:
    module, inputs = NETS["step"]
    _, given, made = import_program(exported(module, inputs))
    assert [(value.name, value.dtype, value.shape) for value in given] == [
        ("x", "float32", (1, 3)),
        ("state", "float32", (1, 5)),
    ]
    assert [(value.dtype, value.shape) for value in made] == [("float32", (1, 5)), ("int64", (1,))]


def test_an_output_may_be_an_input_a_constant_or_given_twice() -> None:
    class Same(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.arange(3.0))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            y = x * 2
            return x, y, y, self.weight, x.reshape(-1), torch.ones(2)

    x = torch.randn(2, 3)
    assert error_of(exported(Same(), [x]), [x]) == 0


def test_the_program_is_not_changed() -> None:
    module, inputs = NETS["tcn"]
    program = exported(module, inputs)
    before, names = str(program), sorted(program.constants)
    import_program(program)
    assert str(program) == before and sorted(program.constants) == names


def test_names_of_the_model_are_not_names_of_c() -> None:
    class Names(torch.nn.Module):
        def forward(self, erf: torch.Tensor, expf: torch.Tensor) -> torch.Tensor:
            return torch.erf(erf) + torch.exp(expf)

    inputs = [torch.randn(4), torch.randn(4)]
    assert error_of(exported(Names(), inputs), inputs) <= 1e-6


def test_a_strided_parameter_keeps_its_order() -> None:
    weight = torch.nn.Parameter(torch.randn(4, 3).t())

    class Strided(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.weight

    x = torch.randn(2, 3)
    assert error_of(exported(Strided(), [x]), [x]) <= 1e-6


@pytest.mark.parametrize("index", [-100, -1, 3, 2**40])
def test_an_index_outside_of_the_tensor_counts_as_the_nearest(index: int) -> None:
    from runtime.host.compile.native import run_natively

    table = torch.arange(12.0).reshape(4, 3)
    places = torch.tensor([index])
    program = exported(Function(lambda x, i: x.index_select(0, i)), [table, torch.tensor([0])])
    archive = compiled(program)
    names = [spec.name for spec in archive.inputs]
    (found,) = run_natively(archive, [dict(zip(names, (table.numpy(), places.numpy())))])
    (row,) = found.values()
    expected = min(max(index + 4 if index < 0 else index, 0), 3)
    assert list(row[0]) == list(table[expected])
