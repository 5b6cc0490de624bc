# SPDX-License-Identifier: Apache-2.0
"""Models in ONNX, and files of TensorFlow Lite, which are converted to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Union

import onnx

from runtime.host.archive.about import OperatorFacts
from runtime.host.compile import culprit
from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import (
    MAX_MODEL_BYTES,
    Shapes,
    check_extents,
    checked,
    inputs_of,
    outputs_of,
    read_onnx,
    with_static_shapes,
)
from runtime.host.compile.operators import operators_of, parameters_of
from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.trained.model import Reference
from runtime.host.errors import PlatformError, reason_of
from runtime.host.system.regular_files import read_bytes

MODULE = "operator"  # name in C of an operator that is compiled alone


class OnnxModel:
    """A model in ONNX; see TrainedModel."""

    def __init__(self, model: Union[Path, onnx.ModelProto], shapes: Optional[Shapes] = None) -> None:
        """Read a model.

        Args:
            model: Path of a file, or the model.
            shapes: Input -> extents, for inputs with a dynamic shape.

        Raises:
            ModelError: The model is invalid, or is not one in ONNX.
        """
        if isinstance(model, Path):
            model = read_onnx(model)
        if not isinstance(model, onnx.ModelProto):
            raise ModelError(
                f"A {type(model).__name__} is not a model.",
                "Give the path of a file, an onnx.ModelProto, a torch.export.ExportedProgram or a "
                "tvm.IRModule.",
            )
        self._model = self._simple = with_static_shapes(model, shapes)
        self._in_float: List[str] = []
        self.inputs = inputs_of(self._model)
        self.outputs = outputs_of(self._model)

    def imported(self) -> Any:
        """Return the model as a tvm.IRModule of Relax.

        Raises:
            ModelError: A part of the model is not supported.
        """
        from runtime.host.compile.importer import import_onnx
        from runtime.host.compile.integers import with_integers
        from runtime.host.compile.onnx_rewrite import simplified

        check_extents(self._model)
        integers = with_integers(self._model)
        self._in_float = integers.in_float
        self._simple = checked(simplified(integers.model))
        return import_onnx(self._simple)

    def named(self, error: ModelError) -> ModelError:
        """Return an error that names the operator, if one fails alone."""
        return culprit.named(self._simple, error, _compile_alone)

    def reference(self) -> Optional[Reference]:
        """Return onnxruntime with the model."""
        return OnnxReference(self._model)

    def onnx_form(self) -> onnx.ModelProto:
        """Return the model with static shapes."""
        return self._model

    def in_float(self) -> List[str]:
        """Return the operators of quantized tensors that compute floating-point numbers."""
        return self._in_float

    def operators(self) -> List[OperatorFacts]:
        """Return the operators of the model."""
        return operators_of(self._model)

    def parameters(self) -> int:
        """Return the number of elements of all constants."""
        return parameters_of(self._model)


class TfliteModel(OnnxModel):
    """A file of TensorFlow Lite; see TrainedModel."""

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ModelError: The file is damaged, or has a part that is not supported.
            ToolMissing: The package that reads the format is not installed.
        """
        from runtime.host.compile.tflite import tflite_to_onnx

        try:
            self._data = read_bytes(path, MAX_MODEL_BYTES)
        except OSError as error:
            raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
        try:
            model = tflite_to_onnx(self._data)
        except ModelError as error:
            raise ModelError(error.what.replace("The file", str(path), 1), error.next_step) from error
        super().__init__(model)

    def reference(self) -> Reference:
        """Return LiteRT with the file."""
        from runtime.host.compile.tflite import TfliteReference

        return TfliteReference(self._data)


def _compile_alone(model: onnx.ModelProto) -> None:
    """Compile a model of one operator, for its failure."""
    from runtime.host.compile.compiler import compile_relax
    from runtime.host.compile.importer import import_onnx

    inputs, outputs = inputs_of(model), outputs_of(model)
    compile_relax(import_onnx(model), inputs, outputs, MODULE)
