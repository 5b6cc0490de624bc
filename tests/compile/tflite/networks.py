# SPDX-License-Identifier: Apache-2.0
"""Small networks as TensorFlow Lite files, written layer by layer."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from tests.compile.tflite.builder import Builder

STEP = 0.04
ZEROS = {"int8": -5, "uint8": 122}


class Network:
    """A network that grows by layers. Each method adds a layer and returns the index of its output.

    Attributes:
        builder: The file.
        dtype: Element type of the activations: float32, int8 or uint8.
    """

    def __init__(self, dtype: str = "float32", seed: int = 0) -> None:
        self.builder = Builder()
        self.dtype = dtype
        self._random = np.random.default_rng(seed)
        self._shapes: Dict[int, Tuple[int, ...]] = {}

    def shape(self, index: int) -> Tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._shapes[index]

    def tensor(self, shape: Sequence[int], scale: float = STEP, zero: Optional[int] = None) -> int:
        """Add an activation."""
        fields: Dict[str, Any] = {}
        if self.dtype in ZEROS:
            fields = {"scale": [scale], "zero": [ZEROS[self.dtype] if zero is None else zero]}
        index = self.builder.tensor(shape, self.dtype, **fields)
        self._shapes[index] = tuple(shape)
        return index

    def layer(
        self,
        op: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        kind: str = "",
        scale: float = STEP,
        zero: Optional[int] = None,
        **options: Any,
    ) -> int:
        """Add an operator with one output."""
        output = self.tensor(shape, scale, zero)
        self.builder.operator(op, inputs, [output], (kind, options) if kind else None)
        return output

    def weights(self, shape: Sequence[int], outputs: int, axis: int = 0) -> Tuple[int, int]:
        """Add weights and a bias, and return their indices."""
        if self.dtype not in ZEROS:
            spread = np.sqrt(2 / max(1, np.prod(shape) / outputs))
            weights = self._random.normal(0, spread, shape)
            return (
                self.builder.constant(weights, "float32"),
                self.builder.constant(self._random.normal(0, 0.1, outputs), "float32"),
            )
        count = outputs if self.dtype == "int8" else 1
        scales = self._random.uniform(0.003, 0.006, count).astype(np.float32)
        low, zero = (-127, 0) if self.dtype == "int8" else (0, 128)
        stored = self._random.integers(low, low + 255, shape)
        bias = self._random.integers(-500, 500, outputs)
        return (
            self.builder.constant(stored, self.dtype, scale=scales, zero=[zero], axis=axis),
            self.builder.constant(bias, scale=scales * np.float32(STEP)),
        )

    def convolution(self, x: int, outputs: int, kernel: int = 3, stride: int = 1, activation: int = 1) -> int:
        """Add a convolution with padding."""
        batch, height, width, channels = self.shape(x)
        weights, bias = self.weights((outputs, kernel, kernel, channels), outputs)
        shape = (batch, -(-height // stride), -(-width // stride), outputs)
        options = {"strideW": stride, "strideH": stride, "fusedActivationFunction": activation}
        return self.layer("CONV_2D", [x, weights, bias], shape, "Conv2DOptions", **options)

    def depthwise(self, x: int) -> int:
        """Add a depthwise convolution."""
        channels = self.shape(x)[3]
        weights, bias = self.weights((1, 3, 3, channels), channels, 3)
        options = {"strideW": 1, "strideH": 1, "depthMultiplier": 1, "fusedActivationFunction": 3}
        return self.layer(
            "DEPTHWISE_CONV_2D", [x, weights, bias], self.shape(x), "DepthwiseConv2DOptions", **options
        )

    def pool(self, x: int, op: str = "MAX_POOL_2D") -> int:
        """Add a pool of windows of 2x2."""
        batch, height, width, channels = self.shape(x)
        options = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "padding": 1}
        return self.layer(op, [x], (batch, height // 2, width // 2, channels), "Pool2DOptions", **options)

    def add(self, x: int, y: int) -> int:
        """Add the sum of two tensors."""
        return self.layer("ADD", [x, y], self.shape(x), "AddOptions")

    def concatenation(self, x: int, y: int) -> int:
        """Add the concatenation of channels."""
        shape = (*self.shape(x)[:3], self.shape(x)[3] + self.shape(y)[3])
        return self.layer("CONCATENATION", [x, y], shape, "ConcatenationOptions", axis=3)

    def pad(self, x: int) -> int:
        """Add a border."""
        batch, height, width, channels = self.shape(x)
        pads = self.builder.constant([[0, 0], [1, 0], [0, 2], [0, 0]])
        return self.layer("PAD", [x, pads], (batch, height + 1, width + 2, channels), "PadOptions")

    def mean(self, x: int) -> int:
        """Add the mean over height and width."""
        batch, _, _, channels = self.shape(x)
        return self.layer("MEAN", [x, self.builder.constant([1, 2])], (batch, channels), "ReducerOptions")

    def flatten(self, x: int) -> int:
        """Add a reshape to rows."""
        shape = (self.shape(x)[0], int(np.prod(self.shape(x)[1:])))
        return self.layer("RESHAPE", [x, self.builder.constant(shape)], shape, "ReshapeOptions")

    def dense(self, x: int, outputs: int) -> int:
        """Add a fully connected layer."""
        batch, inputs = self.shape(x)
        weights, bias = self.weights((outputs, inputs), outputs)
        return self.layer("FULLY_CONNECTED", [x, weights, bias], (batch, outputs), "FullyConnectedOptions")

    def softmax(self, x: int) -> int:
        """Add a softmax."""
        zero = {"int8": -128, "uint8": 0}.get(self.dtype)
        return self.layer("SOFTMAX", [x], self.shape(x), "SoftmaxOptions", 1 / 256, zero, beta=1.0)
