# SPDX-License-Identifier: Apache-2.0
"""What a model archive says about its model's tensors, gathered from the four places that know a part of it.

metadata.json has names, types and sizes, but it is sorted by name and knows no shape. The true order and the
shapes are in the graph (graph executor), in the C metadata source (AOT, C code generator), in the C interface
header (order only), and in the Relay text. Each reader here takes one of these texts and returns what it
found, or nothing when the text is not as expected: all of them are informal, and none is trusted.

Texts of an archive may be hostile, so every pattern below runs in time linear in the text.
"""

from __future__ import annotations

import re
from math import prod
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from runtime.host.tensor import DType

Shape = Tuple[int, ...]


class TensorSpec(NamedTuple):
    """One input or output of a model.

    name: as in the trained model, for example "serving_default_x:0".
    dtype: as NumPy spells it, for example "float32". shape: None when the archive does not tell.
    size_bytes: of the whole tensor.
    c_name: as the generated C spells it: a member of the C interface's struct, or the name that the device
    reports (an only output is "output" in metadata.json and "output0" in C metadata).
    """

    name: str
    dtype: str
    shape: Optional[Shape]
    size_bytes: int
    c_name: str


class TensorFacts(NamedTuple):
    """What one text says about one tensor."""

    name: str
    dtype: Optional[str] = None
    shape: Optional[Shape] = None


class Facts(NamedTuple):
    """What one text says about the inputs and outputs of a model, in the order of the generated code."""

    inputs: List[TensorFacts]
    outputs: List[TensorFacts]


class CInterface(NamedTuple):
    """The C interface of a model: what a caller of its run function must know.

    header: name to include. run: name of the function. arguments: names of its parameters in order; each is a
    pointer to a struct `<prefix>_<argument>` whose members, all `void *`, are in `members`.
    """

    header: str
    prefix: str
    run: str
    arguments: Tuple[str, ...]
    members: Mapping[str, Tuple[str, ...]]

    @property
    def inputs(self) -> Tuple[str, ...]:
        return self.members.get("inputs", ())

    @property
    def outputs(self) -> Tuple[str, ...]:
        return self.members.get("outputs", ())

    @property
    def facts(self) -> Facts:
        """The order of the inputs and of the outputs, which is all that a header tells."""
        return Facts(
            [TensorFacts(name) for name in self.inputs], [TensorFacts(name) for name in self.outputs]
        )


def c_identifier(name: str) -> str:
    """A tensor or module name as TVM writes it in C: underscores for all but letters and digits."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def size_in_bytes(dtype: Optional[str], shape: Optional[Shape]) -> Optional[int]:
    """Bytes of a tensor, rounded up to whole ones; None when the type or the shape is not known."""
    if dtype is None or shape is None or len(dtype) > 16:
        return None
    try:
        _, bits, lanes = DType.parse(dtype)
    except ValueError:
        return None
    return ((8 if dtype == "bool" else bits * lanes) * prod(shape) + 7) // 8


def facts_of_graph(graph: Any, params: Set[str]) -> Optional[Facts]:
    """Read a graph executor's graph, already parsed. params: names of arguments that are not inputs.

    Entry e of the attributes "shape" and "dltype" belongs to output o of node n with e = node_row_ptr[n] + o.
    """
    try:
        names = [node["name"] for node in graph["nodes"]]
        shapes, dtypes = graph["attrs"]["shape"][1], graph["attrs"]["dltype"][1]
        first = graph["node_row_ptr"]

        def entry(node: int, output: int, name: str) -> TensorFacts:
            index = first[node] + output
            return TensorFacts(name, str(dtypes[index]), tuple(int(extent) for extent in shapes[index]))

        inputs = [
            entry(node, 0, str(names[node])) for node in graph["arg_nodes"] if names[node] not in params
        ]
        outputs = [entry(head[0], head[1], f"output{index}") for index, head in enumerate(graph["heads"])]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return Facts(inputs, outputs)


_C_SHAPE = re.compile(r"kTvmgenMetadata_(inputs|outputs)_([0-9]+)_shape\[[0-9]*\]\s*=\s*\{([^{}]*)\}")
_C_TENSOR = re.compile(
    r'"([^"\\]*)"\s*,\s*\w+\s*,\s*[0-9]+L*\s*,\s*\{\s*([0-9])\s*,\s*([0-9]{1,3})\s*,\s*1\s*\}'
)


def facts_of_c_metadata(text: str) -> Optional[Facts]:
    """Read the C source of a struct TVMMetadata; its beginning, before the constant pools, is enough."""
    code = _without_comments(text)
    shapes = {
        (kind, int(index[:9])): tuple(int(extent) for extent in re.findall(r"[0-9]{1,18}", extents))
        for kind, index, extents in _C_SHAPE.findall(code)
    }
    found = []
    for kind in ("inputs", "outputs"):
        start = code.find(f"TVMTensorInfo kTvmgenMetadata_{kind}[")
        end = code.find("};", start)
        if start < 0 or end < 0:
            return None
        found.append(
            [
                TensorFacts(name, str(DType(int(type_code), int(bits))), shapes.get((kind, index)))
                for index, (name, type_code, bits) in enumerate(_C_TENSOR.findall(code[start:end]))
            ]
        )
    return Facts(*found)


_TENSOR_TYPE = r"Tensor\[\(([^()]*)\), ?([a-z]+[0-9]*)\]"
# A name runs up to ": " because it may hold colons itself; an annotation in braces may stand between.
_RELAY_PARAM = re.compile(r"%([^\s%]+?)(?: \{[^%]*?\})?: (?:" + _TENSOR_TYPE + r"|([a-z]+[0-9]*))")


def facts_of_relay(text: str) -> Optional[Facts]:
    """Read the signature of @main in a Relay text. Its parameters include the model's weights.

    Output names are there only when the model had them; output types only when the printer wrote them.
    """
    start = text.find("def @main(")
    end = text.find("{\n", start)
    if start < 0 or end < 0:
        return None
    arguments, _, result = text[start:end].partition(") -> ")
    inputs = [
        TensorFacts(name, dtype, _relay_shape(extents)) if dtype else TensorFacts(name, scalar, ())
        for name, extents, dtype, scalar in _RELAY_PARAM.findall(arguments)
    ]
    named = re.search(r"output_tensor_names=\[([^\[\]]*)\]", arguments)
    names = re.findall(r'"([^"]*)"', named[1]) if named else []
    types = re.findall(_TENSOR_TYPE, result)
    outputs = [TensorFacts(name) for name in names]
    if types and len(names) in (0, len(types)):
        names = names or [f"output{index}" for index in range(len(types))]
        outputs = [
            TensorFacts(name, dtype, _relay_shape(extents)) for name, (extents, dtype) in zip(names, types)
        ]
    return Facts(inputs, outputs)


def _relay_shape(extents: str) -> Optional[Shape]:
    parts = [part.strip() for part in extents.split(",") if part.strip()]
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):
        return None  # a "?": the extent is known only at run time
    return tuple(int(part) for part in parts)


def read_c_interface(header: str, text: str) -> Optional[CInterface]:
    """Read a generated tvmgen_<module>.h; None when it declares no run function."""
    code = _without_comments(text)
    run = re.search(r"int32_t\s+(\w+)_run\s*\(([^()]*)\)", code)
    if run is None:
        return None
    prefix = run[1]
    arguments = tuple(re.findall(r"\*\s*(\w+)", run[2]))
    structs = dict(re.findall(r"struct\s+(\w+)\s*\{([^{}]*)\}", code))
    return CInterface(
        header=header,
        prefix=prefix,
        run=f"{prefix}_run",
        arguments=arguments,
        members={
            argument: tuple(re.findall(r"\b(\w+)\s*;", structs.get(f"{prefix}_{argument}", "")))
            for argument in arguments
        },
    )


def _without_comments(text: str) -> str:
    """C text without its /* */ comments; those after // do not disturb the patterns above."""
    pieces = []
    at = 0
    while True:
        start = text.find("/*", at)
        end = text.find("*/", start + 2) if start >= 0 else -1
        if end < 0:
            pieces.append(text[at:])
            return " ".join(pieces)
        pieces.append(text[at:start])
        at = end + 2


class Declared(NamedTuple):
    """What metadata.json says about one tensor."""

    dtype: str
    size_bytes: int


def join_inputs(
    declared: Mapping[str, Declared], sources: Sequence[Sequence[TensorFacts]]
) -> List[TensorSpec]:
    """Inputs in the order of the first source that knows all of them, with the first shape that fits.

    declared: may be empty (version 5 and some of 6): then the first source that has any input decides.
    Raises LookupError with the name of an input whose type or size nobody knows.
    """
    order = _first_order(declared, sources) or list(declared)
    return [_specify(name, declared.get(name), _about(name, sources), c_identifier(name)) for name in order]


def _first_order(declared: Mapping[str, Declared], sources: Sequence[Sequence[TensorFacts]]) -> List[str]:
    """Names in the order of the first source that knows all that are declared, or any if none are."""
    if not declared:
        return [facts.name for facts in next((source for source in sources if source), [])]
    by_c_name = {c_identifier(name): name for name in declared}
    for source in sources:
        c_names = [c_identifier(facts.name) for facts in source]
        known = [by_c_name[c_name] for c_name in c_names if c_name in by_c_name]
        if sorted(known) == sorted(declared):
            return known
    return []


def _about(name: str, sources: Sequence[Sequence[TensorFacts]]) -> List[TensorFacts]:
    return [facts for source in sources for facts in source if c_identifier(facts.name) == c_identifier(name)]


def _specify(
    name: str, declared: Optional[Declared], known: Sequence[TensorFacts], c_name: str
) -> TensorSpec:
    """One tensor from what metadata.json declares and what other texts know about it."""
    dtype = declared.dtype if declared else next((facts.dtype for facts in known if facts.dtype), None)
    shapes = [facts.shape for facts in known if facts.shape is not None]
    if declared:
        shapes = [shape for shape in shapes if size_in_bytes(dtype, shape) == declared.size_bytes]
    shape = shapes[0] if shapes else None
    size = declared.size_bytes if declared else size_in_bytes(dtype, shape)
    if dtype is None or size is None:
        raise LookupError(name)
    return TensorSpec(name, dtype, shape, size, c_name)


def join_outputs(
    declared: Mapping[str, Declared],
    named: Sequence[Sequence[TensorFacts]],
    listing: Sequence[TensorFacts],
    c_names: Sequence[str],
) -> List[TensorSpec]:
    """Outputs in the order of the generated code.

    named: sources whose names are the model's own. listing: outputs whose order and types are true, but whose
    names are made up ("output0"). c_names: as the generated C spells them, or nothing.
    Raises LookupError as join_inputs does.
    """
    order = _output_order(declared, named, listing)
    sources = [source for source in (listing, *named) if len(source) == len(order)]
    spelled = c_names if len(c_names) == len(order) else [c_identifier(name) for name in order]
    return [
        _specify(name, declared.get(name), [source[index] for source in sources], spelled[index])
        for index, name in enumerate(order)
    ]


def _output_order(
    declared: Mapping[str, Declared], named: Sequence[Sequence[TensorFacts]], listing: Sequence[TensorFacts]
) -> List[str]:
    order = _first_order(declared, named)
    if order:
        return order
    if not declared:
        return [facts.name for facts in listing]
    if all(re.fullmatch(r"output[0-9]{0,9}", name) for name in declared):
        return sorted(declared, key=lambda name: int(name[len("output") :] or 0))
    return _match_by_type(declared, listing) if len(listing) == len(declared) else list(declared)


def _match_by_type(declared: Mapping[str, Declared], listing: Sequence[TensorFacts]) -> List[str]:
    """Put declared names, whose order is lost, to typed places; where two fit, the place keeps its name."""
    places: Dict[Tuple[str, int], List[str]] = {}
    for name, tensor in declared.items():
        places.setdefault((tensor.dtype, tensor.size_bytes), []).append(name)
    order = []
    for facts in listing:
        candidates = places.get((facts.dtype or "", size_in_bytes(facts.dtype, facts.shape) or 0), [])
        order.append(candidates[0] if len(candidates) == 1 else facts.name)
    return order if len(set(order)) == len(order) else list(declared)
