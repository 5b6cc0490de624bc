# SPDX-License-Identifier: Apache-2.0
"""Import of an ONNX model into Relax."""

from __future__ import annotations

import functools
from typing import Any, Dict, Final, Mapping, Optional, Sequence

from runtime.host.compile.constant_operands import with_plain_constants
from runtime.host.compile.errors import ModelError
from runtime.host.compile.library.choice import ATTRIBUTE, Operand
from runtime.host.compile.library.rules import choose
from runtime.host.compile.lowering import last_line
from runtime.host.compile.onnx_rewrite.inference import own_output_of
from runtime.host.compile.relax_program import constant_of, tensor_type

_OPAQUE: Final = 8  # op_pattern of a function that is not fused with others


def import_onnx(model: Any) -> Any:
    """Return an ONNX model with static shapes as a tvm.IRModule of Relax.

    Raises:
        ModelError: TVM cannot import an operator.
    """
    from tvm.relax.frontend.onnx import from_onnx

    _use_bounds_of_clip()
    _add_own_operators()
    try:
        plain = _with_unsigned_indices(_with_safe_names(with_plain_constants(model)))
        return from_onnx(plain, keep_params_in_input=False)
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


@functools.lru_cache(maxsize=None)
def _add_own_operators() -> None:
    """Let the importer read the operators of our domain, which become kernels of integer_kernels.py."""
    from tvm.relax.frontend.onnx import onnx_frontend

    from runtime.host.compile.integer_kernels import KERNELS

    def converter(name: str, kernel: Any) -> Any:
        def convert(_cls: Any, builder: Any, inputs: Any, attributes: Any, _parameters: Any) -> Any:
            values = [builder.normalize(inputs[index]) for index in range(len(inputs))]
            hints = {"primfunc_name_hint": name, "primfunc_attrs": _own_kernel(name, values, attributes)}
            return builder.emit_te(kernel, *values, attributes, **hints)

        return type(name, (onnx_frontend.OnnxOpConverter,), {"_impl_v1": classmethod(convert)})

    own = {name: converter(name, kernel) for name, kernel in KERNELS.items()}
    table = onnx_frontend._get_convert_map
    onnx_frontend._get_convert_map = lambda: {**table(), **own}


def _own_kernel(name: str, values: Sequence[Any], attributes: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Return the attributes of a tirx.PrimFunc that one of our kernels replaces; None for a kernel of TVM."""
    inputs = []
    for value in values:
        shape, dtype = tensor_type(value)
        inputs.append(Operand(shape, dtype, constant_of(value)))
    dtype, made = own_output_of(attributes)
    choice = choose(name, _plain(attributes), inputs, Operand(tuple(made), str(dtype)))
    return None if choice is None else {"op_pattern": _OPAQUE, ATTRIBUTE: choice.text()}


def _plain(attributes: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the attributes of a node as integers and lists of integers; the importer adds others."""
    return {
        name: value if isinstance(value, int) else [int(each) for each in value]
        for name, value in attributes.items()
        if not isinstance(value, (dict, str))
    }


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


def _with_unsigned_indices(model: Any) -> Any:
    """Return a model with safe names in which the indices of Gather are uint32, and so not negative.

    For signed ones the importer adds the extent to negative indices, although onnx_rewrite did, by
    operators on the shape that TVM 0.25 cannot lower.
    """
    import onnx
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Gather":
            old, new = node.input[1], f"{node.name}_indices"
            if old in constants:
                indices = numpy_helper.to_array(constants[old]).astype("uint32")
                model.graph.initializer.append(numpy_helper.from_array(indices, new))
            else:
                nodes.append(onnx.helper.make_node("Cast", [old], [new], to=onnx.TensorProto.UINT32))
            node.input[1] = new
        nodes.append(node)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed
