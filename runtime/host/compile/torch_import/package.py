# SPDX-License-Identifier: Apache-2.0
"""The Python package of PyTorch, which only models of PyTorch need."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Final

from runtime.host.errors import ToolMissing

OLDEST: Final = (2, 9)
"""Oldest release whose files have weights as plain bytes. Tests run with 2.13."""

INDEX: Final = "https://download.pytorch.org/whl/cpu"  # a build without CUDA: 200 MB instead of 2 GB


def check_torch() -> None:
    """Check that PyTorch can be imported.

    Raises:
        ToolMissing: The package is missing or too old.
    """
    command = f"{sys.executable} -m pip install torch --index-url {INDEX}"
    if importlib.util.find_spec("torch") is None:
        raise ToolMissing(
            "The package torch, which reads models of PyTorch, is not installed.", f"Run: {command}"
        )
    try:
        import torch

        version = str(torch.__version__)
    except Exception as error:  # a library that is missing, or another version of NumPy
        raise ToolMissing(f"The package torch cannot be imported: {error}.", f"Run: {command}") from error
    if _numbers(version) < OLDEST:
        raise ToolMissing(
            f"Version {version} of torch is too old: expected {'.'.join(map(str, OLDEST))} or newer.",
            f"Run: {command} --upgrade",
        )


def is_program(model: Any) -> bool:
    """Return whether a model is a torch.export.ExportedProgram. Nothing is imported."""
    return any(
        kind.__name__ == "ExportedProgram" and kind.__module__.split(".")[0] == "torch"
        for kind in type(model).__mro__
    )


def _numbers(version: str) -> Any:
    numbers = version.split("+", maxsplit=1)[0].split(".")[:2]
    return tuple(int(number) if number.isdigit() else 0 for number in numbers)
