# SPDX-License-Identifier: Apache-2.0
"""Contents of a model, from its archive, or from a model file that is compiled for it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, ContextManager, Final, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.archive.about import OperatorFacts, VerificationFacts, read_facts
from runtime.host.archive.kernel_list import KernelRow, kernel_rows
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import PackedTar
from runtime.host.compile.errors import ModelError
from runtime.host.compile.stored import compiled_archive
from runtime.host.dtype import DType
from runtime.host.errors import PlatformError

Progress = Callable[[str], ContextManager[Any]]

FORMS: Final = {
    ".onnx": ("onnx", "ONNX"),
    ".tflite": ("tflite", "TensorFlow Lite"),
    ".pt2": ("torch", "PyTorch"),
}
"""Suffix of a model file -> its kind, and its format in words."""


class Tensor(NamedTuple):
    """Input or output of a model.

    Attributes:
        name: Name in the trained model.
        dtype: Data type in NumPy's spelling, or that of ONNX for a type that devices do not support.
        shape: Extents; None if they are not known.
        size_bytes: Bytes of the whole tensor; None if they are not known.
    """

    name: str
    dtype: str
    shape: Optional[Tuple[int, ...]]
    size_bytes: Optional[int]


class Inspection(NamedTuple):
    """Contents of a model. A value is None if the file does not have it.

    Attributes:
        kind: "archive", or the kind of a model file: "onnx", "tflite" or "torch".
        form: Version of the file in words.
        inputs: Inputs in order.
        outputs: Outputs in order.
        operators: Operators of the trained model in order.
        parameters: Elements of all constants of the trained model.
        in_float: Operators of quantized tensors that compute floating-point numbers.
        kernels: Calls of kernels in order.
        arena_bytes: Memory for intermediate tensors that the compiler planned.
        arena_bound_bytes: Largest number of bytes that are alive at one time.
        constant_bytes: Constants in flash.
        verified: Result of the verification by `compile`.
        not_supported: Parts of a model file that cannot be compiled.
    """

    kind: str
    form: str
    inputs: List[Tensor]
    outputs: List[Tensor]
    operators: Optional[List[OperatorFacts]]
    parameters: Optional[int]
    in_float: List[str]
    kernels: List[KernelRow]
    arena_bytes: Optional[int]
    arena_bound_bytes: Optional[int]
    constant_bytes: Optional[int]
    verified: Optional[VerificationFacts]
    not_supported: List[PlatformError]

    @property
    def macs(self) -> Optional[int]:
        """Multiply-accumulate operations of one inference."""
        return None if self.operators is None else sum(operator.macs for operator in self.operators)

    @property
    def peak_memory_bytes(self) -> Optional[int]:
        """Largest memory of one operator: its inputs and outputs that are not constants."""
        if self.operators is None:
            return None
        return max((operator.memory_bytes for operator in self.operators), default=0)


def inspect_archive(packed: PackedTar) -> Inspection:
    """Return the contents of a model archive.

    Raises:
        ArchiveError: The archive is damaged or not supported.
    """
    archive = ModelArchive.unpacked(packed)
    facts = read_facts(archive.metadata)
    executor = f"executor {archive.executor}" if archive.executor else "single operators"
    code = "C" if archive.sources else "object files"
    return Inspection(
        kind="archive",
        form=f"Model Library Format {archive.version}, {executor}, {code}",
        inputs=[Tensor(spec.name, spec.dtype, spec.shape, spec.size_bytes) for spec in archive.inputs],
        outputs=[Tensor(spec.name, spec.dtype, spec.shape, spec.size_bytes) for spec in archive.outputs],
        operators=None if facts is None else facts.operators,
        parameters=None if facts is None else facts.parameters,
        in_float=[] if facts is None else facts.in_float,
        kernels=kernel_rows(archive, facts),
        arena_bytes=archive.workspace_size_bytes if facts is None else facts.arena_bytes,
        arena_bound_bytes=None if facts is None else facts.arena_bound_bytes,
        constant_bytes=archive.metadata.constants_size_bytes if facts is None else facts.constant_bytes,
        verified=None if facts is None else facts.verified,
        not_supported=[],
    )


def inspect_model_file(
    path: Path,
    *,
    input_shapes: Optional[Mapping[str, Sequence[int]]] = None,
    verify: bool = True,
    progress: Progress = lambda _text: contextlib.nullcontext(),
) -> Inspection:
    """Return the contents of a model file, and what in it cannot be compiled.

    Args:
        path: Model file.
        input_shapes: Input -> extents, for inputs with a dynamic shape.
        verify: Compare the answers of the compiled model with a reference.
        progress: Context manager that is entered for each stage of the compilation, with its name.

    Raises:
        PlatformError: The file cannot be read, or the shape of an input is not known.
    """
    try:
        stored = compiled_archive(path, input_shapes=input_shapes, verify=verify, progress=progress)
    except ModelError as error:
        return _without_kernels(path, input_shapes, error)
    kind, form = FORMS[path.suffix.lower()]
    return inspect_archive(stored.packed)._replace(kind=kind, form=form)


def _without_kernels(
    path: Path, input_shapes: Optional[Mapping[str, Sequence[int]]], error: PlatformError
) -> Inspection:
    """Return what the model file itself has."""
    kind, form = FORMS[path.suffix.lower()]
    if kind != "onnx":
        from runtime.host.compile.trained.opening import open_model

        source = open_model(path, input_shapes)
        inputs, outputs = (
            [Tensor(*value, DType.parse(value.dtype).nbytes(value.shape)) for value in values]
            for values in (source.inputs, source.outputs)
        )
        found, parameters, refused = source.operators(), source.parameters(), []
    else:
        from runtime.host.compile.onnx_model import read_onnx, true_inputs, with_static_shapes
        from runtime.host.compile.operators import operators_of, parameters_of

        model = with_static_shapes(read_onnx(path), input_shapes)
        inputs = [_tensor(value) for value in true_inputs(model)]
        outputs = [_tensor(value) for value in model.graph.output]
        found, parameters, refused = operators_of(model), parameters_of(model), _refused(model, error)
    return Inspection(
        kind=kind,
        form=form,
        inputs=inputs,
        outputs=outputs,
        operators=found,
        parameters=parameters,
        in_float=[],
        kernels=[],
        arena_bytes=None,
        arena_bound_bytes=None,
        constant_bytes=None,
        verified=None,
        not_supported=[error, *refused],
    )


def _refused(model: Any, known: PlatformError) -> List[PlatformError]:
    """Return an error for each operator that is always refused, without one that `known` names."""
    from runtime.host.compile.onnx_rewrite.table import REFUSALS

    used = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    return [
        PlatformError(
            f"Operator {name} is not supported: {REFUSALS[name]}.",
            "Replace the operator, or compute its result on the host.",
        )
        for name in sorted(used & set(REFUSALS))
        if name not in known.what
    ]


def _tensor(value: Any) -> Tensor:
    """Return an input or output of an ONNX model, also of a type that devices do not support."""
    from onnx import TensorProto

    from runtime.host.compile.onnx_model import DTYPES

    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return Tensor(value.name, str(value.type.WhichOneof("value")).replace("_type", ""), None, None)
    dtype = DTYPES.get(kind.elem_type) or TensorProto.DataType.Name(kind.elem_type).lower()
    extents = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    shape = tuple(extent for extent in extents if extent is not None)
    if not kind.HasField("shape") or len(shape) < len(extents):
        return Tensor(value.name, dtype, None, None)
    size = DType.parse(dtype).nbytes(shape) if kind.elem_type in DTYPES else None
    return Tensor(value.name, dtype, shape, size)
