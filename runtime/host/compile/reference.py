# SPDX-License-Identifier: Apache-2.0
"""Reference answers of an ONNX model: onnxruntime, and onnx's own evaluator where that has no kernel."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import numpy as np
import onnx

from runtime.host.compile.errors import ModelError
from runtime.host.compile.rounding import Arrays, InvalidInputs, rounding_of

__all__ = ["InvalidInputs", "OnnxReference"]


class OnnxReference:
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
        """Return for each output how far rounding may move its elements.

        Raises:
            InvalidInputs: The model rejects the inputs.
        """
        return rounding_of(self.run, inputs)


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
