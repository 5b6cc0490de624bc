# SPDX-License-Identifier: Apache-2.0
"""Make digits_int8.onnx, the trained digits network quantized by onnxruntime, and digits_int8.tar from it.

From the root of the repository, with CPython 3.11 to 3.13 and a C compiler:

    python3 -m venv /tmp/quantize
    /tmp/quantize/bin/pip install -r examples/digits/requirements-onnx.txt
    /tmp/quantize/bin/python -m examples.digits.quantize

The script trains the network as train.py does, exports it to ONNX in floating-point numbers, and quantizes it
with onnxruntime.quantization: int8 activations, int8 weights with a scale for each channel. The calibration
uses the training images only. The accuracy on the 360 held-out images is printed for both forms.

`expected_int8` in digits_test.npz is the answer of onnxruntime. The script stops if the compiled archive
gives another answer on this machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from examples.digits.network import accuracy, load_split
from examples.digits.train import INPUT_SCALE, Floats, train
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.native import run_natively

FILE = Path(__file__).with_name("digits_int8.onnx")
ARCHIVE = FILE.with_suffix(".tar")
TEST_FILE = Path(__file__).with_name("digits_test.npz")
INPUT, OUTPUT = "image", "scores"
OPSET, IR_VERSION = 17, 8
SOURCE = (
    'Trained on "Optical Recognition of Handwritten Digits" of the UCI Machine Learning Repository, '
    "E. Alpaydin and C. Kaynak, CC BY 4.0; examples/digits of microtvm-template, Apache-2.0."
)


def float_model(w: Floats) -> onnx.ModelProto:
    """Return the network in floating-point numbers: `image` (1, 1, 8, 8) of 0 to 1, `scores` (1, 10)."""
    same: Dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", [INPUT, "conv1_weight", "conv1_bias"], ["sums1"], name="conv1", **same),
        helper.make_node("Relu", ["sums1"], ["positive1"], name="relu1"),
        helper.make_node(
            "MaxPool", ["positive1"], ["pooled"], name="pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Conv", ["pooled", "conv2_weight", "conv2_bias"], ["sums2"], name="conv2", **same),
        helper.make_node("Relu", ["sums2"], ["positive2"], name="relu2"),
        helper.make_node("Flatten", ["positive2"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "dense_weight", "dense_bias"], [OUTPUT], name="dense", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, name) for name, value in w.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


class Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Images for the calibration, one at a time."""

    def __init__(self, images: np.ndarray) -> None:
        self._images: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> Optional[Dict[str, np.ndarray]]:
        """Return the next set of inputs, or None at the end."""
        image = next(self._images, None)
        return None if image is None else {INPUT: image[np.newaxis]}


def quantized(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """Return the network in int8, calibrated with floating-point images (n, 1, 8, 8)."""
    # Ink of 0 to 16 has 17 values, which int8 holds without rounding.
    ink = {
        "quant_type": QuantType.QInt8,
        "scale": np.array(1 / INPUT_SCALE, np.float32),
        "zero_point": np.array(0, np.int8),
    }
    with tempfile.TemporaryDirectory() as place:
        before, after = Path(place, "float.onnx"), Path(place, "int8.onnx")
        onnx.save(model, before)
        quantize_static(
            before,
            after,
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={"TensorQuantOverrides": {INPUT: [ink]}},
        )
        return with_integers_outside(onnx.load(after))


def with_integers_outside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with int8 as input and output in place of floating-point numbers.

    The first QuantizeLinear and the last DequantizeLinear belong to the caller, who has ink of 0 to 16 and
    needs only the order of the scores.
    """
    graph = model.graph
    (first,) = (node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUT)
    (last,) = (node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] == OUTPUT)
    for node in graph.node:
        node.input[:] = [INPUT if name == first.output[0] else name for name in node.input]
        node.output[:] = [OUTPUT if name == last.input[0] else name for name in node.output]
    graph.node.remove(first)
    graph.node.remove(last)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.INT8
    del graph.value_info[:]
    model.producer_name, model.doc_string = "microtvm-template", SOURCE
    onnx.checker.check_model(model, full_check=True)
    return model


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """Return the scores (n, 10) of onnxruntime for images (n, 1, 8, 8) of the model's type."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {INPUT: image[np.newaxis]})[0] for image in images])


def main() -> None:
    """Train, quantize, print the accuracies, and write the model and its answers."""
    images, labels, held_out, held_out_labels = load_split()
    scaled = images.astype(np.float32) / INPUT_SCALE
    model = float_model(train(scaled, labels))
    exact = answers(model, held_out.astype(np.float32) / INPUT_SCALE)
    small = quantized(model, scaled)
    expected = answers(small, held_out)
    report: Dict[str, Any] = {"floating-point numbers": exact, "int8": expected}
    for name, scores in report.items():
        hits = accuracy(scores, held_out_labels) * len(held_out)
        print(f"accuracy on held-out images, {name + ':':24} {hits:.0f} of {len(held_out)}")
    onnx.save(small, FILE)
    with np.load(TEST_FILE) as data:
        arrays: Dict[str, Any] = {**data, "expected_int8": expected}
    np.savez_compressed(TEST_FILE, **arrays)
    write_archive(held_out, expected)
    for path in (FILE, ARCHIVE):
        print(f"{path.name}: {path.stat().st_size} bytes")


def write_archive(images: np.ndarray, expected: np.ndarray) -> None:
    """Compile digits_int8.onnx. Exit if an answer differs from that of onnxruntime."""
    compiled = compile_model(FILE)
    found = run_natively(
        ModelArchive.unpacked(compiled.archive), [{INPUT: image[np.newaxis]} for image in images]
    )
    if not np.array_equal(np.concatenate([one[OUTPUT] for one in found]), expected):
        raise SystemExit("Answers of digits_int8.tar and of onnxruntime differ.")
    compiled.save(ARCHIVE)


if __name__ == "__main__":
    main()
