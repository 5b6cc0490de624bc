# SPDX-License-Identifier: Apache-2.0
"""Compilation of a model from Python; runtime.host.compile exports compile_model."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Final, NamedTuple, Optional, Union

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import PackedTar
from runtime.host.compile.errors import ModelError
from runtime.host.compile.packages import check_packages
from runtime.host.compile.trained.opening import open_model

if TYPE_CHECKING:
    from runtime.host.compile.compiler import Compiled
    from runtime.host.compile.onnx_model import Shapes
    from runtime.host.compile.verification import Verified

Progress = Callable[[str], ContextManager[Any]]
MODULE: Final = "default"


class CompiledModel(NamedTuple):
    """A compiled model.

    Attributes:
        archive: Model archive: its content, and the path or name of the model for messages.
        compiled: Program, kernels and memory plan.
        verified: Result of the verification; None without one.
    """

    archive: PackedTar
    compiled: Compiled
    verified: Optional[Verified]

    def save(self, path: Union[str, Path]) -> None:
        """Write the model archive to a file."""
        Path(path).write_bytes(self.archive.data)


def compile_model(
    model: Any,
    *,
    input_shapes: Optional[Shapes] = None,
    verify: bool = True,
    progress: Progress = lambda _text: contextlib.nullcontext(),
) -> CompiledModel:
    """Compile a model to a model archive, which every command and the Project API take.

    Args:
        model: Path of a file of ONNX, TensorFlow Lite or PyTorch (.pt2), an onnx.ModelProto, a
            torch.export.ExportedProgram, or a tvm.IRModule of Relax with static shapes and a function main.
        input_shapes: Input -> extents, for inputs of an ONNX model with a dynamic shape.
        verify: Compare the compiled model on this machine with the runtime that it was made for. An IRModule
            is not verified, as it has none.
        progress: Context manager that is entered for each stage, with its name.

    Returns:
        The compiled model.

    Raises:
        ModelError: The model is invalid, has a part that cannot be compiled, or its answers differ from the
            reference.
        ToolMissing: A package or the host's C compiler is missing.
    """
    check_packages()
    name = Path(model) if isinstance(model, (str, Path)) else Path("model")
    with progress("Reading the model"):
        source = open_model(model, input_shapes)
    with progress("Loading TVM"):
        from runtime.host.compile.compiler import compile_relax
        from runtime.host.compile.report import about, about_verification
    try:
        with progress("Importing the operators"):
            imported = source.imported()
        with progress("Compiling the kernels"):
            compiled = compile_relax(imported, source.inputs, source.outputs, MODULE)
    except ModelError as error:
        raise source.named(error) from error
    facts = about(compiled, source)
    packed = PackedTar(name, compiled.archive(facts))
    verified = None
    if verify:
        with progress("Verifying the answers on this machine"):
            from runtime.host.compile.verification import verify_archive

            verified = verify_archive(source, ModelArchive.unpacked(packed))
        if verified is not None:
            packed = PackedTar(name, compiled.archive({**facts, **about_verification(verified)}))
    return CompiledModel(packed, compiled, verified)
