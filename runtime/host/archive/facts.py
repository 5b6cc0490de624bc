# SPDX-License-Identifier: Apache-2.0
"""Readers of the texts of a model archive that describe a model's inputs and outputs.

metadata.json has names, types and sizes, but it is sorted by name and knows no shape. Order and shapes are in

* the C metadata source (AOT, C code generator): order, types, shapes; names as C identifiers;
* the main function's checks in an object file (AOT, LLVM code generator): the same;
* the C interface header: order and C identifiers;
* the Relay text: the order of all parameters and the true names of outputs (see relay_text.py);
* the graph (graph executor): order, types, shapes, true names of inputs.

Each reader takes one of these texts and returns the facts in it, or None when the text is not as expected:
all of them are informal, and none is trusted. Texts of an archive may be hostile, so every pattern below
runs in time linear in the text. Sources of the formats: TVM's Relay printer (relay_text_printer.cc), its
name mangling (name_transforms.cc: one underscore for each byte that is no letter, digit or underscore) and
archives of TVM 0.16.
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
    """What one text says about one tensor.

    name: as the text spells it. strides: in elements, of a compact tensor, None for a dimension of extent 1;
    with a size they give the shape.
    """

    name: str
    dtype: Optional[str] = None
    shape: Optional[Shape] = None
    strides: Optional[Strides] = None


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
    """Return a tensor's or module's name as TVM writes it in C.

    An underscore for each byte of its UTF-8 that is not an ASCII letter, a digit or an underscore.
    """
    ascii_name = name.encode("utf-8", "surrogatepass").decode("latin-1")
    return re.sub(r"[^A-Za-z0-9_]", "_", ascii_name)


def facts_of_graph(graph: Graph, params: Container[str]) -> Facts:
    """Return what the graph of a graph executor says. params: names of arguments that are not inputs."""

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
    """Read the C source of a struct TVMMetadata; its beginning, before the constant pools, is enough."""
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
    """Read a generated tvmgen_<module>.h; None when it declares no run function."""
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
    """What a main function of the LLVM code generator says about its arguments.

    names: as C identifiers, in order. checks: name -> what is checked of the arguments of that name. An
    output has its true name there, an input its identifier; where two arguments share one and differ, type
    or strides are None.
    """

    names: List[str]
    checks: Mapping[str, TensorFacts]

    def argument(self, index: int, true_name: str = "") -> TensorFacts:
        """Return the facts about one argument. true_name: of the trained model, where it is known."""
        name = self.names[index]
        checks = self.checks.get(true_name) or self.checks.get(name) or TensorFacts(name)
        return checks._replace(name=name)


def is_workspace(name: str) -> bool:
    """Return whether an argument of a main function is memory for intermediate tensors."""
    return re.fullmatch(r"global_workspace_\d+_var", name) is not None


def is_constants(name: str) -> bool:
    """Return whether an argument of a main function is memory that holds the model's constants."""
    return re.fullmatch(r"global_const_workspace_\d+_var", name) is not None


def facts_of_main(entry: str, objects: Iterable[bytes]) -> Optional[MainFacts]:
    """Read the arguments of an AOT main function from its object files.

    The LLVM code generator leaves no description of the model in the code, but the function checks its
    arguments, and the texts of its checks are in the object, each once:

        x_code == 3 or ..., <entry>: Expect arg[0] to be pointer
        ..., <entry>.x.dtype is expected to be float32
        2 == ..., <entry>.x.ndim is expected to equal 2
        1 == ..._x_strides[1]) and 3 == ..._x_strides[0]), <entry>.x.strides: expected to be compact array

    A dimension of extent 1 has no check of its stride. entry: the function's name. Returns None when the
    checks were compiled out (tir.disable_assert).
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
    """Each text between NUL bytes that has a part in it."""
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
    """The one value, or None where there are several or none."""
    found = list(values)
    return found[0] if len(found) == 1 else None


def _strides(ndim: Optional[int], checks: Iterable[Tuple[Tuple[int, int], ...]]) -> Optional[Strides]:
    steps = _only(checks)
    if ndim is None or steps is None:
        return None
    by_axis = dict(steps)
    return tuple(by_axis.get(axis) for axis in range(ndim))


def shape_of_strides(strides: Strides, count: int) -> Optional[Shape]:
    """Return the shape of a compact tensor of `count` elements; None where the strides do not tell it."""
    shape = []
    elements = count  # of the tensor that is left, from this axis on
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
