# SPDX-License-Identifier: Apache-2.0
"""Reference answers of an ONNX model: onnxruntime, and onnx's own evaluator where that has no kernel."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Mapping, Optional

import numpy as np
import onnx

from runtime.host.compile.errors import ModelError

Arrays = Mapping[str, "np.ndarray"]
SEED: Final = 20_240_229
REPEATS: Final = 4
STEP: Final = 2.0**-22  # two units in the last place of a float32
MARGIN: Final = 4  # the order of additions in a kernel is one of many


class InvalidInputs(Exception):
    """Inputs that the model itself rejects, such as an index out of range."""


class Reference:
    """Reference of one model.

    Attributes:
        name: Name of the runtime, for messages.
        outputs: Names of the outputs in order.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Load the model.

        Raises:
            ModelError: No reference runtime runs the model.
        """
        self.outputs = [value.name for value in model.graph.output]
        self.name = "onnxruntime"
        failure: Optional[Exception] = None
        try:
            self._run = _onnxruntime(model)
            return
        except Exception as error:  # onnxruntime has many, all derived from Exception
            failure = error
        try:
            self._run = _evaluator(model)
            self.name = "onnx.reference"
        except Exception:
            raise ModelError(
                f"No reference runs the model: {str(failure)[:200]}",
                "Check the model, or compile with --no-verify.",
            ) from failure

    def run(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return the outputs by name.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        try:
            results = self._run(dict(inputs))
        except Exception as error:
            raise InvalidInputs(str(error)) from error
        return dict(zip(self.outputs, results))

    def rounding(self, inputs: Arrays) -> Dict[str, np.ndarray]:
        """Return for each output how far rounding may move its elements: a sine of 20,000 moves by 1e-3.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        return rounding_of(self.run, inputs)


def rounding_of(run: Callable[[Arrays], Dict[str, np.ndarray]], inputs: Arrays) -> Dict[str, np.ndarray]:
    """Return for each output a multiple of its change when each floating-point input changes by its rounding.

    Args:
        run: Function from inputs to outputs, by name.
        inputs: Inputs by name.

    Raises:
        InvalidInputs: The model rejects the inputs.
    """
    random = np.random.default_rng(SEED)
    exact = run(inputs)
    moved = {name: np.zeros(array.shape) for name, array in exact.items()}
    for _ in range(REPEATS):
        near = {name: _nearby(random, array) for name, array in inputs.items()}
        for name, array in run(near).items():
            with np.errstate(invalid="ignore"):
                change = np.abs(array.astype(np.float64) - exact[name].astype(np.float64))
            moved[name] = np.fmax(moved[name], np.where(np.isfinite(change), change, 0.0))
    return {name: MARGIN * change for name, change in moved.items()}


def _nearby(random: np.random.Generator, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    return (array * (1 + STEP * random.uniform(-1, 1, array.shape))).astype(array.dtype)


def _onnxruntime(model: onnx.ModelProto) -> Callable[[Dict[str, Any]], List[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The specification is the reference, not a faster form of it.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda inputs: session.run(None, inputs)


def _evaluator(model: onnx.ModelProto) -> Callable[[Dict[str, Any]], List[Any]]:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return lambda inputs: list(evaluator.run(None, inputs))
