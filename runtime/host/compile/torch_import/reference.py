# SPDX-License-Identifier: Apache-2.0
"""Reference answers of a program of torch.export: PyTorch itself."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import torch
from torch.export import ExportedProgram

from runtime.host.compile.rounding import Arrays, InvalidInputs, rounding_of
from runtime.host.compile.torch_import.signature import (
    constants_of_program,
    inputs_of_program,
    outputs_of_program,
)


class TorchReference:
    """Reference of one program.

    Its graph is run as it is, without the decompositions and repairs of the import.

    Attributes:
        name: Name of the runtime, for messages.
        outputs: Names of the outputs in order.
    """

    def __init__(self, program: ExportedProgram) -> None:
        """Prepare the program.

        Raises:
            ModelError: The signature of the program is not supported.
        """
        self.name = "PyTorch"
        self.outputs: List[str] = [value.name for value in outputs_of_program(program)]
        self._inputs = [value.name for value in inputs_of_program(program)]
        self._graph = program.graph_module
        self._constants = constants_of_program(program)
        self._order = [spec.arg.name for spec in program.graph_signature.input_specs]

    def run(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return the outputs by name.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        # Copies: operators of the graph may change their operands.
        given: Dict[str, Any] = {name: tensor.clone() for name, tensor in self._constants.items()}
        given.update({name: torch.from_numpy(np.array(inputs[name])) for name in self._inputs})
        try:
            # An interpreter calls the operators one by one: code of a file that was read is never compiled.
            with torch.no_grad():
                results = torch.fx.Interpreter(self._graph).run(*[given[name] for name in self._order])
        except Exception as error:  # PyTorch raises RuntimeError, IndexError and others
            raise InvalidInputs(str(error)) from error
        return {name: result.numpy() for name, result in zip(self.outputs, results)}

    def rounding(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return for each output how far rounding may move its elements.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        return rounding_of(self.run, inputs)
