# SPDX-License-Identifier: Apache-2.0
"""Comparison of a converted file with LiteRT."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import onnx

from runtime.host.compile.onnx_model import inputs_of, outputs_of
from runtime.host.compile.reference import OnnxReference
from runtime.host.compile.tflite import TfliteReference, tflite_to_onnx

SETS = 3


def random_inputs(
    model: onnx.ModelProto, random: np.random.Generator, low: float, high: float
) -> Dict[str, Any]:
    """Return random inputs; those of floating-point numbers lie between two limits."""
    inputs: Dict[str, Any] = {}
    for value in inputs_of(model):
        dtype = np.dtype(value.dtype)
        if dtype.kind == "f":
            inputs[value.name] = random.uniform(low, high, value.shape).astype(dtype)
        elif dtype.kind == "b":
            inputs[value.name] = random.integers(0, 2, value.shape).astype(dtype)
        elif dtype.itemsize == 1:
            limits = np.iinfo(dtype)
            inputs[value.name] = random.integers(limits.min, limits.max + 1, value.shape).astype(dtype)
        else:
            inputs[value.name] = random.integers(int(low), int(high) + 1, value.shape).astype(dtype)
    return inputs


def converted_like_litert(
    data: bytes, low: float = -2, high: float = 2, seed: int = 1, relative: float = 1e-5, steps: int = 1
) -> onnx.ModelProto:
    """Convert a file, compare it with LiteRT on random inputs, and return the ONNX model.

    Args:
        data: Content of the file.
        low: Least number of inputs.
        high: Largest number of inputs.
        seed: Seed of the inputs.
        relative: Allowed error of float32, as a part of the largest element.
        steps: Allowed error of quantized integers.
    """
    model: onnx.ModelProto = tflite_to_onnx(data)
    onnx.checker.check_model(model, full_check=True)
    ours, litert = OnnxReference(model), TfliteReference(data)
    assert ours.name == "onnxruntime"
    random = np.random.default_rng(seed)
    for _ in range(SETS):
        inputs = random_inputs(model, random, low, high)
        answers, expected = ours.run(inputs), litert.run(inputs)
        assert list(answers) == list(expected) == [value.name for value in outputs_of(model)]
        for name, right in expected.items():
            answer = answers[name]
            assert (answer.shape, answer.dtype) == (right.shape, right.dtype)
            error = np.abs(answer.astype(np.float64) - right.astype(np.float64))
            if right.dtype.kind == "f":
                assert np.array_equal(np.isnan(answer), np.isnan(right))
                assert np.nanmax(error, initial=0) <= relative * np.nanmax(np.abs(right), initial=1e-30), (
                    error
                )
            else:
                allowed = steps if right.dtype.itemsize == 1 else 0
                assert error.max() <= allowed, (error.max(), int((error > 0).sum()), error.size)
    return model
