# SPDX-License-Identifier: Apache-2.0
"""The graph of a model archive (executor-config/graph/<module>.graph), which a graph executor runs.

The file is a JSON object with these members:

* nodes: op "null" is an input or a parameter, "tvm_op" a call of a kernel;
* arg_nodes: the null nodes;
* heads: the outputs;
* node_row_ptr: node -> its first entry; an entry is one output of a node;
* attrs: shape, data type and storage of each entry. Entries that share a storage are never alive at the same
  time.
"""

from __future__ import annotations

import json
from collections import Counter
from math import prod
from typing import Any, Dict, Final, List, Mapping, NamedTuple, Tuple

from runtime.host.dtype import DType, check_tensor
from runtime.host.errors import ArchiveError

MAX_NAME_CHARS: Final = 1000
MAX_DIGITS: Final = 20
NO_OPERATION = "__nop"
"""Kernel name of a node that only reshapes: its output shares the storage of its input."""


class Entry(NamedTuple):
    """A tensor of the graph.

    Attributes:
        shape: Extents.
        dtype: Data type.
        storage: Number of the piece of memory that holds the tensor.
    """

    shape: Tuple[int, ...]
    dtype: DType
    storage: int

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return self.dtype.nbytes(self.shape)


class Call(NamedTuple):
    """One call of a kernel.

    Attributes:
        function: Name of the kernel.
        arguments: Its tensors, inputs first, as (entry, shape). The shape is flat if flatten_data is set.
        outputs: Entries that it writes.
    """

    function: str
    arguments: Tuple[Tuple[int, Tuple[int, ...]], ...]
    outputs: Tuple[int, ...] = ()


class Graph(NamedTuple):
    """The graph that a graph executor runs.

    Attributes:
        entries: All tensors.
        arguments: Name of each input and parameter -> its entry, in the order of the graph.
        outputs: Entries of the outputs.
        calls: Kernel calls in execution order.
    """

    entries: List[Entry]
    arguments: Dict[str, int]
    outputs: List[int]
    calls: List[Call]

    def storage_bytes(self) -> Dict[int, Tuple[int, DType]]:
        """Return storage -> (bytes of its largest entry, data type of that entry)."""
        sizes: Dict[int, Tuple[int, DType]] = {}
        for entry in self.entries:
            if entry.storage not in sizes or entry.nbytes > sizes[entry.storage][0]:
                sizes[entry.storage] = entry.nbytes, entry.dtype
        return sizes


def parse_graph(text: str) -> Graph:
    """Return the graph in a JSON text.

    Raises:
        ArchiveError: The graph is damaged, or not supported on a single device.
    """
    try:
        return _parse(json.loads(text, parse_int=bounded_int))
    except (LookupError, AttributeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ArchiveError(
            f"The graph of the model archive cannot be read: {type(error).__name__}: {str(error)[:200]}.",
            "Export the model again.",
        ) from error


def bounded_int(text: str) -> int:
    """Return an integer of JSON that has at most MAX_DIGITS characters.

    Python takes quadratic time for thousands of digits. No number of a model archive has 20 digits.
    """
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _parse(graph: Mapping[str, Any]) -> Graph:
    nodes: List[Mapping[str, Any]] = graph["nodes"]
    first: List[int] = graph["node_row_ptr"]
    attrs = {name: value[1] for name, value in graph["attrs"].items() if isinstance(value, list)}
    entries = [
        Entry(tuple(int(extent) for extent in shape), DType.parse(dtype), int(storage))
        for shape, dtype, storage in zip(attrs["shape"], attrs["dltype"], attrs["storage_id"])
    ]
    if any(extent < 0 for entry in entries for extent in entry.shape):
        raise ValueError("a shape is dynamic: it has a negative extent")
    for entry in entries:
        check_tensor(str(entry.dtype), entry.shape)

    def entry_of(reference: List[int]) -> int:
        node, output = reference[0], reference[1]
        entry = first[node] + output
        if not 0 <= entry < len(entries):
            raise IndexError(f"no entry {entry}")
        return entry

    calls = []
    for number, node in enumerate(nodes):
        if node["op"] == "null":
            continue
        if node["op"] != "tvm_op":
            raise ValueError(f"unknown node {node['op']!r}")
        count = int(node["attrs"]["num_outputs"])
        if not 0 <= count <= len(entries):
            raise ValueError(f"node {number} has {count} outputs")
        outputs = [entry_of([number, output]) for output in range(count)]
        inputs = [entry_of(reference) for reference in node["inputs"]]
        function = node["attrs"]["func_name"]
        if not isinstance(function, str) or not function.isprintable() or len(function) > MAX_NAME_CHARS:
            raise ValueError(f"node {number} has an invalid kernel name")
        if function == NO_OPERATION:
            if [entries[entry].storage for entry in outputs] != [
                entries[entry].storage for entry in inputs[:1]
            ]:
                raise ValueError(f"node {node['name']} reshapes into another storage")
            continue
        flat = node["attrs"].get("flatten_data") == "1"
        calls.append(
            Call(
                function,
                tuple(
                    (entry, (prod(entries[entry].shape),) if flat else entries[entry].shape)
                    for entry in inputs + outputs
                ),
                tuple(outputs),
            )
        )
    names = [nodes[number]["name"] for number in graph["arg_nodes"]]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("an input has no name")
    doubled = next((name for name, times in Counter(names).items() if times > 1), None)
    if doubled is not None:
        raise ArchiveError(
            f"The graph of the model archive has two tensors named {doubled!r}.",
            "Rename that input (TVM names constants p0, p1, ...) and export the model again.",
        )
    return Graph(
        entries,
        {name: entry_of([number, 0]) for name, number in zip(names, graph["arg_nodes"])},
        [entry_of(reference) for reference in graph["heads"]],
        calls,
    )
