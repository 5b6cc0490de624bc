# SPDX-License-Identifier: Apache-2.0
"""Interfaces of a trained model and of the runtime that it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Protocol

from runtime.host.compile.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from runtime.host.archive.about import OperatorFacts
    from runtime.host.compile.onnx_model import Value
    from runtime.host.compile.rounding import Arrays


class Reference(Protocol):
    """Runtime whose answers are right.

    Attributes:
        name: Name of the runtime, for messages.
        outputs: Names of the outputs in order.
    """

    name: str
    outputs: List[str]

    def run(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return the outputs by name, or raise InvalidInputs."""
        ...

    def rounding(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return for each output how far rounding may move its elements, or raise InvalidInputs."""
        ...


class TrainedModel(Protocol):
    """A model as it was given.

    Attributes:
        inputs: Inputs in order.
        outputs: Outputs in order.
    """

    inputs: List[Value]
    outputs: List[Value]

    def imported(self) -> Any:
        """Return the model as a tvm.IRModule of Relax, or raise ModelError."""
        ...

    def named(self, error: ModelError) -> ModelError:
        """Return the error of a failed compilation, with the name of the operator if it is known."""
        ...

    def reference(self) -> Optional[Reference]:
        """Return the runtime that the model was made for; None without one."""
        ...

    def onnx_form(self) -> Optional[onnx.ModelProto]:
        """Return the model in ONNX, if there is such a form."""
        ...

    def in_float(self) -> List[str]:
        """Return the operators of quantized tensors that compute floating-point numbers, after the import."""
        ...

    def operators(self) -> Optional[List[OperatorFacts]]:
        """Return the operators of the model in order; None if they are not known."""
        ...

    def parameters(self) -> Optional[int]:
        """Return the number of elements of all constants; None if it is not known."""
        ...
