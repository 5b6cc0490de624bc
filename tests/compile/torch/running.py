# SPDX-License-Identifier: Apache-2.0
"""Compilation of programs of torch.export, and runs of the compiled C on this machine."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np
import torch
from torch.export import ExportedProgram, export

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.native import run_natively
from runtime.host.compile.torch_import.reference import TorchReference


class Function(torch.nn.Module):
    """Module of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def exported(model: Callable[..., Any], inputs: Sequence[torch.Tensor], **options: Any) -> ExportedProgram:
    """Return the program of a module in evaluation mode, or of a function."""
    module = model if isinstance(model, torch.nn.Module) else Function(model)
    return export(module.eval(), tuple(inputs), **options)


def compiled(program: ExportedProgram) -> ModelArchive:
    """Return the model archive of a program."""
    return ModelArchive.unpacked(compile_model(program, verify=False).archive)


def error_of(program: ExportedProgram, inputs: Sequence[torch.Tensor]) -> float:
    """Return the largest error of the compiled program, as a part of the largest output of PyTorch.

    The result is infinite for an integer that differs, and for another shape or type.
    """
    archive, reference = compiled(program), TorchReference(program)
    names = [spec.name for spec in archive.inputs]
    sample = {name: tensor.numpy() for name, tensor in zip(names, inputs)}
    (found,) = run_natively(archive, [sample])
    expected = reference.run(sample)
    assert [spec.name for spec in archive.outputs] == reference.outputs
    return max(difference(found[name], expected[name]) for name in reference.outputs)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error as a part of the largest expected value."""
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return float("inf")
    one, other = found.astype(np.float64), expected.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if expected.dtype.kind != "f":
        return 0.0 if bool(same.all()) else float("inf")
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(one - other))
    finite = np.abs(other[np.isfinite(other)])
    peak = float(finite.max()) if finite.size else 1.0
    worst = float(error.max()) if error.size else 0.0
    return float("inf") if np.isnan(worst) else worst / max(peak, 1e-30)
