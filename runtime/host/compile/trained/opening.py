# SPDX-License-Identifier: Apache-2.0
"""Models as they are given: files of ONNX, TensorFlow Lite and PyTorch, and models in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Mapping, Optional, Sequence

from runtime.host.compile.errors import ModelError
from runtime.host.compile.trained.model import TrainedModel

if TYPE_CHECKING:
    from runtime.host.compile.onnx_model import Shapes

TFLITE: Final = ".tflite"
TORCH: Final = (".pt2", ".pt", ".pth")


def open_model(model: Any, shapes: Optional[Shapes] = None) -> TrainedModel:
    """Read a model.

    Args:
        model: Path of a file, an onnx.ModelProto, a torch.export.ExportedProgram, or a tvm.IRModule of Relax.
        shapes: Input -> extents, for inputs of an ONNX model with a dynamic shape.

    Raises:
        ModelError: The model is invalid, or is not a model.
        ToolMissing: A package is missing.
    """
    from runtime.host.compile.torch_import.package import is_program

    path = Path(model) if isinstance(model, (str, Path)) else None
    if _is_relax(model):
        from runtime.host.compile.trained.from_relax import RelaxModel

        _refuse_shapes(shapes, "An IRModule")
        return RelaxModel(model)
    if is_program(model) or (path is not None and path.suffix.lower() in TORCH):
        from runtime.host.compile.trained.from_torch import TorchModel

        _refuse_shapes(shapes, "A program of torch.export")
        return TorchModel(model if path is None else path)
    if path is not None and path.suffix.lower() == TFLITE:
        from runtime.host.compile.trained.from_onnx import TfliteModel

        _refuse_shapes(shapes, "A TensorFlow Lite file")
        return TfliteModel(path)
    from runtime.host.compile.trained.from_onnx import OnnxModel

    return OnnxModel(model if path is None else path, shapes)


def _refuse_shapes(shapes: Optional[Mapping[str, Sequence[int]]], kind: str) -> None:
    if shapes:
        raise ModelError(
            f"{kind} has static shapes: --input-shape does not apply.",
            "Leave out --input-shape, or export the model with other shapes.",
        )


def _is_relax(model: Any) -> bool:
    kind = type(model)
    return kind.__name__ == "IRModule" and kind.__module__.split(".")[0] == "tvm"
