# SPDX-License-Identifier: Apache-2.0
"""Changed forms of quantized models, to measure what quantization itself and its ties change."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOVES: Final = frozenset(
    """
    ArgMax ArgMin Concat DepthToSpace Expand Flatten Gather GatherElements GatherND GlobalMaxPool Identity Max
    MaxPool Min Pad ReduceMax ReduceMin Reshape Resize Slice SpaceToDepth Split Squeeze Tile Transpose
    Unsqueeze
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators that do with numbers what they do with integers of one scale."""


MOVE: Final = 2.0**-20  # part of a scale: eight units in the last place of a float32


class _Scale(NamedTuple):
    scale: Any
    zero_point: Any


class FloatForm(NamedTuple):
    """A model without the rounding of its tensors.

    Attributes:
        model: The onnx.ModelProto. An output of integers is float32 here, in units of these integers.
        steps: Output -> the difference of two neighbouring values; missing for one that is not quantized.
    """

    model: Any
    steps: Mapping[str, float]


def float_form(model: onnx.ModelProto) -> Optional[FloatForm]:
    """Return a quantized model without the rounding of its tensors; None for a model that has none.

    Args:
        model: Model with static shapes; functions and bodies of control flow are left as they are.
    """
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return None
    form = _Form(model.graph)
    for node in model.graph.node:
        form.add(node)
    graph = model.graph
    outputs = [form.finish(value) for value in graph.output]
    made = helper.make_graph(form.nodes, "float", graph.input, outputs, [*graph.initializer, *form.constants])
    changed = helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)
    return FloatForm(changed, {name: form.steps[name] for name in form.steps if name in form.outputs})


def with_moved_ties(model: onnx.ModelProto, random: np.random.Generator) -> onnx.ModelProto:
    """Return a quantized model whose tensors are rounded with slightly other scales.

    A number halfway between two integers, such as a mean of two, then becomes the other one. The change is
    that of a float32 in a few operations, so that the reference might do the same in another release.
    """
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    arrays = {tensor.name: tensor for tensor in moved.graph.initializer}
    for index, node in enumerate(moved.graph.node):
        if node.op_type == "QuantizeLinear" and node.input[1] in arrays:
            scale = numpy_helper.to_array(arrays[node.input[1]])
            if scale.dtype != np.float32:
                continue
            name = f"{node.input[1]}/moved/{index}"
            factor = 1 + MOVE * random.uniform(-1, 1)
            moved.graph.initializer.append(numpy_helper.from_array((scale * factor).astype(np.float32), name))
            node.input[1] = name
    return moved


def _shape(value: Any) -> List[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


class _Form:
    """The float form of a graph, node by node."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: List[Any] = []
        self.constants: List[Any] = []
        self._arrays = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self._real: Dict[str, Tuple[str, _Scale]] = {}  # integers -> the numbers that they stand for
        self._same: Dict[str, str] = {}  # numbers behind DequantizeLinear
        self.steps: Dict[str, float] = {}  # numbers -> the difference of neighbouring values

    def add(self, node: Any) -> None:
        """Add a node of the quantized graph."""
        if node.op_type == "Constant":
            self._add_constant(node)
        inputs = [self._same.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear" and self._is_scaled(node) and inputs[0] not in self._arrays:
            scale = self._scale(node)
            self._real[node.output[0]] = (self._saturated(inputs[0], scale), scale)
        elif node.op_type == "DequantizeLinear" and node.input[0] in self._real:
            source, scale = self._real[node.input[0]]
            self._same[node.output[0]] = source
            self.steps[node.output[0]] = float(scale.scale)
        elif node.op_type in MOVES and any(name in self._real for name in node.input):
            self._move(node, inputs)
        else:
            for name in node.input:
                self._make_integers(name)
            self._write(node, inputs, node.output)
            if node.op_type == "DequantizeLinear" and self._is_scaled(node):
                self.steps[node.output[0]] = float(self._scale(node).scale)
            elif node.op_type in MOVES and node.input[0] in self.steps:
                self.steps.update((name, self.steps[node.input[0]]) for name in node.output)

    def finish(self, value: Any) -> Any:
        """Make an output of the graph, and return its ValueInfoProto."""
        name = value.name
        if name in self._real:
            source, scale = self._real[name]
            divided = self._op("Div", source, self._constant(scale.scale))
            self._op("Add", divided, self._constant(scale.zero_point), output=name)
            self.steps[name] = 1.0
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, _shape(value))
        if name in self._same:
            self._op("Identity", self._same[name], output=name)
        return value

    def _write(self, node: Any, inputs: List[str], outputs: Any) -> None:
        written = onnx.NodeProto()
        written.CopyFrom(node)
        written.input[:] = inputs
        written.output[:] = outputs
        self.nodes.append(written)

    def _move(self, node: Any, inputs: List[str]) -> None:
        scale = next(self._real[name][1] for name in node.input if name in self._real)
        reals = [self._real[old][0] if old in self._real else new for old, new in zip(node.input, inputs)]
        if node.op_type in ("Pad", "Max", "Min", "Concat"):
            taken = range(2, 3) if node.op_type == "Pad" else range(len(reals))
            for at in taken:
                if at < len(reals) and reals[at] in self._arrays and node.input[at] not in self._real:
                    integers = numpy_helper.to_array(self._arrays[reals[at]]).astype(np.float64)
                    reals[at] = self._constant((integers - float(scale.zero_point)) * float(scale.scale))
        is_order = node.op_type in ("ArgMax", "ArgMin")
        self._write(node, reals, node.output)
        if not is_order:
            for index, name in enumerate(node.output):
                renamed = f"{name}/real"
                self.nodes[-1].output[index] = renamed
                self._real[name] = (renamed, scale)

    def _saturated(self, source: str, scale: _Scale) -> str:
        """Limit numbers to the range of their integers, which often has the effect of an activation."""
        limits = np.iinfo(scale.zero_point.dtype)
        lowest, highest = (
            self._constant((float(limit) - float(scale.zero_point)) * float(scale.scale))
            for limit in (limits.min, limits.max)
        )
        return self._op("Clip", source, lowest, highest)

    def _make_integers(self, name: str) -> None:
        """Quantize a tensor for an operator that reads its integers."""
        if name in self._real:
            source, scale = self._real.pop(name)
            self.nodes.append(
                helper.make_node(
                    "QuantizeLinear",
                    [source, self._constant(scale.scale), self._constant(scale.zero_point, None)],
                    [name],
                )
            )

    def _is_scaled(self, node: Any) -> bool:
        """Return whether scale and zero point are constants, one for the tensor."""
        known = all(name in self._arrays for name in node.input[1:] if name)
        return known and numpy_helper.to_array(self._arrays[node.input[1]]).size == 1

    def _scale(self, node: Any) -> _Scale:
        scale = numpy_helper.to_array(self._arrays[node.input[1]]).reshape(())
        zero = (
            numpy_helper.to_array(self._arrays[node.input[2]]).reshape(())
            if len(node.input) > 2
            else np.uint8(0)
        )
        return _Scale(scale, np.asarray(zero))

    def _add_constant(self, node: Any) -> None:
        for attribute in node.attribute:
            if attribute.name == "value":
                self._arrays[node.output[0]] = attribute.t

    def _constant(self, number: Any, dtype: Any = np.float32) -> str:
        name = f"float/{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(number, dtype), name))
        return name

    def _op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        made = output or f"float/{kind}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [made], **attributes))
        return made
