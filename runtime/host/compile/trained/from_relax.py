# SPDX-License-Identifier: Apache-2.0
"""Models in Relax, TVM's own form."""

from __future__ import annotations

from typing import Any, List, Optional

from runtime.host.compile.errors import ModelError
from runtime.host.compile.relax_program import signature_of_main


class RelaxModel:
    """A tvm.IRModule with static shapes and a function main; see TrainedModel."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.inputs, self.outputs = signature_of_main(module)

    def imported(self) -> Any:
        """Return the module itself."""
        return self._module

    def named(self, error: ModelError) -> ModelError:
        """Return the error as it is."""
        return error

    def reference(self) -> None:
        """Return None: no other runtime runs Relax."""

    def onnx_form(self) -> None:
        """Return None."""

    def in_float(self) -> List[str]:
        """Return an empty list."""
        return []

    def operators(self) -> Optional[List[Any]]:
        """Return None."""
        return None

    def parameters(self) -> Optional[int]:
        """Return None."""
        return None
