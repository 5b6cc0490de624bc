# SPDX-License-Identifier: Apache-2.0
"""Reading of TensorFlow Lite files, which are flatbuffers of the schema "TFL3".

A file is untrusted. All counts have limits, and all indices, offsets and sizes are checked. Only the main
graph is read, and no part of the file twice, so that the time is linear in the size of the file.
"""

from __future__ import annotations

import struct
from math import prod
from typing import Any, Dict, Final, List, Mapping, Optional, Sequence, Tuple, TypeVar

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import MAX_MODEL_BYTES
from runtime.host.compile.tflite.network import Network, Operator, Tensor
from runtime.host.compile.tflite.schema import names_of, schema

MAGIC: Final = b"TFL3"
SCHEMA_VERSION: Final = 3
TENSOR_NAME: Final = 10  # offset of the field `name` in the schema's table Tensor
CUSTOM_CODE: Final = 6  # of `custom_code` in OperatorCode
MOST_TENSORS: Final = 50_000
MOST_OPERATORS: Final = 10_000
MOST_OPERANDS: Final = 4096  # inputs or outputs of one operator, or of the model
MOST_LINKS: Final = 200_000  # inputs and outputs of all operators
MOST_ELEMENTS: Final = 1 << 25  # of all tensors
MOST_DIMENSIONS: Final = 8  # of TensorFlow Lite's own shapes
LONGEST_NAME: Final = 2048
EXPORT: Final = "Check the file, and convert the model again."

DTYPES: Final[Dict[str, Any]] = {
    name.upper(): np.dtype(name)
    for name in "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()  # noqa: SIM905
}
"""Name of the schema -> element type that this compiler supports. float16 is for constants only."""

DAMAGE: Final = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
"""Exceptions of the flatbuffer package for offsets outside of the file, and for invalid numbers."""

Read = TypeVar("Read")


def read_tflite(data: bytes, kinds: Mapping[str, str]) -> Network:
    """Return the main graph of a TensorFlow Lite file.

    Args:
        data: Content of the file.
        kinds: Operator -> type of its options in the schema, "" for none. The options of other operators
            are not read.

    Raises:
        ModelError: The bytes are not a TensorFlow Lite file, or are damaged, or use a part of the format
            that this compiler does not support.
        ToolMissing: The package with the schema is not installed.
    """
    if len(data) < 16 or data[4:8] != MAGIC:
        raise ModelError("The file is not a TensorFlow Lite model.", "Check the path and the format.")
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(
            f"The model is larger than {MAX_MODEL_BYTES >> 20} MB.",
            "Use a model that fits a microcontroller.",
        )
    try:
        return _network(schema().Model.GetRootAs(data, 0), data, kinds)
    except DAMAGE as error:
        raise _damaged(str(error)[:100] or type(error).__name__) from error
    except Exception as error:  # range errors of the flatbuffer package, which derive from Exception only
        if isinstance(error, ModelError) or not type(error).__module__.startswith("flatbuffers"):
            raise
        raise _damaged(type(error).__name__) from error


def _damaged(reason: str) -> ModelError:
    return ModelError(f"The TensorFlow Lite file is damaged: {reason}.", EXPORT)


def _network(model: Any, data: bytes, kinds: Mapping[str, str]) -> Network:
    if model.Version() != SCHEMA_VERSION:
        raise ModelError(
            f"The TensorFlow Lite file has version {model.Version()}: expected {SCHEMA_VERSION}.", EXPORT
        )
    if model.SubgraphsLength() == 0:
        raise _damaged("it has no graph")
    graph = model.Subgraphs(0)
    tensors: List[Tensor] = []
    left = MOST_ELEMENTS
    for index in range(_bounded(graph.TensorsLength(), MOST_TENSORS, "tensors")):
        tensors.append(_tensor(model, graph.Tensors(index), index, data, left))
        left -= prod(tensors[-1].shape)
    codes = _Codes(model)
    operators: List[Operator] = []
    links = 0
    for index in range(_bounded(graph.OperatorsLength(), MOST_OPERATORS, "operators")):
        operators.append(_operator(graph.Operators(index), index, codes, tensors, kinds))
        links += len(operators[-1].inputs) + len(operators[-1].outputs)
        _bounded(links, MOST_LINKS, "inputs and outputs of operators")
    inputs = [_at(tensors, int(index)) for index in _indices(graph.InputsAsNumpy(), "inputs")]
    outputs = [_at(tensors, int(index)) for index in _indices(graph.OutputsAsNumpy(), "outputs")]
    if not outputs:
        raise _damaged("the model has no outputs")
    if len({tensor.index for tensor in inputs}) < len(inputs):
        raise _damaged("an input is listed twice")
    return Network(inputs, outputs, operators)


def _bounded(count: int, limit: int, things: str) -> int:
    if count > limit:
        raise ModelError(f"The TensorFlow Lite file has {count} {things}: expected at most {limit}.", EXPORT)
    return int(count)


def _at(items: Sequence[Read], index: int) -> Read:
    if not 0 <= index < len(items):
        raise _damaged(f"index {index} is outside of a list of {len(items)}")
    return items[index]


def _indices(array: Any, things: str) -> List[int]:
    """Return a vector of indices; the flatbuffer package returns 0 for a missing one."""
    if isinstance(array, int):
        return []
    _bounded(len(array), MOST_OPERANDS, things)
    return [int(index) for index in array]


def _vector(array: Any) -> Any:
    """Return a vector of numbers; empty for a missing one."""
    return np.zeros(0, np.int64) if isinstance(array, int) else array


class _Codes:
    """Codes of the operators of a file."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._count = model.OperatorCodesLength()

    def name(self, index: int) -> Tuple[str, bool]:
        """Return the name of an operator, and whether it is a custom one."""
        if not 0 <= index < self._count:
            raise _damaged(f"operator code {index} is outside of a list of {self._count}")
        code = self._model.OperatorCodes(index)
        # Old files have a code of 8 bits only, and new ones repeat it or write 127 there.
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        name = names_of("BuiltinOperator").get(number)
        if name is None:
            return f"number {number}", False
        return (_name(code, CUSTOM_CODE) or "without a name", True) if name == "CUSTOM" else (name, False)


def _name(source: Any, field: int) -> str:
    """Return a string of a table. The methods of the table copy all of a string, of any length."""
    table = source._tab
    offset = table.Offset(field)
    if not offset:
        return ""
    start, length = table.Vector(offset), table.VectorLen(offset)
    text = bytes(table.Bytes[start : start + min(length, LONGEST_NAME)]).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


def _operator(
    source: Any, index: int, codes: _Codes, tensors: List[Tensor], kinds: Mapping[str, str]
) -> Operator:
    op, is_custom = codes.name(source.OpcodeIndex())
    inputs = [
        None if number == -1 else _at(tensors, number)
        for number in _indices(source.InputsAsNumpy(), "inputs")
    ]
    outputs = [_at(tensors, number) for number in _indices(source.OutputsAsNumpy(), "outputs")]
    label = f"number {index}" + (f" (output {outputs[0].name!r})" if outputs and outputs[0].name else "")
    expected = "" if is_custom else kinds.get(op, "")
    options = _options(source, expected, op) if expected else None
    return Operator(op, is_custom, inputs, outputs, options, label)


def _options(source: Any, expected: str, op: str) -> Any:
    """Return the options of an operator; the defaults of the schema if the file has none."""
    kind = names_of("BuiltinOptions").get(source.BuiltinOptionsType())
    table = source.BuiltinOptions()
    unpacked = getattr(schema(), f"{expected}T")
    if kind == "NONE" or table is None:
        return unpacked()
    if kind != expected:
        raise _damaged(f"operator {op} has options of type {kind}")
    view = getattr(schema(), expected)()
    view.Init(table.Bytes, table.Pos)
    return unpacked.InitFromObj(view)


def _tensor(model: Any, source: Any, index: int, data: bytes, left: int) -> Tensor:
    name = _name(source, TENSOR_NAME)
    label = f"Tensor {name!r}" if name else f"Tensor {index}"
    kind = names_of("TensorType").get(source.Type(), f"number {source.Type()}")
    dimensions = max(source.ShapeLength(), source.ShapeSignatureLength())
    if dimensions > MOST_DIMENSIONS:
        raise ModelError(f"{label} has {dimensions} dimensions: expected at most {MOST_DIMENSIONS}.", EXPORT)
    extents = [int(extent) for extent in _vector(source.ShapeAsNumpy())]
    if any(extent < 0 for extent in extents):
        raise ModelError(f"{label} has a dynamic shape.", "Convert the model with static shapes.")
    if prod(extents) > left:
        raise ModelError(
            f"The tensors have more elements than expected: at most {MOST_ELEMENTS}.",
            "Use a model that fits a microcontroller.",
        )
    signature = [int(extent) for extent in _vector(source.ShapeSignatureAsNumpy())]
    if source.Sparsity() is not None:
        raise ModelError(f"{label} is sparse.", "Convert the model without sparse weights.")
    dtype = DTYPES.get(kind)
    stored = _stored(model, source, data)
    if dtype is None or (dtype == np.float16 and stored is None):
        # Unused tensors may have any type; an operator with such a tensor is refused.
        dtype = np.dtype([(kind.lower(), np.uint8)])
        stored = None
    content = _content(stored, dtype, tuple(extents), label) if stored is not None else None
    scale, zero, axis = _quantization(source.Quantization(), tuple(extents), label)
    return Tensor(
        index,
        name,
        dtype,
        tuple(extents),
        content,
        scale,
        zero,
        axis,
        bool(source.IsVariable()),
        any(extent < 0 for extent in signature),
    )


def _stored(model: Any, source: Any, data: bytes) -> Optional[Any]:
    """Return the bytes of a constant; None for a tensor without data."""
    if source.ExternalBuffer():
        raise ModelError("The file has external buffers.", "Convert the model to one file.")
    number = source.Buffer()
    if number == 0:
        return None
    if number >= model.BuffersLength():
        raise _damaged(f"buffer {number} is outside of a list of {model.BuffersLength()}")
    buffer = model.Buffers(number)
    offset, size = buffer.Offset(), buffer.Size()
    if offset > 1:  # a large file has its constants behind the flatbuffer; 0 and 1 mean inside
        if offset + size > len(data):
            raise _damaged("a buffer ends behind the file")
        return np.frombuffer(data, np.uint8, size, offset)
    content = buffer.DataAsNumpy()
    return None if isinstance(content, int) or not len(content) else content


def _content(stored: Any, dtype: Any, shape: Tuple[int, ...], label: str) -> Any:
    """Return the elements of a constant, without a copy."""
    count = prod(shape)
    if len(stored) != count * dtype.itemsize:
        raise ModelError(
            f"{label} has {len(stored)} bytes of data: expected {count * dtype.itemsize}.", EXPORT
        )
    elements = stored.view(dtype.newbyteorder("<")).reshape(shape)
    return stored.reshape(shape) != 0 if dtype == np.bool_ else elements


def _quantization(
    source: Any, shape: Tuple[int, ...], label: str
) -> Tuple[Optional[Any], Optional[Any], int]:
    """Return scales, zero points and their axis."""
    if source is None:
        return None, None, 0
    scale = np.asarray(_vector(source.ScaleAsNumpy()), np.float32)
    if not len(scale):
        return None, None, 0
    if source.DetailsType():
        raise ModelError(f"{label} has a custom quantization.", "Quantize the model with scales.")
    axis = source.QuantizedDimension()
    if len(scale) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scale)):
        raise ModelError(f"{label} has {len(scale)} scales, which do not fit its shape.", EXPORT)
    zero = np.asarray(_vector(source.ZeroPointAsNumpy()), np.int64)
    if len(zero) not in (0, 1, len(scale)):
        raise ModelError(f"{label} has {len(scale)} scales and {len(zero)} zero points.", EXPORT)
    if len(zero) != len(scale):
        zero = np.full(len(scale), zero[0] if len(zero) else 0)
    if not np.isfinite(scale).all() or not (scale > 0).all():
        raise ModelError(f"{label} has a scale that is not a positive number.", EXPORT)
    return scale, zero, int(axis)
