# SPDX-License-Identifier: Apache-2.0
"""Float nets with random weights, one of each kind that people put on microcontrollers, as ONNX models."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any, Callable, Dict, List, Sequence, Tuple, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
INPUT, OUTPUT = "input", "output"


class Net:
    """A net under construction: each method adds operators and returns the name of their result."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: List[Any] = []
        self._weights: List[Any] = []
        self._count = 0

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        self._count += 1
        names = [f"v{self._count}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: str = "float32") -> str:
        self._count += 1
        name = f"w{self._count}"
        self._weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(scale * self._random.standard_normal(shape))

    def conv(
        self,
        x: str,
        channels: Tuple[int, int],
        kernel: Union[int, Sequence[int]] = 3,
        stride: int = 1,
        group: int = 1,
        relu: str = "Relu",
        pads: Sequence[int] = (),
        dilation: int = 1,
    ) -> str:
        taken, made = channels
        sizes = [kernel, kernel] if isinstance(kernel, int) else list(kernel)
        shape = (made, taken // group, *sizes)
        around = [(size - 1) * dilation // 2 for size in sizes]
        y = self.op(
            "Conv",
            x,
            self.weight(*shape, scale=sqrt(2 / prod(shape[1:]))),
            self.weight(made, scale=0.1),
            kernel_shape=sizes,
            strides=[stride] * len(sizes),
            dilations=[dilation] * len(sizes),
            group=group,
            pads=list(pads) or [*around, *around],
        )
        if relu == "Clip":
            return str(self.op("Clip", y, self.constant(0.0), self.constant(6.0)))
        return str(self.op(relu, y)) if relu else str(y)

    def dense(self, x: str, taken: int, made: int) -> str:
        weight = self.weight(made, taken, scale=1 / sqrt(taken))
        return str(self.op("Gemm", x, weight, self.weight(made, scale=0.1), transB=1))

    def head(self, x: str, channels: int, classes: int) -> str:
        return self.dense(self.op("Flatten", self.op("GlobalAveragePool", x)), channels, classes)

    def matmul(self, x: str, taken: int, made: int) -> str:
        return str(self.op("MatMul", x, self.weight(taken, made, scale=1 / sqrt(taken))))

    def norm(self, x: str, size: int) -> str:
        scale = self.constant(1 + 0.1 * self._random.standard_normal(size))
        return str(self.op("LayerNormalization", x, scale, self.weight(size, scale=0.1), axis=-1))

    def model(self, shape: Sequence[int], result: str) -> onnx.ModelProto:
        """Return the net as a checked model with one input and one output."""
        self._nodes.append(helper.make_node("Identity", [result], [OUTPUT]))
        graph = helper.make_graph(
            self._nodes,
            "net",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return model


def mlp() -> onnx.ModelProto:
    net = Net(1)
    y = net.op("Relu", net.dense(INPUT, 64, 32))
    return net.model([1, 64], net.op("Softmax", net.dense(y, 32, 10), axis=-1))


def digits() -> onnx.ModelProto:
    net = Net(2)
    y = net.op("MaxPool", net.conv(INPUT, (1, 8)), kernel_shape=[2, 2], strides=[2, 2])
    return net.model([1, 1, 8, 8], net.dense(net.op("Flatten", net.conv(y, (8, 16))), 256, 10))


def ds_cnn(channels: int = 64) -> onnx.ModelProto:
    """The net of MLPerf Tiny's keyword spotting, with 64 channels."""
    net = Net(3)
    y = net.conv(INPUT, (1, channels), (10, 4), stride=2, pads=[4, 1, 5, 1])
    for _ in range(4):
        y = net.conv(net.conv(y, (channels, channels), group=channels), (channels, channels), 1)
    return net.model([1, 1, 49, 10], net.op("Softmax", net.head(y, channels, 12), axis=-1))


def _residual(net: Net, x: str, taken: int, made: int, stride: int) -> str:
    y = net.conv(net.conv(x, (taken, made), stride=stride), (made, made), relu="")
    shortcut = x if taken == made else net.conv(x, (taken, made), 1, stride=stride, relu="")
    return str(net.op("Relu", net.op("Add", y, shortcut)))


def resnet() -> onnx.ModelProto:
    net = Net(4)
    y = net.conv(INPUT, (3, 8))
    for taken, made, stride in ((8, 8, 1), (8, 16, 2), (16, 32, 2)):
        y = _residual(net, y, taken, made, stride)
    return net.model([1, 3, 16, 16], net.head(y, 32, 10))


def resnet8() -> onnx.ModelProto:
    """The net of MLPerf Tiny's image classification."""
    net = Net(5)
    y = net.conv(INPUT, (3, 16))
    for taken, made, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
        y = _residual(net, y, taken, made, stride)
    return net.model([1, 3, 32, 32], net.op("Softmax", net.head(y, 64, 10), axis=-1))


MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repetitions, stride: table 2 of Sandler et al., "MobileNetV2", 2018."""


def _eights(channels: float) -> int:
    """Return the multiple of 8 nearest to a number of channels, at least 90 % of it."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def mobilenet_v2(width: float = 0.35, size: int = 32, classes: int = 10) -> onnx.ModelProto:
    net = Net(6)
    taken = _eights(32 * width)
    y = net.conv(INPUT, (3, taken), stride=2, relu="Clip")
    for expansion, channels, repetitions, first_stride in MOBILENET_V2:
        made = _eights(channels * width)
        for index in range(repetitions):
            stride = first_stride if index == 0 else 1
            wide, x = taken * expansion, y
            if expansion > 1:
                y = net.conv(y, (taken, wide), 1, relu="Clip")
            y = net.conv(y, (wide, wide), stride=stride, group=wide, relu="Clip")
            y = net.conv(y, (wide, made), 1, relu="")
            if stride == 1 and taken == made:
                y = net.op("Add", x, y)
            taken = made
    y = net.conv(y, (taken, 256), 1, relu="Clip")
    return net.model([1, 3, size, size], net.head(y, 256, classes))


def batch_norm() -> onnx.ModelProto:
    net = Net(7)
    y = net.conv(INPUT, (1, 8), relu="")
    variance = net.constant(np.linspace(0.2, 2, 8))
    y = net.op("BatchNormalization", y, net.weight(8), net.weight(8), net.weight(8), variance)
    y = net.op("Clip", y, net.constant(0.0), net.constant(6.0))
    return net.model([1, 1, 8, 8], net.op("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]))


def activations() -> onnx.ModelProto:
    net = Net(8)
    x = net.dense(INPUT, 32, 16)
    error_function = net.op("Erf", net.op("Mul", x, net.constant(0.70710678)))
    y = net.op("Concat", net.op("Tanh", x), net.op("Sigmoid", x), error_function, axis=1)
    y = net.op("Transpose", net.op("Reshape", y, net.constant([4, 12], "int64")), perm=[1, 0])
    y = net.op("Exp", net.op("ReduceMean", net.norm(y, 4), axes=[1], keepdims=0))
    return net.model([1, 32], net.op("Reshape", y, net.constant([1, 12], "int64")))


def _attention(net: Net, x: str, steps: int, size: int, heads: int) -> str:
    each = size // heads
    shape = net.constant([1, steps, heads, each], "int64")
    parts = []
    for _ in range(3):
        part = net.op("Reshape", net.matmul(x, size, size), shape)
        parts.append(net.op("Transpose", part, perm=[0, 2, 1, 3]))
    query, key, value = parts
    scores = net.op("MatMul", query, net.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = net.op("Softmax", net.op("Mul", scores, net.constant(1 / sqrt(each))), axis=-1)
    y = net.op("Transpose", net.op("MatMul", scores, value), perm=[0, 2, 1, 3])
    y = net.op("Reshape", y, net.constant([1, steps, size], "int64"))
    return net.matmul(y, size, size)


def transformer(steps: int = 16, size: int = 32, heads: int = 4, layers: int = 2) -> onnx.ModelProto:
    net = Net(9)
    y = net.op("Add", INPUT, net.weight(1, steps, size, scale=0.3))
    for _ in range(layers):
        y = net.op("Add", y, _attention(net, net.norm(y, size), steps, size, heads))
        wide = net.matmul(net.norm(y, size), size, 2 * size)
        wide = net.op("Mul", wide, net.op("Sigmoid", wide))
        y = net.op("Add", y, net.matmul(wide, 2 * size, size))
    y = net.op("ReduceMean", net.norm(y, size), axes=[1], keepdims=0)
    return net.model([1, steps, size], net.dense(y, size, 6))


def unet() -> onnx.ModelProto:
    net = Net(10)
    first = net.conv(net.conv(INPUT, (1, 8)), (8, 8))
    second = net.conv(net.op("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2]), (8, 16))
    y = net.conv(net.op("MaxPool", second, kernel_shape=[2, 2], strides=[2, 2]), (16, 32))
    up = net.op("ConvTranspose", y, net.weight(32, 16, 2, 2, scale=0.2), strides=[2, 2], kernel_shape=[2, 2])
    y = net.conv(net.op("Concat", up, second, axis=1), (32, 16))
    scales = net.constant([1, 1, 2, 2])
    up = net.op(
        "Resize",
        y,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    y = net.conv(net.op("Concat", up, first, axis=1), (24, 8))
    return net.model([1, 1, 16, 16], net.op("Sigmoid", net.conv(y, (8, 1), 1, relu="")))


def tcn() -> onnx.ModelProto:
    """Dilated causal convolutions over time, with residuals."""
    net = Net(11)
    y = net.conv(INPUT, (4, 16), (1,), relu="")
    for dilation in (1, 2, 4, 8):
        x = net.conv(y, (16, 16), (3,), pads=[2 * dilation, 0], dilation=dilation)
        x = net.conv(x, (16, 16), (3,), pads=[2 * dilation, 0], dilation=dilation)
        y = net.op("Relu", net.op("Add", x, y))
    last = net.op(
        "Slice",
        y,
        net.constant([-1], "int64"),
        net.constant([2**31 - 1], "int64"),
        net.constant([2], "int64"),
    )
    return net.model([1, 4, 32], net.dense(net.op("Flatten", last), 16, 5))


def _recurrent(kind: str, gates: int, biases: int, seed: int, **attributes: Any) -> onnx.ModelProto:
    net = Net(seed)
    steps, size, hidden = 6, 8, 12
    weights = [
        net.weight(1, gates * hidden, size, scale=0.3),
        net.weight(1, gates * hidden, hidden, scale=0.3),
        net.weight(1, biases * hidden, scale=0.1),
    ]
    outputs = 3 if kind == "LSTM" else 2
    results = net.op(kind, INPUT, *weights, outputs=outputs, hidden_size=hidden, **attributes)
    return net.model([steps, 1, size], results[0])


def lstm() -> onnx.ModelProto:
    return _recurrent("LSTM", 4, 8, 12)


def gru() -> onnx.ModelProto:
    return _recurrent("GRU", 3, 6, 13, linear_before_reset=1)


def autoencoder() -> onnx.ModelProto:
    """The net of MLPerf Tiny's anomaly detection."""
    net = Net(14)
    sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
    y = INPUT
    for taken, made in zip(sizes, sizes[1:]):
        y = net.op("Relu", net.dense(y, taken, made))
    return net.model([1, 640], net.dense(y, 128, 640))


def mixed_images() -> onnx.ModelProto:
    net = Net(15)
    y = net.op("Pad", INPUT, net.constant([0, 0, 1, 1, 0, 0, 1, 1], "int64"))
    y = net.op("LeakyRelu", net.conv(y, (2, 4), relu="", pads=[0, 0, 0, 0]), alpha=0.1)
    y = net.op(
        "Resize",
        net.op("HardSwish", y),
        "",
        net.constant([1, 1, 2, 2]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    ends = [net.constant(values, "int64") for values in ([2, 2], [8, 8], [2, 3])]
    y = net.op("Slice", y, *ends)
    y = net.op("ConvTranspose", y, net.weight(4, 3, 2, 2, scale=0.3), kernel_shape=[2, 2], strides=[2, 2])
    return net.model(
        [1, 2, 8, 8], net.op("Cast", net.op("ArgMax", y, axis=1, keepdims=0), to=TensorProto.FLOAT)
    )


SMALL: Dict[str, Callable[[], onnx.ModelProto]] = {
    "mlp": mlp,
    "digits": digits,
    "ds_kws": ds_cnn,
    "ds_kws16": lambda: ds_cnn(16),
    "resnet": resnet,
    "batch_norm": batch_norm,
    "activations": activations,
    "attention": lambda: transformer(steps=8, size=16, heads=1, layers=1),
    "mixed_images": mixed_images,
    "gru": gru,
    "lstm": lstm,
}
"""Nets whose error must be at most 2e-6 of the largest output."""

LARGE: Dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenet_v2": mobilenet_v2,
    "resnet8": resnet8,
    "transformer": transformer,
    "unet": unet,
    "tcn": tcn,
    "autoencoder": autoencoder,
}
"""Nets whose error must be at most 1e-4 of the largest output."""

NETS = {**SMALL, **LARGE}
