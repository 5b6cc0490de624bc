# SPDX-License-Identifier: Apache-2.0
"""Types and shapes of a node's outputs, by ONNX's own inference."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.values import (
    IR_VERSION,
    OUTPUT_SHAPE,
    OUTPUT_TYPE,
    OWN_DOMAIN,
    TARGET,
    Node,
    Value,
)

MOST_ELEMENTS_OF_DATA = 4096  # inputs that decide shapes are short; longer ones would slow inference down


def proto_of(node: Node) -> Any:
    """Return a NodeProto with plain names: i0, i1, ... and o0, o1, ..."""
    from onnx import helper

    inputs = [f"i{index}" if node.has(index) else "" for index in range(len(node.inputs))]
    outputs = [f"o{index}" if name else "" for index, name in enumerate(node.outputs)]
    while inputs and not inputs[-1]:
        inputs.pop()
    return helper.make_node(node.op, inputs, outputs, name=node.name, domain=node.domain, **node.attributes)


def tensor_type(value: Value) -> Any:
    """Return the TypeProto of a tensor."""
    from onnx import helper

    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)), value.shape)


def inferred(node: Node) -> List[Optional[Tuple[Any, Optional[Tuple[int, ...]]]]]:
    """Return element type and shape of each output; None where ONNX does not infer a tensor.

    The shape is None if it is not static.

    Raises:
        ModelError: Types or shapes of the inputs do not fit the operator.
    """
    import onnx
    from onnx import defs, helper, numpy_helper, shape_inference

    proto = proto_of(node)
    opset = max(node.opset, TARGET)
    schema = defs.get_schema(node.op, opset, node.domain)
    types: Dict[str, Any] = {}
    data: Dict[str, Any] = {}
    for index, item in enumerate(node.inputs):
        if isinstance(item, Value):
            types[f"i{index}"] = tensor_type(item)
            if item.data is not None and item.size <= MOST_ELEMENTS_OF_DATA:
                data[f"i{index}"] = numpy_helper.from_array(np.asarray(item.data), f"i{index}")
    try:
        found = shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
        )
    except (shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        reason = str(error).strip().rstrip(".").replace("\n", " ")[:200]
        raise node.refusal(
            f"its inputs do not fit ({reason})", "Check the model with onnx.checker."
        ) from error
    results: List[Optional[Tuple[Any, Optional[Tuple[int, ...]]]]] = []
    for index, name in enumerate(node.outputs):
        kind = found.get(f"o{index}") if name else None
        if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.elem_type:
            results.append(None)
            continue
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type))
        results.append((dtype, _static_shape(kind.tensor_type)))
    return results


def outputs_of(node: Node) -> List[Tuple[Any, Tuple[int, ...]]]:
    """Return element type and static shape of each output that the node has.

    Raises:
        ModelError: A shape depends on the values of inputs.
    """
    if node.domain == OWN_DOMAIN:
        return [own_output_of(node.attributes)]
    results: List[Tuple[Any, Tuple[int, ...]]] = []
    for index, found in enumerate(inferred(node)):
        if not node.wants(index):
            results.append((np.dtype(np.float32), ()))
            continue
        if found is None or found[1] is None:
            raise node.refusal(
                "the shape of its output depends on values that only the device has",
                "Export the model with static shapes and constant parameters.",
            )
        results.append((found[0], found[1]))
    return results


def own_output_of(attributes: Mapping[str, Any]) -> Tuple[Any, Tuple[int, ...]]:
    """Return element type and shape of the output of an operator of our domain.

    Args:
        attributes: Attributes by name; an empty shape may be missing.
    """
    from onnx import helper

    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(attributes[OUTPUT_TYPE]))
    return dtype, tuple(attributes.get(OUTPUT_SHAPE, ()))


def _static_shape(tensor: Any) -> Optional[Tuple[int, ...]]:
    """Return the shape of a tensor type; None if a dimension is not a number."""
    if not tensor.HasField("shape"):
        return None
    if any(not dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor.shape.dim)
