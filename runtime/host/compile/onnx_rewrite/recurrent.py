# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM as MatMul, Add, Mul and activations, one copy for each time step.

The projection of the input, X * W^T, is one MatMul for all steps. Weights, if constant, are transposed here.
Equations and the order of gates are those of the ONNX operators: GRU z, r, h; LSTM i, o, f, c.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from runtime.host.compile.onnx_rewrite.activations import Activation, activations_of
from runtime.host.compile.onnx_rewrite.emitter import Emitter
from runtime.host.compile.onnx_rewrite.parts import reshaped, sliced
from runtime.host.compile.onnx_rewrite.values import Empty, Item, Node, Value

_GATES: Final = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULTS: Final = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


class _Layer(NamedTuple):
    """One direction of a recurrent operator.

    Attributes:
        emit: Writer of the graph.
        node: The recurrent node.
        hidden: Elements of the state.
        functions: Activations.
        recurrence: R^T of shape (hidden, gates * hidden).
        recurrence_bias: Bias of the recurrence of shape (gates * hidden); None without one.
        peepholes: P of shape (3 * hidden); None without one.
    """

    emit: Emitter
    node: Node
    hidden: int
    functions: List[Activation]
    recurrence: Value
    recurrence_bias: Optional[Value]
    peepholes: Optional[Value]

    def bounded(self, value: Value) -> Value:
        """Return the input of an activation, limited by the attribute clip."""
        clip = self.node.attributes.get("clip")
        if not clip:
            return value
        return self.emit.op("Clip", value, self.emit.like(-clip, value), self.emit.like(clip, value))

    def gate(self, value: Value, index: int) -> Value:
        """Return the part of a gate: columns index * hidden to (index + 1) * hidden."""
        return sliced(self.emit, value, -1, index * self.hidden, (index + 1) * self.hidden)

    def product(self, state: Value) -> Value:
        """Return state * R^T of all gates."""
        return self.emit.op("MatMul", state, self.recurrence)


def recurrent(emit: Emitter, node: Node) -> Sequence[Item]:
    """Replace RNN, GRU or LSTM.

    Raises:
        ModelError: sequence_lens is not constant, or attributes contradict each other.
    """
    layout = int(node.attributes.get("layout", 0))
    direction = node.attributes.get("direction", "forward")
    data, weights, recurrence = node.value(0), node.value(1), node.value(2)
    directions = 2 if direction == "bidirectional" else 1
    hidden = recurrence.shape[-1]
    if node.attributes.get("hidden_size", hidden) != hidden or weights.shape[0] != directions:
        raise node.refusal("hidden_size or direction contradicts the weights", "Check the model.")
    if layout:
        data = emit.op("Transpose", data, perm=[1, 0, 2])
    steps, batch = data.shape[0], data.shape[1]
    lengths = _lengths(node, steps, batch)
    functions = activations_of(node, _DEFAULTS[node.op], directions)
    sequences: List[Value] = []
    hiddens: List[Value] = []
    cells: List[Value] = []
    for index in range(directions):
        backwards = direction == "reverse" or index == 1
        layer, projected = _layer(emit, node, index, data, functions[index])
        state = {
            "h": _initial(emit, node, 5, index, layout, (batch, hidden), data),
            "c": _initial(emit, node, 6, index, layout, (batch, hidden), data),
        }
        rows: List[Value] = [state["h"]] * steps
        for step in reversed(range(steps)) if backwards else range(steps):
            row = reshaped(emit, sliced(emit, projected, 0, step, step + 1), (batch, projected.shape[2]))
            rows[step] = _advance(layer, row, state, lengths, step)
        stack = [reshaped(emit, row, (1, 1, batch, hidden)) for row in rows]
        if node.wants(0):
            sequences.append(_joined(emit, stack, 0))
        hiddens.append(reshaped(emit, state["h"], (1, batch, hidden)))
        cells.append(reshaped(emit, state["c"], (1, batch, hidden)))
    results: List[Item] = [Empty()] * len(node.outputs)
    if node.wants(0):
        whole = _joined(emit, sequences, 1)
        results[0] = emit.op("Transpose", whole, perm=[2, 0, 1, 3]) if layout else whole
    for index, parts in ((1, hiddens), (2, cells)):
        if node.wants(index):
            state_of_all = _joined(emit, parts, 0)
            results[index] = emit.op("Transpose", state_of_all, perm=[1, 0, 2]) if layout else state_of_all
    return results


def _lengths(node: Node, steps: int, batch: int) -> Optional[Any]:
    """Return the lengths of the batch's sequences; None if all have the full length."""
    if not node.has(4):
        return None
    lengths = np.asarray(node.constant(4, "sequence_lens"))
    if lengths.shape != (batch,) or (lengths < 1).any() or (lengths > steps).any():
        raise node.refusal("sequence_lens does not fit its input", "Check the model.")
    return None if (lengths == steps).all() else lengths


def _layer(
    emit: Emitter, node: Node, index: int, data: Value, functions: List[Activation]
) -> Tuple[_Layer, Value]:
    """Return a direction, and the projection of the input of shape (steps, batch, gates * hidden).

    The projection has both biases, except where the reset gate multiplies the bias of the recurrence.
    """
    hidden = node.value(2).shape[-1]
    gates = _GATES[node.op] * hidden
    weights = emit.op("Transpose", _direction(emit, node.value(1), index), perm=[1, 0])
    recurrence = emit.op("Transpose", _direction(emit, node.value(2), index), perm=[1, 0])
    steps, batch, width = data.shape
    flat = emit.op("MatMul", reshaped(emit, data, (steps * batch, width)), weights)
    own_bias: Optional[Value] = None
    bias = node.optional(3)
    if bias is not None:
        both = _direction(emit, bias, index)
        first, second = sliced(emit, both, 0, 0, gates), sliced(emit, both, 0, gates, 2 * gates)
        if node.op == "GRU" and node.attributes.get("linear_before_reset", 0):
            flat, own_bias = emit.op("Add", flat, first), second
        else:
            flat = emit.op("Add", flat, emit.op("Add", first, second))
    peepholes = node.optional(7)
    layer = _Layer(
        emit,
        node,
        hidden,
        functions,
        recurrence,
        own_bias,
        None if peepholes is None else _direction(emit, peepholes, index),
    )
    return layer, reshaped(emit, flat, (steps, batch, gates))


def _direction(emit: Emitter, value: Value, index: int) -> Value:
    """Return the part of one direction without the first dimension."""
    return reshaped(emit, sliced(emit, value, 0, index, index + 1), value.shape[1:])


def _initial(
    emit: Emitter, node: Node, position: int, index: int, layout: int, shape: Tuple[int, int], data: Value
) -> Value:
    """Return the state before the first step of shape (batch, hidden)."""
    value = node.optional(position) if node.op == "LSTM" or position == 5 else None
    if value is None:
        return emit.constant(np.zeros(shape, data.dtype))
    return reshaped(emit, sliced(emit, value, 1 if layout else 0, index, index + 1), shape)


def _advance(layer: _Layer, row: Value, state: Dict[str, Value], lengths: Optional[Any], step: int) -> Value:
    """Advance the state by one step, and return the row of Y.

    After the end of a sequence its state does not change and its row of Y is 0.
    """
    emit = layer.emit
    hidden, cell = _STEPS_OF[layer.node.op](layer, row, state)
    if lengths is None or (lengths > step).all():
        state["h"], state["c"] = hidden, cell
        return hidden
    runs = emit.constant((lengths > step).reshape(-1, 1))
    if not (lengths > step).any():
        return emit.constant(np.zeros(hidden.shape, hidden.dtype))
    state["h"] = emit.op("Where", runs, hidden, state["h"])
    state["c"] = emit.op("Where", runs, cell, state["c"])
    return emit.op("Where", runs, hidden, emit.like(0, hidden))


def _rnn(layer: _Layer, row: Value, state: Dict[str, Value]) -> Tuple[Value, Value]:
    """Return f(Xt*W + Ht-1*R + b)."""
    emit = layer.emit
    (f,) = layer.functions
    return f(emit, layer.bounded(emit.op("Add", row, layer.product(state["h"])))), state["c"]


def _gru(layer: _Layer, row: Value, state: Dict[str, Value]) -> Tuple[Value, Value]:
    """Return (1 - z) * h + z * Ht-1 with the gates z, r and h."""
    emit, hidden = layer.emit, state["h"]
    f, g = layer.functions
    size = layer.hidden
    if layer.node.attributes.get("linear_before_reset", 0):
        product = layer.product(hidden)
        if layer.recurrence_bias is not None:
            product = emit.op("Add", product, layer.recurrence_bias)
        both = emit.op("Add", sliced(emit, row, -1, 0, 2 * size), sliced(emit, product, -1, 0, 2 * size))
        opened = f(emit, layer.bounded(both))
        update, reset = layer.gate(opened, 0), layer.gate(opened, 1)
        candidate = emit.op("Mul", reset, layer.gate(product, 2))
    else:
        two = emit.op("MatMul", hidden, sliced(emit, layer.recurrence, -1, 0, 2 * size))
        opened = f(emit, layer.bounded(emit.op("Add", sliced(emit, row, -1, 0, 2 * size), two)))
        update, reset = layer.gate(opened, 0), layer.gate(opened, 1)
        candidate = emit.op("MatMul", emit.op("Mul", reset, hidden), layer.gate(layer.recurrence, 2))
    new = g(emit, layer.bounded(emit.op("Add", layer.gate(row, 2), candidate)))
    kept = emit.op("Mul", update, hidden)
    taken = emit.op("Mul", emit.op("Sub", emit.like(1, update), update), new)
    return emit.op("Add", taken, kept), state["c"]


def _lstm(layer: _Layer, row: Value, state: Dict[str, Value]) -> Tuple[Value, Value]:
    """Return o * h(Ct) and Ct = f * Ct-1 + i * c with the gates i, o, f and c."""
    emit, cell = layer.emit, state["c"]
    f, g, h = layer.functions
    total = emit.op("Add", row, layer.product(state["h"]))
    opens = layer.gate(total, 0)
    closes = layer.gate(total, 2)
    if layer.peepholes is not None:
        opens = emit.op("Add", opens, emit.op("Mul", layer.gate(layer.peepholes, 0), cell))
        closes = emit.op("Add", closes, emit.op("Mul", layer.gate(layer.peepholes, 2), cell))
    inlet = f(emit, layer.bounded(opens))
    if layer.node.attributes.get("input_forget", 0):
        forget = emit.op("Sub", emit.like(1, inlet), inlet)
    else:
        forget = f(emit, layer.bounded(closes))
    new = g(emit, layer.bounded(layer.gate(total, 3)))
    cell = emit.op("Add", emit.op("Mul", forget, cell), emit.op("Mul", inlet, new))
    outlet = layer.gate(total, 1)
    if layer.peepholes is not None:
        outlet = emit.op("Add", outlet, emit.op("Mul", layer.gate(layer.peepholes, 1), cell))
    return emit.op("Mul", f(emit, layer.bounded(outlet)), h(emit, cell)), cell


def _joined(emit: Emitter, parts: Sequence[Value], axis: int) -> Value:
    """Return the concatenation of parts; the part itself if there is one."""
    return parts[0] if len(parts) == 1 else emit.op("Concat", *parts, axis=axis)


_STEPS_OF: Final = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}

RULES: Final = {"RNN": recurrent, "GRU": recurrent, "LSTM": recurrent}
