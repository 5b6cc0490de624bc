# SPDX-License-Identifier: Apache-2.0
"""Readers of the texts of a model archive that describe the model's inputs and outputs.

metadata.json has names, types and sizes, but it is sorted by name and has no shapes. Order and shapes are in:

* the C metadata source (AOT, C code generator): order, types, shapes; names as C identifiers;
* the checks of the main function in an object file (AOT, LLVM code generator): order, types, shapes; names
  as C identifiers;
* the C interface header: order and C identifiers;
* the Relay text: the order of all parameters and the true names of outputs (read by relay_text.py);
* the graph (graph executor): order, types, shapes, true names of inputs.

Each reader takes one of these texts and returns the facts in it, or None if the text has an unexpected form.
All these formats are informal, so no text is trusted alone. An archive may be hostile: every pattern below
runs in time linear in the length of the text.

Sources of the formats: TVM's Relay printer (relay_text_printer.cc), its name mangling (name_transforms.cc:
one underscore for each byte that is not a letter, a digit or an underscore) and archives of TVM 0.16.
"""

from __future__ import annotations

import re
from typing import (
    Container,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    TypeVar,
)

from runtime.host.archive.graph import Graph
from runtime.host.dtype import DType

_T = TypeVar("_T")

Shape = Tuple[int, ...]
Strides = Tuple[Optional[int], ...]


class TensorFacts(NamedTuple):
    """Facts about one tensor from one text.

    Attributes:
        name: Name as spelled in the text.
        dtype: Data type; None if unknown.
        shape: Shape; None if unknown.
        strides: Strides of a compact tensor in elements; None for a dimension of extent 1. The shape follows
            from the strides and the size of the tensor.
    """

    name: str
    dtype: Optional[str] = None
    shape: Optional[Shape] = None
    strides: Optional[Strides] = None


class Facts(NamedTuple):
    """Facts about the inputs and outputs of a model from one text, in the order of the generated code."""

    inputs: List[TensorFacts]
    outputs: List[TensorFacts]


class CInterface(NamedTuple):
    """The C interface of a model, as needed to call its run function.

    Attributes:
        header: Name of the header to include.
        prefix: Common prefix of the run function and of the structs.
        run: Name of the run function.
        arguments: Names of its parameters in order. Each is a pointer to a struct `<prefix>_<argument>`.
        members: Argument name -> members of its struct in order; all are `void *`.
    """

    header: str
    prefix: str
    run: str
    arguments: Tuple[str, ...]
    members: Mapping[str, Tuple[str, ...]]

    @property
    def inputs(self) -> Tuple[str, ...]:
        """Members of the struct of inputs, in order."""
        return self.members.get("inputs", ())

    @property
    def outputs(self) -> Tuple[str, ...]:
        """Members of the struct of outputs, in order."""
        return self.members.get("outputs", ())

    @property
    def facts(self) -> Facts:
        """The order of inputs and outputs; a header has no types and shapes."""
        return Facts(
            [TensorFacts(name) for name in self.inputs], [TensorFacts(name) for name in self.outputs]
        )


def c_identifier(name: str) -> str:
    """Return the name of a tensor or module as TVM writes it in C.

    An underscore replaces each byte of its UTF-8 that is not an ASCII letter, a digit or an underscore.
    """
    ascii_name = name.encode("utf-8", "surrogatepass").decode("latin-1")
    return re.sub(r"[^A-Za-z0-9_]", "_", ascii_name)


def facts_of_graph(graph: Graph, params: Container[str]) -> Facts:
    """Return the facts from the graph of a graph executor.

    Args:
        graph: Graph of the model.
        params: Names of the graph's arguments that are parameters, not inputs.
    """

    def facts(name: str, index: int) -> TensorFacts:
        entry = graph.entries[index]
        return TensorFacts(name, str(entry.dtype), entry.shape)

    return Facts(
        [facts(name, index) for name, index in graph.arguments.items() if name not in params],
        [facts(f"output{number}", index) for number, index in enumerate(graph.outputs)],
    )


_C_SHAPE = re.compile(r"kTvmgenMetadata_(inputs|outputs)_([0-9]+)_shape\[[0-9]*\]\s*=\s*\{([^{}]*)\}")
_C_TENSOR = re.compile(
    r'"([^"\\]*)"\s*,\s*\w+\s*,\s*[0-9]+L*\s*,\s*\{\s*([0-9])\s*,\s*([0-9]{1,3})\s*,\s*1\s*\}'
)


def facts_of_c_metadata(text: str) -> Optional[Facts]:
    """Read the C source of a struct TVMMetadata.

    Args:
        text: The source, or its beginning up to the constant pools.
    """
    code = without_comments(text)
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


def read_c_interface(header: str, text: str) -> Optional[CInterface]:
    """Read a generated tvmgen_<module>.h; return None if it declares no run function."""
    code = without_comments(text)
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


class MainFacts(NamedTuple):
    """Facts about the arguments of a main function of the LLVM code generator.

    Attributes:
        names: C identifiers of the arguments, in order.
        checks: Name -> facts from the checks of that name. Outputs have their true names here, inputs their C
            identifiers. Type or strides are None if two arguments of one name differ in them.
    """

    names: List[str]
    checks: Mapping[str, TensorFacts]

    def argument(self, index: int, true_name: str = "") -> TensorFacts:
        """Return the facts about one argument.

        Args:
            index: Position of the argument.
            true_name: Name in the trained model; empty if unknown.
        """
        name = self.names[index]
        checks = self.checks.get(true_name) or self.checks.get(name) or TensorFacts(name)
        return checks._replace(name=name)


def is_workspace(name: str) -> bool:
    """Return whether an argument of a main function is memory for intermediate tensors."""
    return re.fullmatch(r"global_workspace_\d+_var", name) is not None


def is_constants(name: str) -> bool:
    """Return whether an argument of a main function is memory with the model's constants."""
    return re.fullmatch(r"global_const_workspace_\d+_var", name) is not None


def facts_of_main(entry: str, objects: Iterable[bytes]) -> Optional[MainFacts]:
    """Read the arguments of an AOT main function from its object files.

    The LLVM code generator writes no description of the model. But the main function checks its arguments,
    and the object contains the message of each check once:

        x_code == 3 or ..., <entry>: Expect arg[0] to be pointer
        ..., <entry>.x.dtype is expected to be float32
        2 == ..., <entry>.x.ndim is expected to equal 2
        1 == ..._x_strides[1]) and 3 == ..._x_strides[0]), <entry>.x.strides: expected to be compact array

    The stride of a dimension of extent 1 is not checked.

    Args:
        entry: Name of the main function.
        objects: Contents of the object files.

    Returns:
        The facts, or None if the object has no checks (tir.disable_assert).
    """
    names: Dict[int, str] = {}
    dtypes: Dict[str, Set[str]] = {}
    ndims: Dict[str, Set[int]] = {}
    strides: Dict[str, Set[Tuple[Tuple[int, int], ...]]] = {}
    for text in (text for data in objects for text in _texts_with(entry.encode(), data)):
        condition, found, conclusion = text.rpartition(b", " + entry.encode())
        if not found:
            continue
        position = _POSITION.fullmatch(conclusion)
        check = _CHECK.fullmatch(conclusion)
        if position:
            before = condition.partition(b"_code == 3")[0][-_LONGEST_NAME:]
            names[int(position[1])] = re.split(rb"\W", before)[-1].decode()
        elif check:
            key = check["name"].decode("utf-8", "replace")
            if check["dtype"]:
                dtypes.setdefault(key, set()).add(check["dtype"].decode())
            elif check["ndim"]:
                ndims.setdefault(key, set()).add(int(check["ndim"]))
            else:
                steps = ((int(axis), int(step)) for step, axis in _STRIDE.findall(condition))
                strides.setdefault(key, set()).add(tuple(steps))
    if not names or sorted(names) != list(range(len(names))):
        return None
    checks = {
        key: TensorFacts(
            key, _only(dtypes.get(key, ())), None, _strides(_only(ndims[key]), strides.get(key, {()}))
        )
        for key in ndims
    }
    return MainFacts([names[index] for index in range(len(names))], checks)


def _texts_with(part: bytes, data: bytes) -> Iterator[bytes]:
    """Yield each NUL-terminated string in data that contains a part."""
    at = data.find(part)
    while at >= 0:
        end = data.find(b"\0", at)
        end = len(data) if end < 0 else end
        yield data[data.rfind(b"\0", 0, at) + 1 : end]
        at = data.find(part, end)


_LONGEST_NAME = 1000
_POSITION = re.compile(rb": Expect arg\[(\d{1,4})\] to be pointer")
_CHECK = re.compile(
    rb"\.(?P<name>.+)\.(?:dtype is expected to be (?P<dtype>[a-z]+\d*)"
    rb"|ndim is expected to equal (?P<ndim>\d{1,3})|strides: expected to be compact array)",
    re.DOTALL,
)
_STRIDE = re.compile(rb"\b(\d{1,18}) == [^\[\]]{0,1200}_strides\[(\d{1,3})\]")


def _only(values: Iterable[_T]) -> Optional[_T]:
    """Return the only value; None for several values or none."""
    found = list(values)
    return found[0] if len(found) == 1 else None


def _strides(ndim: Optional[int], checks: Iterable[Tuple[Tuple[int, int], ...]]) -> Optional[Strides]:
    steps = _only(checks)
    if ndim is None or steps is None:
        return None
    by_axis = dict(steps)
    return tuple(by_axis.get(axis) for axis in range(ndim))


def shape_of_strides(strides: Strides, count: int) -> Optional[Shape]:
    """Return the shape of a compact tensor of `count` elements; None if the strides do not fit."""
    shape = []
    elements = count  # of the sub-tensor from this axis on
    for step in strides:
        if step is None:
            shape.append(1)
            continue
        if not step or elements % step:
            return None
        shape.append(elements // step)
        elements = step
    return tuple(shape) if elements == 1 else None


def without_comments(text: str) -> str:
    """Return C text without /* */ comments; // comments do not affect the patterns above."""
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
