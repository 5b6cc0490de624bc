# SPDX-License-Identifier: Apache-2.0
"""Quantization of a floating-point ONNX model to int8, by onnxruntime's own quantizer."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any, Dict, Final, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
import onnx

from runtime.host.archive.tensor_sets import read_input_sets
from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.compile.comparison import Difference, compare
from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import Shapes, inputs_of, outputs_of, read_onnx, with_static_shapes
from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.rounding import InvalidInputs
from runtime.host.dtype import DType

QUANTIZED: Final = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "DynamicQuantizeLinear",
)

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
        ModelError: The model cannot be quantized.
    """
    model = with_static_shapes(read_onnx(path), shapes)
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
        ModelError: The model is quantized already, has no floating-point operator, or rejects the inputs.
    """
    found = sorted({node.op_type for node in model.graph.node} & set(QUANTIZED))
    if found:
        raise ModelError(
            f"The model is quantized already: it has {found[0]}.", "Compile it without --calibrate."
        )
    if all(value.dtype != "float32" for value in inputs_of(model)):
        raise ModelError(
            "The model has no input of type float32, so that there is nothing to calibrate.",
            "Compile it without --calibrate.",
        )
    try:
        expected = [OnnxReference(model).run(one) for one in inputs]
    except InvalidInputs as error:
        raise ModelError(
            f"The model rejects an input: {str(error)[:200].rstrip('.')}.", "Correct the file of --calibrate."
        ) from error
    quantized = _quantized(model, inputs)
    reference = OnnxReference(quantized)
    answers = [reference.run(one) for one in inputs]
    differences = [
        compare(value.name, [one[value.name] for one in answers], [one[value.name] for one in expected])
        for value in outputs_of(model)
    ]
    return Calibrated(quantized, len(inputs), differences)


def _quantized(model: onnx.ModelProto, inputs: Sets) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self._sets: Iterator[Any] = iter(inputs)

        def get_next(self) -> Any:
            return next(self._sets, None)

    logging.getLogger().addFilter(_is_advice)
    try:
        with tempfile.TemporaryDirectory(prefix="microtvm-calibration-") as name:
            plain, made = Path(name) / "plain.onnx", Path(name) / "quantized.onnx"
            # Folds constants, and batch normalization into convolutions.
            quant_pre_process(model, str(plain), skip_symbolic_shape=True)
            quantize_static(
                str(plain),
                str(made),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(str(made))
    except Exception as error:  # the quantizer has no class of its own
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"onnxruntime cannot quantize the model: {reason[0][:200] if reason else type(error).__name__}.",
            "Quantize the model with another tool, and compile the result.",
        ) from error
    finally:
        logging.getLogger().removeFilter(_is_advice)


def _is_advice(record: logging.LogRecord) -> bool:
    """Return False for the quantizer's advice to pre-process the model, which is done."""
    return "pre-process" not in record.getMessage()
