# SPDX-License-Identifier: Apache-2.0
"""Computation of nodes whose inputs are constants, with ONNX's reference evaluator (numpy)."""

from __future__ import annotations

import warnings
from typing import Any, Final, List, Mapping, Optional

import numpy as np

from runtime.host.compile.onnx_rewrite import inference
from runtime.host.compile.onnx_rewrite.values import IR_VERSION, TARGET, Array, Node, Value

LARGEST_RESULT: Final = 16 << 20
"""Most bytes of a computed constant. The flash of microcontrollers is smaller than that."""

NEVER_COMPUTED: Final = frozenset(
    # A weight that stays quantized takes a quarter of the flash, and integer kernels need it so.
    """
    DequantizeLinear
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial
    Dropout If Loop Scan SequenceMap ImageDecoder
    Constant Shape Size Identity
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators that the evaluator does not compute; the rules of the last line need no evaluator."""


def folded(node: Node) -> Optional[List[Array]]:
    """Return the outputs of a node whose inputs are all constant; None if it is not computed here.

    Args:
        node: Node of the target opset, or of a newer one for a newer operator.
    """
    if node.op in NEVER_COMPUTED or node.domain or not any(node.wants(i) for i in range(len(node.outputs))):
        return None
    for item in node.inputs:
        if item is not None and (not isinstance(item, Value) or item.data is None):
            return None
    if not node.inputs and node.op not in ("Range",):
        return None
    described = inference.inferred(node)
    for found in described:
        if found is None or found[1] is None:
            continue
        if int(np.prod(found[1], dtype=np.int64)) * found[0].itemsize > LARGEST_RESULT:
            return None
    results = _computed(node)
    if results is None or len(results) < len(node.outputs):
        return None
    arrays: List[Array] = []
    for found, result in zip(described, results):
        if result is None:
            arrays.append(np.zeros(0, np.float32))
            continue
        if not isinstance(result, (np.ndarray, np.generic)):
            return None
        array = np.asarray(result)
        # The evaluator's result counts only where it agrees with ONNX's inference.
        if array.nbytes > LARGEST_RESULT:
            return None
        if found is not None and (array.dtype != found[0] or found[1] not in (None, array.shape)):
            return None
        arrays.append(array)
    return arrays


def _computed(node: Node) -> Optional[List[Any]]:
    """Return the reference evaluator's outputs; None if the evaluator fails."""
    feeds = {
        f"i{index}": np.asarray(item.data)
        for index, item in enumerate(node.inputs)
        if isinstance(item, Value) and item.data is not None
    }
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return list(_evaluator(node, feeds).run(None, feeds))
        except Exception:  # any type: the evaluator is numpy code for each operator
            return None


def _evaluator(node: Node, feeds: Mapping[str, Array]) -> Any:
    """Return a reference evaluator of a node."""
    from onnx import helper, shape_inference
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import RuntimeContextError

    proto, opset = inference.proto_of(node), max(node.opset, TARGET)
    try:
        return ReferenceEvaluator(proto, opsets={"": opset})
    except RuntimeContextError:  # of Gelu, whose definition depends on the types of a model
        graph = helper.make_graph(
            [proto],
            "node",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in feeds.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in proto.output],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
        )
        return ReferenceEvaluator(shape_inference.infer_shapes(model))
