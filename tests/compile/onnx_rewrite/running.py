# SPDX-License-Identifier: Apache-2.0
"""Runs of models for the tests: ONNX's reference evaluator and onnxruntime."""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

OPSET = 21


def floats(numbers: Any) -> Any:
    """Return an array of float32."""
    return np.array(numbers, np.float32)


def longs(numbers: Any) -> Any:
    """Return an array of int64."""
    return np.array(numbers, np.int64)


def model_of(
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    constants: Mapping[str, Any] = {},
    opset: int = OPSET,
) -> Any:
    """Return a model.

    Args:
        nodes: NodeProtos.
        inputs: Example arrays of the inputs.
        outputs: Names of the outputs; their types are inferred.
        constants: Arrays of the initializers.
        opset: Opset of the default domain.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        list(nodes),
        "test",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def by_reference(model: Any, inputs: Dict[str, Any]) -> List[Any]:
    """Return the outputs of ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [np.asarray(array) for array in ReferenceEvaluator(model).run(None, inputs)]


def by_onnxruntime(model: Any, inputs: Dict[str, Any]) -> List[Any]:
    """Return the outputs of onnxruntime without optimisation of the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(array) for array in session.run(None, inputs)]


def difference(found: Sequence[Any], expected: Sequence[Any], rtol: float = 1e-3, atol: float = 1e-5) -> str:
    """Return the difference of two lists of arrays in words; an empty string if they agree."""
    for index, (array, other) in enumerate(zip(found, expected)):
        if (array.shape, array.dtype) != (other.shape, other.dtype):
            return f"output {index}: {array.dtype} {array.shape} instead of {other.dtype} {other.shape}"
        if other.dtype.kind == "f":
            if not np.allclose(array, other, rtol=rtol, atol=atol, equal_nan=True):
                return f"output {index}: values differ by {np.nanmax(np.abs(array - other))}"
        elif not np.array_equal(array, other):
            return f"output {index}: {np.count_nonzero(array != other)} of {array.size} values differ"
    return ""
