# SPDX-License-Identifier: Apache-2.0
"""Operators that are replaced by ONNX's own definition of them as a function."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Sequence

from runtime.host.compile.onnx_rewrite import inference
from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.graphs import run_function
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value

LACKS: Final = "TVM 0.27 has no such operator"
REASONS: Final[Dict[str, str]] = {
    "Attention": "TVM 0.27 imports the operator of onnxruntime with other inputs under this name",
    "BlackmanWindow": LACKS,
    "CausalConvWithState": LACKS,
    "Celu": LACKS,
    "CenterCropPad": LACKS,
    "HammingWindow": LACKS,
    "HannWindow": LACKS,
    "LinearAttention": LACKS,
    "NegativeLogLikelihoodLoss": LACKS,
    "RotaryEmbedding": LACKS,
    "SoftmaxCrossEntropyLoss": LACKS,
    "SwiGLU": LACKS,
    "Swish": LACKS,
}
"""Operator -> why it is expanded."""


def expanded_by_definition(emit: Emitter, node: Node) -> Sequence[Item]:
    """Replace a node by the body of its function."""
    import onnx
    from onnx import defs

    schema: Any = defs.get_schema(node.op, node.opset, "")
    if schema.has_context_dependent_function:
        types: List[bytes] = []
        for item in node.inputs:
            kind = inference.tensor_type(item) if isinstance(item, Value) else onnx.TypeProto()
            types.append(kind.SerializeToString())
        proto = inference.proto_of(node)
        data = schema.get_context_dependent_function(proto.SerializeToString(), types)
        function: Any = onnx.FunctionProto.FromString(data)
    else:
        function = schema.function_body
    if not function.node:
        raise node.refusal("ONNX has no definition of it for these inputs")
    return run_function(emit, function, node)


RULES: Final[Dict[str, Rule]] = dict.fromkeys(REASONS, expanded_by_definition)
