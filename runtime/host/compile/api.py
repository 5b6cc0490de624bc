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
        model: Path of an ONNX file, an onnx.ModelProto, or a tvm.IRModule of Relax with static shapes and a
            function main.
        input_shapes: Input -> extents, for inputs of an ONNX model with a dynamic shape.
        verify: Compare the compiled model with onnxruntime on this machine. An IRModule is not verified, as
            it has no reference.
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
    if _is_relax(model):
        from runtime.host.compile.compiler import compile_relax
        from runtime.host.compile.relax_program import signature_of_main
        from runtime.host.compile.report import about

        inputs, outputs = signature_of_main(model)
        with progress("Compiling the kernels"):
            compiled = compile_relax(model, inputs, outputs, MODULE)
        return CompiledModel(PackedTar(name, compiled.archive(about(compiled))), compiled, None)
    return _compile_onnx(model, name, input_shapes, verify, progress)


def _compile_onnx(
    model: Any, name: Path, shapes: Optional[Shapes], verify: bool, progress: Progress
) -> CompiledModel:
    with progress("Reading the model"):
        import onnx

        from runtime.host.compile.onnx_model import (
            check_extents,
            checked,
            inputs_of,
            outputs_of,
            read_onnx,
            with_static_shapes,
        )
        from runtime.host.compile.onnx_rewrite import simplified

        if isinstance(model, (str, Path)):
            model = read_onnx(Path(model))
        if not isinstance(model, onnx.ModelProto):
            raise ModelError(
                f"A {type(model).__name__} is not a model.",
                "Give the path of an ONNX file, an onnx.ModelProto or a tvm.IRModule.",
            )
        static = with_static_shapes(model, shapes)
        inputs = inputs_of(static)
        outputs = outputs_of(static)
    with progress("Loading TVM"):
        from runtime.host.compile.compiler import compile_relax
        from runtime.host.compile.importer import import_onnx
        from runtime.host.compile.integers import with_integers
        from runtime.host.compile.report import about, about_verification
    simple = static
    try:
        with progress("Importing the operators"):
            check_extents(static)
            simple = checked(simplified(with_integers(static).model))
            imported = import_onnx(simple)
        with progress("Compiling the kernels"):
            compiled = compile_relax(imported, inputs, outputs, MODULE)
    except ModelError as error:
        from runtime.host.compile.culprit import named

        raise named(simple, error, _compile_alone) from error
    facts = about(compiled, static)
    packed = PackedTar(name, compiled.archive(facts))
    verified = None
    if verify:
        with progress("Verifying the answers on this machine"):
            from runtime.host.compile.verification import verify_archive

            verified = verify_archive(static, ModelArchive.unpacked(packed))
            packed = PackedTar(name, compiled.archive({**facts, **about_verification(verified)}))
    return CompiledModel(packed, compiled, verified)


def _compile_alone(model: Any) -> None:
    """Compile a model of one operator, for its failure."""
    from runtime.host.compile.compiler import compile_relax
    from runtime.host.compile.importer import import_onnx
    from runtime.host.compile.onnx_model import inputs_of, outputs_of

    inputs, outputs = inputs_of(model), outputs_of(model)
    compile_relax(import_onnx(model), inputs, outputs, MODULE)


def _is_relax(model: Any) -> bool:
    kind = type(model)
    return kind.__name__ == "IRModule" and kind.__module__.split(".")[0] == "tvm"
