# SPDX-License-Identifier: Apache-2.0
"""Import of an ONNX model into Relax."""

from __future__ import annotations

import functools
from typing import Any

from runtime.host.compile.constant_operands import with_plain_constants
from runtime.host.compile.errors import ModelError
from runtime.host.compile.lowering import last_line


def import_onnx(model: Any) -> Any:
    """Return an ONNX model with static shapes as a tvm.IRModule of Relax.

    Raises:
        ModelError: TVM cannot import an operator.
    """
    from tvm.relax.frontend.onnx import from_onnx

    _use_bounds_of_clip()
    try:
        return from_onnx(_with_safe_names(with_plain_constants(model)), keep_params_in_input=False)
    except Exception as error:
        reason = last_line(error)
        raise ModelError(
            f"TVM cannot import the model: {reason}", "Replace the operator, or export with another opset."
        ) from error


@functools.lru_cache(maxsize=None)
def _use_bounds_of_clip() -> None:
    """Let the importer use the bounds of Clip as they are.

    TVM 0.27 compares each bound with NaN, and folds this by building and running two LLVM modules for each
    Clip: 20 s for a MobileNetV2.
    """
    from tvm.relax.frontend.onnx import onnx_frontend

    if hasattr(onnx_frontend.Clip, "_sanitize_nan_clip_bound"):
        onnx_frontend.Clip._sanitize_nan_clip_bound = staticmethod(lambda _builder, bound, for_min: bound)


def _with_safe_names(model: Any) -> Any:
    """Return a copy in which each value has a name of ours: names of a model must not reach C."""
    import onnx

    safe = onnx.ModelProto()
    safe.CopyFrom(model)
    names = {"": ""}

    def name(old: str) -> str:
        return names.setdefault(old, f"value{len(names)}")

    graph = safe.graph
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = name(value.name)
    for index, node in enumerate(graph.node):
        node.name = f"node{index}"
        node.input[:] = [name(old) for old in node.input]
        node.output[:] = [name(old) for old in node.output]
    return safe
