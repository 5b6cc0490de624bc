# SPDX-License-Identifier: Apache-2.0
"""Small ONNX model with an input and two reference outputs.

Usage: onnx_model.py FOLDER

FOLDER gets model.onnx, input.npy and references.npz: `onnx` is from the reference evaluator of the onnx
package, `tvm` from TVM's own executor with the LLVM code generator. The program prints the output's shape as
JSON.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy
import onnx
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tvm import relay
from tvm.contrib import graph_executor

OPSET = 13
TARGET = f"llvm -mtriple={platform.machine()}-linux-gnu"  # the default of the wheel is RISC-V
SHAPE = (1, 2, 8, 8)
CLASSES = 5


def weight(name: str, *shape: int) -> Any:
    numbers = numpy.random.default_rng(len(name)).normal(size=shape)
    return numpy_helper.from_array(numbers.astype("float32"), name)


def make_model() -> Any:
    graph = helper.make_graph(
        [
            helper.make_node(
                "Conv", ["image", "kernel", "bias"], ["maps"], kernel_shape=[3, 3], pads=[1] * 4
            ),
            helper.make_node("Relu", ["maps"], ["active"]),
            helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "matrix", "offsets"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES])],
        [
            weight("kernel", 4, SHAPE[1], 3, 3),
            weight("bias", 4),
            weight("matrix", CLASSES, 64),
            weight("offsets", CLASSES),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    onnx.checker.check_model(model)
    return model


def answer_of_tvm(model: Any, image: numpy.ndarray) -> Any:
    module, weights = relay.frontend.from_onnx(model, shape={"image": SHAPE})
    built = relay.build(module, TARGET, params=weights)
    executor = graph_executor.GraphModule(built["default"](tvm.cpu()))
    executor.set_input("image", image)
    executor.run()
    return executor.get_output(0).numpy()


folder = Path(sys.argv[1])
made = make_model()
pixels = numpy.random.default_rng(0).normal(size=SHAPE).astype("float32")
answers: Any = ReferenceEvaluator(made).run(None, {"image": pixels})
onnx.save(made, str(folder / "model.onnx"))
scores = answers[0]
numpy.save(folder / "input.npy", pixels)
numpy.savez(folder / "references.npz", onnx=scores, tvm=answer_of_tvm(made, pixels))
print(json.dumps({"shape": scores.shape}))
