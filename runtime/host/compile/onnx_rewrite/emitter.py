# SPDX-License-Identifier: Apache-2.0
"""The writer of the rewritten graph.

Nodes arrive in topological order. Each one is brought to the target opset, computed if it is constant,
replaced by what its rule emits, or kept. Nodes that a rule emits go the same way, so that rules may be stated
in terms of operators that have rules.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_rewrite import folding, inference
from runtime.host.compile.onnx_rewrite.values import (
    OUTPUT_SHAPE,
    OUTPUT_TYPE,
    OWN_DOMAIN,
    SUPPORTED_DTYPES,
    Array,
    Empty,
    Item,
    Node,
    Value,
)

MOST_NODES: Final = 100_000
"""Most nodes of a rewritten graph. An unrolled loop with more would not fit a microcontroller."""

Rule = Callable[["Emitter", Node], Optional[Sequence[Item]]]
"""Function that emits the replacement of a node and returns its outputs; None to keep the node."""

Upgrade = Callable[["Emitter", Node], Node]
"""Function that returns a node in the form of the target opset."""


class Emitter:
    """Nodes and constants of the rewritten graph.

    Attributes:
        nodes: Nodes of the result in topological order.
        constants: Arrays of the constants by name.
    """

    def __init__(
        self, rules: Mapping[str, Rule], refusals: Mapping[str, str], taken: FrozenSet[str], upgrade: Upgrade
    ) -> None:
        self.nodes: List[Any] = []
        self.constants: Dict[str, Array] = {}
        self._rules = rules
        self._refusals = refusals
        self._taken = taken
        self._upgrade = upgrade
        self._shared: Dict[Tuple[str, Tuple[int, ...], bytes], Value] = {}
        self._producers: Dict[str, Tuple[Node, int]] = {}
        self._names = 0
        self._reserved: Dict[str, int] = {}
        self._node_names: Dict[str, int] = {}
        self._current = ""

    def reserve(self, name: str) -> None:
        """Keep a name for an input or an output of the model."""
        self._reserved[name] = 1

    def fresh(self, stem: str) -> str:
        """Return a name that no other value has."""
        while True:
            self._names += 1
            name = f"{stem}_{self._names}"
            if name not in self._reserved:
                return name

    def constant(self, data: Any, dtype: Any = None) -> Value:
        """Return a constant. Equal constants share one value.

        Args:
            data: Number, list or array.
            dtype: Element type; None for the one of the array. Python integers are int64.
        """
        array = np.ascontiguousarray(np.asarray(data, dtype=dtype)).reshape(np.shape(data))
        key = (array.dtype.str, array.shape, array.tobytes())
        if array.dtype == object or array.dtype.kind not in "fiub":
            name = self.fresh("constant")
            self.constants[name] = array
            return Value(name, array.dtype, array.shape, array)
        if key not in self._shared:
            name = self.fresh("constant")
            self.constants[name] = array
            self._shared[key] = Value(name, array.dtype, array.shape, array)
        return self._shared[key]

    def like(self, number: float, value: Value) -> Value:
        """Return a constant scalar of the element type of a value."""
        return self.constant(np.array(number, dtype=value.dtype))

    def op(self, op: str, *inputs: Optional[Item], **attributes: Any) -> Value:
        """Emit an operator of the target opset with one output, and return the output."""
        (result,) = self.ops(op, 1, *inputs, **attributes)
        return result

    def ops(self, op: str, outputs: int, *inputs: Optional[Item], **attributes: Any) -> List[Value]:
        """Emit an operator of the target opset, and return its outputs."""
        names = [self.fresh(op) for _ in range(outputs)]
        node = Node(op, list(inputs), _present(attributes), names, self._current)
        results = self.apply(node)
        return [_tensor(node, result) for result in results]

    def keep(self, op: str, *inputs: Optional[Item], **attributes: Any) -> Value:
        """Emit an operator of the target opset without its rule, and return its only output."""
        node = Node(op, list(inputs), _present(attributes), [self.fresh(op)], self._current)
        computed = folding.folded(node)
        if computed is not None:
            return self.constant(computed[0])
        return _tensor(node, self._kept(node)[0])

    def own(
        self, op: str, *inputs: Value, dtype: Any, shape: Sequence[int], name: str = "", **attributes: Any
    ) -> Value:
        """Emit an operator of our domain, and return its output.

        Args:
            op: Operator.
            *inputs: Inputs.
            dtype: Element type of the output.
            shape: Shape of the output.
            name: Name for messages; empty for that of the current node.
            **attributes: Attributes.
        """
        from onnx import helper

        attributes[OUTPUT_TYPE] = int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        attributes[OUTPUT_SHAPE] = [int(extent) for extent in shape]
        node = Node(op, list(inputs), attributes, [self.fresh(op)], name or self._current, domain=OWN_DOMAIN)
        return _tensor(node, self._kept(node)[0])

    def name_nodes(self, name: str) -> None:
        """Give a name to the nodes that are emitted from now on by `op` and `ops`."""
        self._current = name

    def producer(self, value: Value) -> Optional[Node]:
        """Return the node that computes a value: the written one, or the one that a rule replaced.

        The result is None for an input or a constant.
        """
        found = self._producers.get(value.name)
        return None if found is None else found[0]

    def output_index(self, value: Value) -> int:
        """Return which output of its producer a value is; 0 for an input or a constant."""
        found = self._producers.get(value.name)
        return 0 if found is None else found[1]

    def apply(self, node: Node) -> List[Item]:
        """Rewrite a node and return its outputs.

        Args:
            node: Node of any opset.

        Returns:
            One item for each name in node.outputs; Empty for an output that the node leaves out.

        Raises:
            ModelError: The operator, an attribute or an element type is not supported.
        """
        before, self._current = self._current, node.name or node.op
        try:
            if node.domain == OWN_DOMAIN:
                return self._kept(node)
            node = self._upgrade(self, node)
            computed = folding.folded(node)
            if computed is not None:
                return [
                    self.constant(computed[index]) if node.wants(index) else Empty()
                    for index in range(len(node.outputs))
                ]
            if node.op in self._refusals:
                raise node.refusal(self._refusals[node.op])
            if node.op not in self._rules and node.op not in self._taken:
                raise node.refusal("it is newer than this compiler")
            written = len(self.nodes)
            results = self._rules[node.op](self, node) if node.op in self._rules else None
            if results is None:
                return self._kept(node)
            made = {name for proto in self.nodes[written:] for name in proto.output}
            self._producers.update(
                (item.name, (node, index))
                for index, item in enumerate(results)
                if isinstance(item, Value) and item.name in made
            )
            return list(results)
        finally:
            self._current = before

    def _kept(self, node: Node) -> List[Item]:
        """Write a node of the target opset to the result."""
        from onnx import helper

        for index, item in enumerate(node.inputs):
            if item is not None:
                _checked_dtype(node, node.value(index))
        described = inference.outputs_of(node)
        wanted = [index for index in range(len(node.outputs)) if node.wants(index)]
        if all(0 in described[index][1] for index in wanted):
            # Nothing needs to be computed for tensors without elements.
            return [
                self.constant(np.zeros(described[index][1], described[index][0]))
                if index in wanted
                else Empty()
                for index in range(len(node.outputs))
            ]
        if len(self.nodes) >= MOST_NODES:
            raise ModelError(
                f"The model has more than {MOST_NODES} nodes after loops are unrolled.",
                "Reduce the number of time steps or iterations in the model.",
            )
        names = [self.fresh(node.op) if name else "" for name in node.outputs]
        inputs = [item.name if isinstance(item, Value) else "" for item in node.inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        while names and not names[-1]:
            names.pop()
        # The importer cannot read an attribute that is an empty list.
        attributes = {name: value for name, value in node.attributes.items() if value != []}
        written = helper.make_node(
            node.op, inputs, names, name=self._name(node), domain=node.domain, **attributes
        )
        results: List[Item] = []
        for index in range(len(node.outputs)):
            if not node.wants(index):
                results.append(Empty())
                continue
            dtype, shape = described[index]
            value = Value(names[index], dtype, shape)
            _checked_dtype(node, value)
            self._producers[value.name] = (node, index)
            results.append(value)
        self.nodes.append(written)
        return results

    def _name(self, node: Node) -> str:
        """Return the name of a written node: the model's own, or one with a number."""
        stem = name = node.name or node.op
        while name in self._node_names:  # the model may have the name with a number, too
            self._node_names[stem] += 1
            name = f"{stem}/{self._node_names[stem]}"
        self._node_names[name] = 1
        return name


def _present(attributes: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def _tensor(node: Node, item: Item) -> Value:
    """Return an output that must be a tensor."""
    if not isinstance(item, Value):
        raise node.refusal("an output is not a tensor")
    return item


def _checked_dtype(node: Node, value: Value) -> None:
    """Raise a ModelError if a microcontroller has no such element type."""
    if value.dtype not in SUPPORTED_DTYPES:
        raise node.refusal(
            f"element type {value.dtype} has no counterpart in C",
            "Convert the model to float32, or quantize it to int8.",
        )
