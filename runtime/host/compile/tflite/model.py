# SPDX-License-Identifier: Apache-2.0
"""Conversion of a TensorFlow Lite file to an ONNX model."""

from __future__ import annotations

import dataclasses
from math import prod
from typing import Any, Dict, Final, List, Optional, Sequence, Set

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.integers.operators import TIES_AWAY
from runtime.host.compile.onnx_model import MAX_MODEL_BYTES, checked
from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.values import IR_VERSION, SUPPORTED_DTYPES, TARGET, Value
from runtime.host.compile.tflite.call import AGAIN, Call
from runtime.host.compile.tflite.file import read_tflite
from runtime.host.compile.tflite.layout import without_transposes
from runtime.host.compile.tflite.network import Network, Operator, Tensor
from runtime.host.compile.tflite.table import OPERATORS, OPTIONS, REFUSALS
from runtime.host.compile.tflite.views import plain_emitter

PRODUCER: Final = "TensorFlow Lite"
LEAST_SCALE: Final = 1e-12
"""Least scale of an activation. The weights of a channel without any use may have a smaller one."""


def tflite_to_onnx(data: bytes) -> Any:
    """Return the ONNX model of a TensorFlow Lite file.

    Args:
        data: Content of the file.

    Returns:
        An onnx.ModelProto of opset 21. Inputs and outputs have the names, element types and shapes of the
        file; a name that the file has twice, or an empty one, gets a number.

    Raises:
        ModelError: The file is damaged, or has a part that is not supported.
        ToolMissing: The package with the schema of the format is not installed.
    """
    network = named(read_tflite(data, OPTIONS))
    model = without_transposes(_converted(network))
    model.metadata_props.add(key=TIES_AWAY, value="1")
    return checked(model)


def named(network: Network) -> Network:
    """Return a network whose inputs and outputs have unique names."""
    names: Dict[int, str] = {}
    taken: Set[str] = set()
    for tensor in (*network.inputs, *network.outputs):
        if tensor.index in names:
            continue
        stem = name = tensor.name or f"tensor_{tensor.index}"
        number = 0
        while name in taken:
            number += 1
            name = f"{stem}:{number}"
        taken.add(name)
        names[tensor.index] = name
    inputs, outputs = (
        [dataclasses.replace(tensor, name=names[tensor.index]) for tensor in tensors]
        for tensors in (network.inputs, network.outputs)
    )
    return dataclasses.replace(network, inputs=inputs, outputs=outputs)


def output_names(network: Network) -> List[str]:
    """Return the names of the outputs. An output that is an input too, or is listed twice, gets a number."""
    taken = {tensor.name for tensor in network.inputs}
    names = []
    for tensor in network.outputs:
        name, number = tensor.name, 0
        while name in taken:
            number += 1
            name = f"{tensor.name}:{number}"
        taken.add(name)
        names.append(name)
    return names


def _converted(network: Network) -> Any:
    """Return the ONNX model with the transposes around each operator that needs another layout."""
    emit = plain_emitter()
    names = output_names(network)
    for name in (*(tensor.name for tensor in network.inputs), *names):
        emit.reserve(name)
    values: Dict[int, Value] = {}
    for tensor in network.inputs:
        _check_activation(tensor, f"Input {tensor.name!r}")
        if tensor.data is not None:
            raise ModelError(f"Input {tensor.name!r} is a constant.", AGAIN)
        values[tensor.index] = Value(tensor.name, tensor.dtype, tensor.shape)
    size = 0
    for operator in network.operators:
        before = len(emit.constants)
        emit.name_nodes(_short_name(operator))
        _convert(emit, operator, values)
        added = list(emit.constants.values())[before:] if len(emit.constants) > before else []
        size += sum(array.nbytes for array in added)
        if size > MAX_MODEL_BYTES:
            raise ModelError(
                f"The constants of the model take more than {MAX_MODEL_BYTES >> 20} MB.",
                "Use a model that fits a microcontroller.",
            )
    results = [_value(emit, tensor, values) for tensor in network.outputs]
    for tensor, value in zip(network.outputs, results):
        if value is None:
            raise ModelError(f"No operator computes output {tensor.name!r}.", AGAIN)
        _check_activation(tensor, f"Output {tensor.name!r}")
    return _model(emit, network.inputs, names, [value for value in results if value is not None])


def _check_activation(tensor: Tensor, label: str) -> None:
    if tensor.dtype not in SUPPORTED_DTYPES:
        kind = tensor.dtype.names[0] if tensor.dtype.names else tensor.dtype
        raise ModelError(f"{label} has type {kind}, which is not supported.", "Convert to float32 or int8.")
    if not prod(tensor.shape):
        raise ModelError(f"{label} has no elements.", "Convert the model with static shapes.")
    if tensor.is_variable:
        raise ModelError(f"{label} is a variable.", "Convert a model without a state.")
    if tensor.scale is not None and tensor.dtype == np.int16:
        raise ModelError(f"{label} is quantized to int16.", "Quantize the model to int8.")
    if (
        tensor.scale is not None
        and not ((tensor.scale > LEAST_SCALE) & (tensor.scale < 1 / LEAST_SCALE)).all()
    ):
        raise ModelError(f"{label} has a scale of {tensor.scale.min():g}, which is out of range.", AGAIN)
    if tensor.is_quantized and tensor.scale is not None and tensor.scale.size > 1:
        raise ModelError(f"{label} has several scales.", "Quantize activations with one scale.")


def _value(emit: Emitter, tensor: Tensor, values: Dict[int, Value]) -> Optional[Value]:
    """Return the value of a tensor; None before it is computed."""
    if tensor.index not in values and tensor.data is not None:
        values[tensor.index] = emit.constant(tensor.data)
    return values.get(tensor.index)


def _convert(emit: Emitter, operator: Operator, values: Dict[int, Value]) -> None:
    """Write one operator, and note the values of its outputs."""
    if operator.is_custom:
        raise ModelError(
            f"Custom operator {operator.op!r} {operator.label} is not supported.", "Replace it in the model."
        )
    entry = OPERATORS.get(operator.op)
    if entry is None:
        raise operator.refusal(REFUSALS.get(operator.op, "it has no conversion"))
    for index, tensor in enumerate(operator.outputs):
        _check_activation(tensor, f"Output {index} of operator {operator.op} {operator.label}")
        if tensor.index in values or tensor.data is not None:
            raise operator.refusal("its output has a value before it", AGAIN)
        if tensor.is_quantized and not entry.quantized:
            raise operator.refusal(
                f"its output is quantized to {tensor.dtype}", "Keep the operator in float32."
            )
    inputs: List[Optional[Value]] = []
    for index, operand in enumerate(operator.inputs):
        if operand is None:
            inputs.append(None)
            continue
        value = _value(emit, operand, values)
        if value is None:
            raise operator.refusal(f"input {index} is not computed before it", AGAIN)
        if operand.data is None:
            _check_activation(operand, f"Input {index} of operator {operator.op} {operator.label}")
        if operand.is_quantized and not entry.quantized:
            raise operator.refusal(
                f"an input is quantized to {operand.dtype}", "Keep the operator in float32."
            )
        if operand.dtype == np.float16 and operator.op != "DEQUANTIZE":
            raise operator.refusal("an input has type float16", "Convert to float32.")
        inputs.append(value)
    try:
        results = entry.convert(Call(emit, operator, inputs))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # of numpy, for absurd parameters
        raise operator.refusal(f"its parameters are invalid ({str(error)[:100]})", AGAIN) from error
    _check_results(operator, results)
    for tensor, value in zip(operator.outputs, results):
        values[tensor.index] = value


def _check_results(operator: Operator, results: Sequence[Value]) -> None:
    """Raise a ModelError if the file declares other outputs than the ones that the operator computes."""
    if len(results) != len(operator.outputs):
        raise operator.refusal(f"it has {len(operator.outputs)} outputs: expected {len(results)}", AGAIN)
    for tensor, value in zip(operator.outputs, results):
        same_shape = tensor.shape == tuple(value.shape) or tensor.is_resizable
        if not same_shape or tensor.dtype != value.dtype:
            declared, computed = (
                f"{one.dtype} {'x'.join(map(str, one.shape)) or 'scalar'}" for one in (tensor, value)
            )
            raise operator.refusal(
                f"its output is declared as {declared}: expected {computed}",
                AGAIN,
            )


def _model(emit: Emitter, inputs: Sequence[Tensor], names: Sequence[str], results: Sequence[Value]) -> Any:
    """Return the model, whose outputs are copies, so that they may be inputs or constants."""
    from onnx import helper, numpy_helper

    nodes = [
        *emit.nodes,
        *(helper.make_node("Identity", [value.name], [name]) for name, value in zip(names, results)),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [_described(tensor.name, tensor.dtype, tensor.shape) for tensor in inputs],
        [_described(name, value.dtype, value.shape) for name, value in zip(names, results)],
        [numpy_helper.from_array(array, name) for name, array in emit.constants.items()],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", TARGET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )


def _described(name: str, dtype: Any, shape: Sequence[int]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _short_name(operator: Operator) -> str:
    """Return the name for the nodes of an operator: TensorFlow joins the names of fused operators by ";"."""
    name = operator.outputs[0].name if operator.outputs else ""
    return name.rpartition(";")[2] or operator.op
