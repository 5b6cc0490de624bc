# SPDX-License-Identifier: Apache-2.0
"""ONNX models: reading from a file, checks, and static shapes of the inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import onnx
from onnx import TensorProto

from runtime.host.compile.errors import ModelError
from runtime.host.errors import PlatformError, reason_of
from runtime.host.system.regular_files import open_regular

MAX_MODEL_BYTES: Final = 512 << 20  # far more than the flash of any microcontroller
DTYPES: Final = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.INT16: "int16",
    TensorProto.UINT16: "uint16",
    TensorProto.INT32: "int32",
    TensorProto.UINT32: "uint32",
    TensorProto.INT64: "int64",
    TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}
"""Data types that a device exchanges, and the operators that are tested with them."""

Shapes = Mapping[str, Sequence[int]]


class Value(NamedTuple):
    """Input or output of a model.

    Attributes:
        name: Name in the model.
        dtype: Data type in NumPy's spelling.
        shape: Extents.
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return the model in a file, with its external data.

    Raises:
        PlatformError: The file cannot be read, is too large, or is not an ONNX model.
    """
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123  a descriptor
            data = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(
            f"{path} is larger than {MAX_MODEL_BYTES >> 20} MB.", "Use a model that fits a microcontroller."
        )
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf has several
        raise ModelError(
            f"{path} is not an ONNX model.", "Check the file, and export the model again."
        ) from error
    if not model.graph.node and not model.graph.output:
        raise ModelError(f"{path} is not an ONNX model.", "Check the file, and export the model again.")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        try:
            onnx.load_external_data_for_model(model, str(path.resolve().parent))
        except Exception as error:
            raise ModelError(
                f"The external data of {path} cannot be read: {str(error)[:200]}.",
                "Put the data file into the directory of the model.",
            ) from error
    return model


def with_static_shapes(model: onnx.ModelProto, shapes: Optional[Shapes] = None) -> onnx.ModelProto:
    """Return a copy of a model in which all inputs have a static shape.

    Args:
        model: Any ONNX model.
        shapes: Input -> extents, for inputs with a dynamic shape.

    Raises:
        ModelError: The model is invalid, a shape does not fit, or an input is still dynamic.
    """
    given = dict(shapes or {})
    static = onnx.ModelProto()
    static.CopyFrom(model)
    inputs = {value.name: value for value in true_inputs(static)}
    for name, extents in given.items():
        if name not in inputs:
            raise ModelError(f"The model has no input {name!r}.", f"Use one of: {', '.join(inputs)}.")
        _set_shape(inputs[name], list(extents))
    for value in inputs.values():
        _check_static(value)
    if given:
        del static.graph.value_info[:]
        for output in static.graph.output:  # the checker requires a shape, and the inference fills it
            for dimension in output.type.tensor_type.shape.dim:
                dimension.Clear()
    return checked(static)


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the shapes that follow from its inputs.

    Raises:
        ModelError: The model contradicts the ONNX specification.
    """
    try:
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        raise ModelError(
            f"The ONNX model is invalid: {_first_line(error)}", "Export the model again with a valid graph."
        ) from error


def check_extents(model: onnx.ModelProto) -> None:
    """Raise ModelError for a tensor without elements, which TVM takes for one of unknown shape.

    Args:
        model: Model with the types of all values.
    """
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    takers = {name: node.op_type for node in model.graph.node for name in node.input}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        extents = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        if 0 in extents:
            operator = makers.get(value.name) or takers.get(value.name, "")
            raise ModelError(
                f"Operator {operator} has a tensor without elements: {'x'.join(map(str, extents))}.",
                "Give the inputs a shape in which every extent is 1 or more.",
            )


def true_inputs(model: onnx.ModelProto) -> List[Any]:
    """Return the inputs that have no initializer: the ones that a caller gives."""
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return [value for value in model.graph.input if value.name not in constant]


def inputs_of(model: onnx.ModelProto) -> List[Value]:
    """Return name, type and shape of the inputs that a caller gives.

    Raises:
        ModelError: One is not a tensor, has a type that devices do not support, or a dynamic shape.
    """
    return [_described(value, f"input {value.name!r}") for value in true_inputs(model)]


def outputs_of(model: onnx.ModelProto) -> List[Value]:
    """Return name, type and shape of the outputs.

    Raises:
        ModelError: One is not a tensor, has a type that devices do not support, or a dynamic shape.
    """
    makers = {name: f" of operator {node.op_type}" for node in model.graph.node for name in node.output}
    return [
        _described(value, f"output {value.name!r}{makers.get(value.name, '')}")
        for value in model.graph.output
    ]


def _described(value: Any, label: str) -> Value:
    """Return name, type and shape of an input or output, which messages call `label`."""
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"The {label} is not a tensor.", "Export the model with tensors only.")
    code = value.type.tensor_type.elem_type
    if code not in DTYPES:
        raise ModelError(
            f"The {label} has type {TensorProto.DataType.Name(code).lower()}, which devices do not support.",
            "Convert the model to float32 or to an integer type.",
        )
    shape = value.type.tensor_type.shape
    if not value.type.tensor_type.HasField("shape") or any(
        not dimension.HasField("dim_value") for dimension in shape.dim
    ):
        raise ModelError(
            f"The shape of {label} is known only at run time.",
            "Export the model with static shapes, or give the shapes of its inputs with --input-shape.",
        )
    return Value(value.name, DTYPES[code], tuple(dimension.dim_value for dimension in shape.dim))


def _check_static(value: Any) -> None:
    dimensions = value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else []
    dynamic = [dimension for dimension in dimensions if not dimension.HasField("dim_value")]
    if dynamic or (value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")):
        extents = ",".join(
            str(dimension.dim_value) if dimension.HasField("dim_value") else (dimension.dim_param or "?")
            for dimension in dimensions
        )
        example = ",".join(
            str(dimension.dim_value) if dimension.HasField("dim_value") else "1" for dimension in dimensions
        )
        raise ModelError(
            f"Input {value.name!r} has a dynamic shape: {extents or 'unknown'}.",
            f"Give its shape, for example: --input-shape {value.name}={example or '1,3,32,32'}",
        )


def _set_shape(value: Any, extents: Sequence[int]) -> None:
    tensor = value.type.tensor_type
    known = [
        dimension.dim_value if dimension.HasField("dim_value") else None for dimension in tensor.shape.dim
    ]
    fits = len(known) == len(extents) and all(old is None or old == new for old, new in zip(known, extents))
    if tensor.HasField("shape") and not fits:
        declared = ",".join("?" if extent is None else str(extent) for extent in known)
        raise ModelError(
            f"--input-shape of {value.name!r} does not fit: expected {declared or 'a scalar'}, "
            f"got {','.join(map(str, extents))}.",
            "Change only the dimensions that are dynamic.",
        )
    del tensor.shape.dim[:]
    tensor.shape.SetInParent()
    for extent in extents:
        tensor.shape.dim.add().dim_value = extent


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2])[:300] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."
