# SPDX-License-Identifier: Apache-2.0
"""Detection of tensors that the generated C of an AOT model reads but never writes.

TVM's AOT executor gives each tensor one piece of memory and omits some writes. If two outputs are one tensor,
or a reshape of each other, the code writes only the first. At optimization level 0 an operator may read a
copy of its inputs that no code creates. The firmware then outputs zeros and reports success. So this module
follows the calls of the main function in order, and tracks the reads and writes of each kernel.

The reader expects the fixed form of CodeGenCHost of TVM 0.9 to 0.18, and takes time linear in the length of
the code. Code of another form gets no verdict.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

_HEADS = ("\nTVM_DLL int32_t ", "\nint32_t ")
_FUNCTION = re.compile(r"\n(?:TVM_DLL )?int32_t (\w+)\(([^\n]*)\) \{\n")
_END = "\n}\n"
_HANDLE = re.compile(r"^  void\* ([^\n=;]+?) = \(\(\(TVMValue\*\)\w+\)\[(\d+)\]\.v_handle\);$", re.MULTILINE)
_DATA = re.compile(r"^  void\* ([^\n=;]+?) = \(\(\(DLTensor\*\)([^\n=;]+?)\)\[0\]\.data\);$", re.MULTILINE)
_HEAD = re.compile(r"^  (?:void\*|int32_t) [^\n=;]+ = |^  if \(!\([^\n]*_strides == NULL\)\) \{$")
_LONGEST_LINE = 1000  # characters; a longer index or declaration counts as a write
_WORD = re.compile(r"\w+")
_BRACKET = re.compile(r"[\[\]\n]")
_ADDRESS_OF = re.compile(r"&\((?:\(\(\w[\w ]*\*\))?$")

# The statements of main. A slot is one DLTensor of an array on the stack.
_STEP = re.compile(
    r"^ *(?:"
    r"void\* (?P<local>\w+) = (?P<made>(?:\(&\(|TVMBackendAllocWorkspace\()[^\n]*);"
    r"|\(\(\(DLTensor\*\)\w+\)\[(?P<slot>\d+)\]\.data\) = (?P<data>[^\n]+);"
    r"|\(\(\(TVMValue\*\)\w+\)\[(?P<argument>\d+)\]\.v_handle\) = (?P<handle>[^\n]+);"
    r"|if \((?P<packed>\w+)\( \(TVMValue\*\) [^\n]*"
    r"|if \((?P<called>\w+)\((?P<with>[^\n]*)\) != 0 \) return -1;"
    r")$",
    re.MULTILINE,
)
_SLOT = re.compile(r"\(\(\(DLTensor\*\)\w+\) \+ (\d+)\)")
_POOL = re.compile(r"\(&\((?:\(\(uint8_t\*\))?(\w+?)(?:_\d+)?\)?\[(\d+)\]\)\)")


class Use(NamedTuple):
    """Use of one argument's memory by a kernel.

    Attributes:
        may_write: The kernel may write the memory.
        only_read: The kernel certainly only reads the memory.
    """

    may_write: bool
    only_read: bool


class Function(NamedTuple):
    """Text of a function that generated C defines.

    Attributes:
        parameters: Text between the parentheses of its head.
        body: Text between its braces.
        data: Variables that hold the data of its tensors, in the order of its arguments.
    """

    parameters: str
    body: str
    data: List[str]

    @property
    def handles(self) -> List[str]:
        """Names of the tensors in a function with the packed interface, in order."""
        return [name for name, _ in _HANDLE.findall(self.body)]


class Fault(NamedTuple):
    """A tensor that the code of the model reads or returns, but never writes.

    Attributes:
        output: Position among the outputs; None for an intermediate tensor.
        reader: Kernel that reads the intermediate tensor.
    """

    output: Optional[int]
    reader: str = ""


def functions_of(sources: Iterable[str]) -> Dict[str, Function]:
    """Return the functions that the C sources of a model define, by name."""
    functions = {}
    for text in sources:
        starts = sorted(at for head in _HEADS for at in _places(text, head))
        for start, limit in zip(starts, [*starts[1:], len(text)]):
            head = _FUNCTION.match(text, start, limit)
            end = text.find(_END, head.end() - 1, limit + 1) if head else -1
            if head and end >= 0:
                body = text[head.end() : end + 1]
                functions[head[1]] = Function(head[2], body, _data_of(head[2], body))
    return functions


def _places(text: str, literal: str) -> Iterable[int]:
    at = text.find(literal)
    while at >= 0:
        yield at
        at = text.find(literal, at + 1)


def calls_of(functions: Mapping[str, Function], entry: str) -> List[str]:
    """Return the kernels that the main function of an AOT model calls, in order.

    Args:
        functions: Functions of the model, by name.
        entry: Name of the main function.
    """
    main = functions.get(entry)
    steps = [] if main is None else _STEP.finditer(main.body)
    called = [step["packed"] or step["called"] for step in steps]
    return [name for name in called if name in functions]


def find_fault(
    functions: Mapping[str, Function],
    entry: str,
    inputs: int,
    output_sizes: Sequence[int],
    joined: Sequence[Tuple[str, int]] = (),
) -> Tuple[bool, Optional[Fault]]:
    """Follow the calls of the main function through the functions of a model.

    Args:
        functions: Functions of the model, by name.
        entry: Name of the main function.
        inputs: Number of inputs.
        output_sizes: Size of each output in bytes.
        joined: (operator, index of an input) for each input that the model joins to others, for example in a
            concatenation.

    Returns:
        True if the code has the known form, and the first fault in it or None.
    """
    main = functions.get(entry)
    if main is None or len(main.data) < inputs + len(output_sizes):
        return False, None
    outputs = main.data[inputs : inputs + len(output_sizes)]
    written = {name for name in main.data if name not in outputs}
    places: Dict[str, str] = {}  # variable of main -> its memory
    slots: Dict[int, str] = {}
    arguments: Dict[int, str] = {}
    written |= _touched_otherwise(main.body)
    uses_of: Dict[str, List[Use]] = {}
    takes: Dict[str, Set[str]] = {}  # kernel -> all its arguments
    for step in _STEP.finditer(main.body):
        if step["local"]:
            pool = _POOL.fullmatch(step["made"])
            places[step["local"]] = f"{pool[1]}[{pool[2]}]" if pool else step["local"]
            continue
        if step["slot"]:
            slots[int(step["slot"])] = step["data"]
            continue
        if step["argument"]:
            slot = _SLOT.fullmatch(step["handle"])
            arguments[int(step["argument"])] = slots.get(int(slot[1]), "") if slot else ""
            continue
        name = step["packed"] or step["called"]
        given = _split(step["with"]) if step["called"] else [arguments[at] for at in sorted(arguments)]
        arguments = {}
        takes.setdefault(name, set()).update(given)
        if name not in uses_of:
            uses_of[name] = _uses(functions[name]) if name in functions else []
        uses = uses_of[name]
        for index, argument in enumerate(given):
            place = places.get(argument, argument)
            use = uses[index] if index < len(uses) else Use(True, False)
            is_known = argument in places or argument in outputs
            if use.only_read and is_known and place not in written:
                return True, Fault(None, name)
            if use.may_write or not is_known:
                written.add(place)
    for operator, place_of_input in joined:
        # At optimization level 0 TVM allocates separate memory for the operator's input, but omits the copy.
        part = operator.rpartition(".")[2]
        takers = [kernel for kernel in takes if part in kernel]
        if takers and not any(main.data[place_of_input] in takes[kernel] for kernel in takers):
            return True, Fault(None, takers[0])
    for index, (name, size) in enumerate(zip(outputs, output_sizes)):
        if size and name not in written:
            return True, Fault(index)
    return True, None


def _touched_otherwise(body: str) -> Set[str]:
    """Return every word of main outside of the statements that find_fault follows.

    Such a statement, for example a copy in a loop, may write every variable that it names.
    """
    words: Set[str] = set()
    for line in body.splitlines():
        if not (_STEP.match(line) or _DATA.match(line) or _HANDLE.match(line) or _HEAD.match(line)):
            words.update(_WORD.findall(line))
    return words


def _data_of(parameters: str, body: str) -> List[str]:
    """Return the variables that hold the data of the tensors of a function, in the order of its arguments."""
    handles = {name: int(index) for name, index in _HANDLE.findall(body)}
    if not handles:
        return [parameter.split()[-1].lstrip("*") for parameter in _split(parameters) if parameter.split()]
    found = {handles[handle]: data for data, handle in _DATA.findall(body) if handle in handles}
    return [found.get(index, "") for index in range(max(handles.values()) + 1)]


def _split(arguments: str) -> List[str]:
    return [argument.strip() for argument in arguments.split(",")]


def _uses(kernel: Function) -> List[Use]:
    """Return the use of each argument by a kernel."""
    stored: Set[str] = set()
    loaded: Set[str] = set()
    other: Set[str] = set()
    wanted = set(kernel.data)
    for word in _WORD.finditer(kernel.body):
        name = word[0]
        if name not in wanted:
            continue
        at = word.end()
        line_start = kernel.body.rfind("\n", max(0, at - _LONGEST_LINE), at) + 1
        if _DATA.match(kernel.body, line_start, at + _LONGEST_LINE):
            continue  # its declaration
        at += kernel.body.startswith(")", at)
        if not kernel.body.startswith("[", at):
            other.add(name)
            continue
        end = _after_brackets(kernel.body, at)
        if end < 0:
            other.add(name)
        else:
            (stored if kernel.body.startswith(" = ", end) else loaded).add(name)
        if _ADDRESS_OF.search(kernel.body, max(0, word.start() - 40), word.start()):
            other.add(name)
    return [
        Use(name in stored or name in other or name not in loaded, name in loaded - stored - other)
        for name in kernel.data
    ]


def _after_brackets(text: str, at: int) -> int:
    """Return the position after the closing bracket; -1 if it is not near on the line of `at`."""
    depth = 0
    for bracket in _BRACKET.finditer(text, at, at + _LONGEST_LINE):
        if bracket[0] == "\n":
            break
        depth += 1 if bracket[0] == "[" else -1
        if depth == 0:
            return bracket.end()
    return -1
