# SPDX-License-Identifier: Apache-2.0
"""Quantization of a floating-point ONNX model to int8, by onnxruntime's own quantizer."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, Final, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
import onnx

from runtime.host.archive.tensor_sets import read_input_sets
from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.compile.comparison import Difference, compare
from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import Shapes, inputs_of, outputs_of, read_onnx, with_static_shapes
from runtime.host.compile.quiet import standard_error_discarded
from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.rounding import InvalidInputs
from runtime.host.dtype import DType

QUANTIZED: Final = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
)
QLINEAR: Final = "QLinear"  # prefix of QLinearConv, QLinearMatMul, and others of onnxruntime

CORRECT: Final = "Correct the file of --calibrate."

Sets = Sequence[Dict[str, "np.ndarray"]]


class Calibrated(NamedTuple):
    """A quantized model, and what the quantization cost.

    Attributes:
        model: onnx.ModelProto with QuantizeLinear and DequantizeLinear: int8, weights per channel.
        sets: Number of sets of inputs.
        differences: Errors of each output, against the floating-point model on these inputs.
    """

    model: onnx.ModelProto
    sets: int
    differences: List[Difference]


def calibrated_file(path: Path, inputs: Path, shapes: Optional[Shapes] = None) -> Calibrated:
    """Quantize the model in a file.

    Args:
        path: ONNX file.
        inputs: .npz file with an array per input, of one set or of several along a leading axis.
        shapes: Input -> extents, for inputs with a dynamic shape.

    Raises:
        PlatformError: A file cannot be read, or does not fit the model.
        ModelError: The model or an input cannot be quantized.
    """
    model = with_static_shapes(read_onnx(path), shapes)
    _check_float(model)
    specs = [
        TensorSpec(value.name, value.dtype, value.shape, DType.parse(value.dtype).nbytes(value.shape), "")
        for value in inputs_of(model)
    ]
    return calibrated(model, read_input_sets(inputs, specs))


def calibrated(model: onnx.ModelProto, inputs: Sets) -> Calibrated:
    """Quantize a model: int8, symmetric weights with a scale for each channel, static ranges of tensors.

    Args:
        model: Floating-point model with static shapes. It is not changed.
        inputs: Sets of inputs, as representative as possible: their ranges become the scales.

    Raises:
        ModelError: The model is quantized already, has no operator that can be quantized, or rejects the
            inputs; or a number is not finite.
    """
    _check_float(model)
    _check_inputs(inputs)
    expected = _answers(model, inputs)
    _check_answers(expected)
    quantized = _quantized(model, inputs)
    _check_scales(quantized)
    answers = _answers(quantized, inputs)
    differences = [
        compare(value.name, [one[value.name] for one in answers], [one[value.name] for one in expected])
        for value in outputs_of(model)
    ]
    return Calibrated(quantized, len(inputs), differences)


def _check_float(model: onnx.ModelProto) -> None:
    """Raise ModelError for a model that is quantized already."""
    for node in model.graph.node:
        if node.op_type in QUANTIZED or node.op_type.startswith(QLINEAR):
            raise ModelError(
                f"The model is quantized already: it has the operator {node.op_type}.",
                "Compile the model without --calibrate.",
            )


def _check_inputs(inputs: Sets) -> None:
    """Raise ModelError for NaN or infinity in an input: no range has them."""
    for index, one in enumerate(inputs):
        for name, array in one.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ModelError(f"Input {name!r} of set {index} contains NaN or infinity.", CORRECT)


def _answers(model: onnx.ModelProto, inputs: Sets) -> Sets:
    """Return the outputs of a model for each set of inputs.

    Raises:
        ModelError: The model rejects an input.
    """
    reference = OnnxReference(model)
    try:
        return [reference.run(one) for one in inputs]
    except InvalidInputs as error:
        raise ModelError(f"The model rejects an input: {str(error)[:200].rstrip('.')}.", CORRECT) from error


def _check_answers(expected: Sets) -> None:
    """Raise ModelError for NaN in an answer of the floating-point model, which has no accuracy to lose."""
    for index, one in enumerate(expected):
        for name, array in one.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise ModelError(f"Output {name!r} of the model contains NaN for input set {index}.", CORRECT)


def _check_scales(model: onnx.ModelProto) -> None:
    """Raise ModelError for a model without quantized tensors, or with a tensor of infinite range."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: f" of operator {node.op_type}" for node in model.graph.node for name in node.output}
    rounded = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    if not rounded:
        raise ModelError(
            "The model has no operator that onnxruntime quantizes.", "Compile the model without --calibrate."
        )
    for node in rounded:
        if not np.isfinite(onnx.numpy_helper.to_array(constants[node.input[1]])).all():
            tensor = node.input[0]
            raise ModelError(
                f"The tensor {tensor!r}{makers.get(tensor, '')} has an infinite range for these inputs.",
                CORRECT,
            )


def _quantized(model: onnx.ModelProto, inputs: Sets) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self._sets: Iterator[Any] = iter(inputs)

        def get_next(self) -> Any:
            return next(self._sets, None)

    try:
        with tempfile.TemporaryDirectory(prefix="microtvm-calibration-") as name, _quiet():
            given, plain, made = (str(Path(name) / f"{stage}.onnx") for stage in ("given", "plain", "made"))
            # onnxruntime 1.32 moves the constants of a ModelProto out of it, and then fails to read them.
            onnx.save(model, given)
            # Folds constants, and batch normalization into convolutions.
            quant_pre_process(given, plain, skip_symbolic_shape=True)
            quantize_static(
                plain,
                made,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(made)
    except Exception as error:  # the quantizer has no class of its own
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"onnxruntime cannot quantize the model: "
            f"{reason[0][:200].rstrip('.') if reason else type(error).__name__}.",
            "Quantize the model with another tool, and compile the result.",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what the quantizer logs and warns of: an exception has the reason of a failure."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), standard_error_discarded():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
