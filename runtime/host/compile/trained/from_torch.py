# SPDX-License-Identifier: Apache-2.0
"""Programs of torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Union

from runtime.host.archive.about import OperatorFacts
from runtime.host.compile.errors import ModelError
from runtime.host.compile.trained.model import Reference

MODULE = "operator"  # name in C of an operator that is compiled alone


class TorchModel:
    """A program of torch.export; see TrainedModel."""

    def __init__(self, program: Union[Path, Any]) -> None:
        """Read a program.

        Args:
            program: Path of a file, or a torch.export.ExportedProgram.

        Raises:
            ModelError: The file is damaged, or the signature of the program is not supported.
            ToolMissing: PyTorch is not installed.
        """
        from runtime.host.compile.torch_import.package import check_torch

        check_torch()
        from runtime.host.compile.torch_import.program_file import read_program
        from runtime.host.compile.torch_import.signature import inputs_of_program, outputs_of_program

        self._program = read_program(program) if isinstance(program, Path) else program
        self._is_imported = False
        self.inputs = inputs_of_program(self._program)
        self.outputs = outputs_of_program(self._program)

    def imported(self) -> Any:
        """Return the program as a tvm.IRModule of Relax.

        Raises:
            ModelError: A part of the program is not supported.
        """
        from runtime.host.compile.torch_import.importing import import_program

        module, self.inputs, self.outputs = import_program(self._program)
        self._is_imported = True
        return module

    def named(self, error: ModelError) -> ModelError:
        """Return an error that names the operator, if one fails alone."""
        from runtime.host.compile.torch_import.culprit import named

        return named(self._program, error, _compile_alone)

    def reference(self) -> Reference:
        """Return PyTorch with the program.

        Raises:
            ModelError: An operator is not supported: the import checks what PyTorch may run.
        """
        from runtime.host.compile.torch_import.reference import TorchReference

        if not self._is_imported:
            self.imported()
        return TorchReference(self._program)

    def onnx_form(self) -> None:
        """Return None."""

    def in_float(self) -> List[str]:
        """Return an empty list."""
        return []

    def operators(self) -> List[OperatorFacts]:
        """Return the operators of the program."""
        from runtime.host.compile.torch_import.operators import operators_of_program

        return operators_of_program(self._program)

    def parameters(self) -> int:
        """Return the number of elements of all constants."""
        from runtime.host.compile.torch_import.operators import parameters_of_program

        return parameters_of_program(self._program)


def _compile_alone(program: Any) -> None:
    """Compile a program of one operator, for its failure."""
    from runtime.host.compile.compiler import compile_relax
    from runtime.host.compile.torch_import.importing import import_program

    compile_relax(*import_program(program), MODULE)
