# SPDX-License-Identifier: Apache-2.0
"""Reference answers of a TensorFlow Lite file: the runtime LiteRT."""

from __future__ import annotations

from typing import Dict, Sequence

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.quiet import standard_error_discarded
from runtime.host.compile.rounding import Arrays, InvalidInputs, rounding_of
from runtime.host.compile.tflite.file import MAGIC, read_tflite
from runtime.host.compile.tflite.model import named, output_names, tflite_to_onnx
from runtime.host.compile.tflite.network import Operator
from runtime.host.compile.tflite.schema import schema
from runtime.host.compile.tflite.table import OPTIONS


class TfliteReference:
    """Reference of one file.

    Attributes:
        name: Name of the runtime, for messages.
        outputs: Names of the outputs in order.
    """

    def __init__(self, data: bytes) -> None:
        """Load the file. LiteRT may crash on a damaged one, so that the conversion checks it first.

        Weights of int8 between activations of float32 become float32: see `_with_float_weights`.

        Raises:
            ModelError: The file is damaged, has a part that is not supported, or LiteRT does not run it.
            ToolMissing: The package of LiteRT is not installed.
        """
        tflite_to_onnx(data)
        network = named(read_tflite(data, OPTIONS))
        self.name = "LiteRT"
        self.outputs = output_names(network)
        self._inputs = network.inputs
        self._indices = [tensor.index for tensor in network.outputs]
        try:
            from ai_edge_litert.interpreter import Interpreter

            content = _with_float_weights(data, network.operators)
            with standard_error_discarded():  # LiteRT logs which kernels it uses
                self._interpreter = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except Exception as error:  # ValueError and RuntimeError, and others of the extension module
            raise ModelError(
                f"LiteRT does not run the model: {str(error)[:200]}",
                "Check the model, or compile with --no-verify.",
            ) from error

    def run(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return the outputs by name.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        for tensor in self._inputs:
            array = inputs.get(tensor.name)
            if array is None or array.shape != tensor.shape or array.dtype != tensor.dtype:
                raise InvalidInputs(f"Input {tensor.name!r} is missing or has another type or shape.")
            self._interpreter.set_tensor(tensor.index, np.asarray(array, order="C"))
        try:
            self._interpreter.invoke()
        except Exception as error:
            raise InvalidInputs(str(error)) from error
        return dict(zip(self.outputs, map(self._output, self._indices)))

    def _output(self, index: int) -> np.ndarray:
        return np.asarray(self._interpreter.get_tensor(index))

    def rounding(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return for each output how far rounding may move its elements.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        return rounding_of(self.run, inputs)


def _with_float_weights(data: bytes, operators: Sequence[Operator]) -> bytes:
    """Return a file in which quantized weights of operators with float32 activations are float32.

    For such an operator LiteRT quantizes the activations at run time, which moves the answers by 0.3 to 0.8
    percent of the largest one (measured with layers of 64 inputs), and by other amounts with other kernels. A
    converted model computes with the real numbers that the weights stand for.
    """
    import flatbuffers

    quantized = {
        tensor.index: tensor
        for operator in operators
        if operator.op != "DEQUANTIZE" and not any(output.is_quantized for output in operator.outputs)
        for tensor in operator.inputs
        if tensor is not None and tensor.is_quantized and tensor.data is not None
    }
    if not quantized:
        return data
    classes = schema()
    model = classes.ModelT.InitFromObj(classes.Model.GetRootAs(data, 0))
    for tensor in quantized.values():
        assert tensor.scale is not None and tensor.zero is not None
        shape = [1] * len(tensor.shape)
        if tensor.scale.size > 1:
            shape[tensor.axis] = tensor.scale.size
        numbers = (np.asarray(tensor.data, np.int64) - tensor.zero.reshape(shape)) * tensor.scale.reshape(
            shape
        )
        stored = model.subgraphs[0].tensors[tensor.index]
        model.buffers.append(classes.BufferT(data=numbers.astype("<f4").reshape(-1).view(np.uint8)))
        stored.type, stored.quantization = classes.TensorType.FLOAT32, None
        stored.buffer = len(model.buffers) - 1
    writer = flatbuffers.Builder(len(data))
    writer.Finish(model.Pack(writer), MAGIC)
    return bytes(writer.Output())
