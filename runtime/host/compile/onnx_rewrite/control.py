# SPDX-License-Identifier: Apache-2.0
"""If, Loop and Scan whose course is known: the branch is inlined, iterations are written out.

SequenceMap, sequences and optionals exist only while the graph is rewritten.
"""

from __future__ import annotations

from typing import Dict, Final, List, Optional, Sequence

import numpy as np

from runtime.host.compile.onnx_rewrite.emitter import Emitter, Rule
from runtime.host.compile.onnx_rewrite.graphs import as_value, run_body
from runtime.host.compile.onnx_rewrite.parts import gathered, ints, reshaped, sliced
from runtime.host.compile.onnx_rewrite.values import Empty, Item, Node, TensorList, Value, axis_of

MOST_ITERATIONS: Final = 1024
"""Most iterations that are written out. Each one adds its own kernels to the firmware."""

_COMPUTED: Final = "its course is computed from the model's inputs"
_NEXT: Final = "Export the model with a constant condition or trip count."


def _if(emit: Emitter, node: Node) -> Sequence[Item]:
    condition = node.value(0)
    if condition.data is None:
        raise node.refusal(_COMPUTED, _NEXT)
    branch = node.attributes["then_branch" if condition.data.item() else "else_branch"]
    return run_body(emit, branch, [], node.scope, node.body_opset)


def _loop(emit: Emitter, node: Node) -> Sequence[Item]:
    body = node.attributes["body"]
    carried: List[Item] = [Empty() if item is None else item for item in node.inputs[2:]]
    trips = int(node.constant(0, "trip count").item()) if node.has(0) else MOST_ITERATIONS + 1
    runs: Optional[Value] = node.optional(1) if node.has(1) else emit.constant(True)
    rows: List[List[Value]] = []
    step = 0
    while step < trips:
        if runs is None or runs.data is None:
            raise node.refusal(_COMPUTED, _NEXT)
        if not runs.data.item():
            break
        if step >= MOST_ITERATIONS:
            raise node.refusal(f"it has more than {MOST_ITERATIONS} iterations", _NEXT)
        outputs = run_body(
            emit, body, [emit.constant(np.int64(step)), runs, *carried], node.scope, node.body_opset
        )
        runs, carried = as_value(node, outputs[0]), outputs[1 : 1 + len(carried)]
        rows.append([as_value(node, item) for item in outputs[1 + len(carried) :]])
        step += 1
    scanned = len(body.output) - 1 - len(carried)
    if scanned and not rows:
        raise node.refusal("it has no iterations, and scan outputs of unknown shape")
    stacks = [_stacked(emit, [row[index] for row in rows], 0) for index in range(scanned)]
    return [*carried, *stacks]


def _scan(emit: Emitter, node: Node) -> Sequence[Item]:
    body, count = node.attributes["body"], int(node.attributes["num_scan_inputs"])
    if node.opset < 9 or node.body_opset < 9:
        raise node.refusal("its form of opset 8 has a batch", "Export the model with opset 9 or newer.")
    states: List[Item] = [node.value(index) for index in range(len(node.inputs) - count)]
    scans = [node.value(index) for index in range(len(states), len(node.inputs))]
    produced = len(body.output) - len(states)
    in_axes = node.attributes.get("scan_input_axes", [0] * count)
    out_axes = node.attributes.get("scan_output_axes", [0] * produced)
    in_backwards = node.attributes.get("scan_input_directions", [0] * count)
    out_backwards = node.attributes.get("scan_output_directions", [0] * produced)
    axes = [axis_of(node, axis, scan.rank) for axis, scan in zip(in_axes, scans)]
    steps = scans[0].shape[axes[0]]
    if steps > MOST_ITERATIONS or steps == 0:
        raise node.refusal(f"it has {steps} iterations instead of 1 to {MOST_ITERATIONS}", _NEXT)
    rows: List[List[Value]] = []
    for step in range(steps):
        picked = [
            _row(emit, scan, axis, steps - 1 - step if backwards else step)
            for scan, axis, backwards in zip(scans, axes, in_backwards)
        ]
        outputs = run_body(emit, body, [*states, *picked], node.scope, node.body_opset)
        states = outputs[: len(states)]
        rows.append([as_value(node, item) for item in outputs[len(states) :]])
    results: List[Item] = list(states)
    for index in range(produced):
        column = [row[index] for row in rows]
        if out_backwards[index]:
            column.reverse()
        results.append(_stacked(emit, column, axis_of(node, out_axes[index], column[0].rank + 1)))
    return results


def _row(emit: Emitter, value: Value, axis: int, step: int) -> Value:
    """Return one row of an axis, without the axis."""
    row = sliced(emit, value, axis, step, step + 1)
    return reshaped(emit, row, value.shape[:axis] + value.shape[axis + 1 :])


def _stacked(emit: Emitter, rows: Sequence[Value], axis: int) -> Value:
    """Return rows along a new axis."""
    wide = [reshaped(emit, row, (*row.shape[:axis], 1, *row.shape[axis:])) for row in rows]
    return wide[0] if len(wide) == 1 else emit.op("Concat", *wide, axis=axis)


def _sequence_map(emit: Emitter, node: Node) -> Sequence[Item]:
    first = _list(node, 0)
    columns: List[List[Value]] = []
    for index in range(len(first.items)):
        inputs: List[Item] = []
        for position, item in enumerate(node.inputs):
            if isinstance(item, TensorList):
                inputs.append(item.items[index])
            else:
                inputs.append(node.value(position))
        outputs = run_body(emit, node.attributes["body"], inputs, node.scope, node.body_opset)
        columns.append([as_value(node, item) for item in outputs])
    return [TensorList(tuple(row[index] for row in columns)) for index in range(len(node.outputs))]


def _list(node: Node, index: int) -> TensorList:
    """Return an input that is a sequence."""
    item = node.inputs[index]
    if not isinstance(item, TensorList):
        raise node.refusal(f"input {index} is not a sequence of known length")
    return item


def _position(node: Node, index: int, length: int) -> int:
    """Return a constant position as a number that is not negative."""
    position = int(node.constant(index, "position").item())
    position = position + length if position < 0 else position
    if not 0 <= position <= length:
        raise node.refusal(f"position {position} is outside of the sequence", "Check the model.")
    return position


def _construct(emit: Emitter, node: Node) -> Sequence[Item]:
    return [TensorList(tuple(node.values()))]


def _empty(emit: Emitter, node: Node) -> Sequence[Item]:
    return [TensorList(())]


def _at(emit: Emitter, node: Node) -> Sequence[Item]:
    items = _list(node, 0).items
    position = _position(node, 1, len(items))
    if position == len(items):
        raise node.refusal("its position is outside of the sequence", "Check the model.")
    return [items[position]]


def _erase(emit: Emitter, node: Node) -> Sequence[Item]:
    items = _list(node, 0).items
    position = _position(node, 1, len(items)) if node.has(1) else len(items) - 1
    return [TensorList(items[:position] + items[position + 1 :])]


def _insert(emit: Emitter, node: Node) -> Sequence[Item]:
    items = _list(node, 0).items
    position = _position(node, 2, len(items)) if node.has(2) else len(items)
    return [TensorList((*items[:position], node.value(1), *items[position:]))]


def _length(emit: Emitter, node: Node) -> Sequence[Item]:
    return [emit.constant(np.int64(len(_list(node, 0).items)))]


def _from_sequence(emit: Emitter, node: Node) -> Sequence[Item]:
    items = _list(node, 0).items
    axis = int(node.attributes["axis"])
    if node.attributes.get("new_axis", 0):
        return [_stacked(emit, items, axis_of(node, axis, items[0].rank + 1))]
    return [items[0] if len(items) == 1 else emit.op("Concat", *items, axis=axis)]


def _to_sequence(emit: Emitter, node: Node) -> Sequence[Item]:
    data = node.value(0)
    axis = axis_of(node, int(node.attributes.get("axis", 0)), data.rank)
    extent = data.shape[axis]
    if node.has(1):
        split = np.asarray(node.constant(1, "split"))
        size = int(split.item()) if split.ndim == 0 else 0
        parts = [int(part) for part in split.reshape(-1)]
        if split.ndim == 0:
            parts = [min(size, extent - start) for start in range(0, extent, size)]
    else:
        parts = [1] * extent
    items, start = [], 0
    for part in parts:
        items.append(sliced(emit, data, axis, start, start + part))
        start += part
    if not node.has(1) and not node.attributes.get("keepdims", 1):
        shape = data.shape[:axis] + data.shape[axis + 1 :]
        items = [reshaped(emit, item, shape) for item in items]
    return [TensorList(tuple(items))]


def _optional(emit: Emitter, node: Node) -> Sequence[Item]:
    item = node.inputs[0] if node.inputs else None
    return [Empty() if item is None else item]


def _has_element(emit: Emitter, node: Node) -> Sequence[Item]:
    item = node.inputs[0] if node.inputs else None
    return [emit.constant(item is not None and not isinstance(item, Empty))]


def _get_element(emit: Emitter, node: Node) -> Sequence[Item]:
    item = node.inputs[0]
    if item is None or isinstance(item, Empty):
        raise node.refusal("the optional is empty", "Check the model.")
    return [item]


def _reverse_sequence(emit: Emitter, node: Node) -> Sequence[Item]:
    """Reverse the first elements of each sequence of a batch, by constant lengths."""
    data, lengths = node.value(0), node.constant(1, "sequence_lens")
    batch_axis = int(node.attributes.get("batch_axis", 1))
    time_axis = int(node.attributes.get("time_axis", 0))
    steps, parts = data.shape[time_axis], []
    for index in range(data.shape[batch_axis]):
        length = int(lengths[index])
        order = [*reversed(range(length)), *range(length, steps)]
        parts.append(gathered(emit, sliced(emit, data, batch_axis, index, index + 1), order, time_axis))
    return [parts[0] if len(parts) == 1 else emit.op("Concat", *parts, axis=batch_axis)]


def _split(emit: Emitter, node: Node) -> Optional[Sequence[Item]]:
    """Write the sizes of all parts, which the attribute num_outputs leaves to the reader."""
    data = node.value(0)
    axis = axis_of(node, int(node.attributes.get("axis", 0)), data.rank)
    if node.has(1):
        given = [int(part) for part in node.constant(1, "split")]
        if 0 not in given and len(given) > 1:
            return None
        starts = np.cumsum([0, *given])
        return [sliced(emit, data, axis, int(start), int(start) + part) for start, part in zip(starts, given)]
    count = int(node.attributes.get("num_outputs", len(node.outputs)))
    size = -(-data.shape[axis] // count)
    sizes = [min(size, data.shape[axis] - size * index) for index in range(count)]
    if min(sizes) < 0:
        raise node.refusal("it has more parts than elements", "Check the model.")
    if count == 1:
        return [data]
    return list(emit.ops("Split", len(node.outputs), data, ints(emit, sizes), axis=axis))


RULES: Final[Dict[str, Rule]] = {
    "ConcatFromSequence": _from_sequence,
    "If": _if,
    "Loop": _loop,
    "Optional": _optional,
    "OptionalGetElement": _get_element,
    "OptionalHasElement": _has_element,
    "ReverseSequence": _reverse_sequence,
    "Scan": _scan,
    "SequenceAt": _at,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "SequenceMap": _sequence_map,
    "Split": _split,
    "SplitToSequence": _to_sequence,
}
