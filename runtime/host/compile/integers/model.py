# SPDX-License-Identifier: Apache-2.0
"""The pass over a model: each QuantizeLinear is replaced by the integers of its input."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

from runtime.host.compile.errors import ModelError
from runtime.host.compile.integers.elementwise import ELEMENTWISE, table_of
from runtime.host.compile.integers.moves import MOVES
from runtime.host.compile.integers.operators import TIES_AWAY
from runtime.host.compile.integers.pools import POOLS
from runtime.host.compile.integers.products import PRODUCTS
from runtime.host.compile.integers.resize import integer_resize
from runtime.host.compile.integers.softmax import integer_softmax
from runtime.host.compile.integers.tensors import Target, Tensors, target_of
from runtime.host.compile.onnx_rewrite import control, functions, quantized, simple
from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.model import rewritten
from runtime.host.compile.onnx_rewrite.upgrade import upgraded
from runtime.host.compile.onnx_rewrite.values import Item, Node, Value

Kernel = Callable[[Tensors, Node, Target], Optional[Value]]

KERNELS: Final[Dict[str, Kernel]] = {
    **ELEMENTWISE,
    **POOLS,
    **PRODUCTS,
    "Resize": integer_resize,
    "Softmax": integer_softmax,
}
"""Operator -> function that returns its output as integers for a target, or None."""

ORDERED: Final = ("ArgMax", "ArgMin")
"""Operators whose results for integers are those for their numbers."""

SIGNS: Final = ("QuantizeLinear", "QLinearConv", "QLinearMatMul")
"""Operators without which a model has nothing to compute in integers."""


class Integers(NamedTuple):
    """A model with operators of our domain.

    Attributes:
        model: The onnx.ModelProto.
        in_float: Operators whose inputs and output are quantized, but which compute floating-point numbers.
    """

    model: Any
    in_float: List[str]


def with_integers(model: Any) -> Integers:
    """Return a model whose quantized operators compute with integers.

    Args:
        model: onnx.ModelProto that passes onnx.checker, with static shapes. It is not changed.
    """
    if not any(node.op_type in SIGNS for node in (*model.graph.node, *_nodes_of_functions(model))):
        return Integers(model, [])
    rules = _Rules(any(entry.key == TIES_AWAY for entry in model.metadata_props))
    try:
        return Integers(rewritten(model, rules.emit), rules.in_float)
    except ModelError:
        # The operator has a rule of onnx_rewrite, or is refused there.
        return Integers(model, [node.op_type for node in model.graph.node if node.op_type in KERNELS])


def _nodes_of_functions(model: Any) -> List[Any]:
    return [node for function in model.functions for node in function.node]


class _Rules:
    """Rules of the operators that begin or end a group of quantized operators."""

    def __init__(self, ties_away: bool) -> None:
        from onnx import defs

        rules: Dict[str, Rule] = {
            **control.RULES,
            **functions.RULES,
            **simple.RULES,
            **quantized.RULES,
            "QuantizeLinear": self._quantize,
            **dict.fromkeys(PRODUCTS, self._multiply),
            **dict.fromkeys(ORDERED, self._order),
        }
        names = frozenset(schema.name for schema in defs.get_all_schemas() if not schema.domain)
        self.emit = Emitter(rules, {}, names, upgraded)
        self.in_float: List[str] = []
        self._tensors = Tensors(self.emit, MOVES, ties_away)

    def _quantize(self, emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
        target = target_of(node)
        if target is None:
            return quantized.RULES["QuantizeLinear"](emit, node)
        value = node.value(0)
        made = table_of(self._tensors, value, target)
        if made is None:
            core, limited = self._without_activation(value, target)
            source = emit.producer(core)
            if source is not None and source.op in KERNELS:
                made = KERNELS[source.op](self._tensors, source, limited)
            if made is None and source is not None and self._is_group(source):
                self.in_float.append(source.op)
        return None if made is None else [made]

    def _without_activation(self, value: Value, target: Target) -> Tuple[Value, Target]:
        """Return the input of Relu and Clip, and the target with their limits."""
        while True:
            node = self.emit.producer(value)
            if node is None or node.op not in ("Relu", "Clip"):
                return value, target
            lowest, highest = 0.0, float("inf")
            if node.op == "Clip":
                bounds = [node.optional(1), node.optional(2)]
                if any(bound is not None and bound.data is None for bound in bounds):
                    return value, target
                lowest, highest = (
                    default if bound is None or bound.data is None else float(bound.data.item())
                    for bound, default in zip(bounds, (-float("inf"), highest))
                )
            target = target.within(lowest, highest)
            value = node.value(0)

    def _is_group(self, node: Node) -> bool:
        """Return whether all inputs of a node are quantized or constant, and one is quantized."""
        values = [item for item in node.inputs if isinstance(item, Value)]
        found = [self._tensors.of(value) is not None for value in values]
        return any(found) and all(each or value.data is not None for each, value in zip(found, values))

    def _multiply(self, emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
        """Return floating-point sums of integers, which are used where no QuantizeLinear follows."""
        made = PRODUCTS[node.op](self._tensors, node, None)
        return None if made is None else [made]

    def _order(self, emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
        found = self._tensors.of(node.value(0))
        if found is None or not found.is_bytes:
            return None
        return [emit.op(node.op, found.value, **node.attributes)]
