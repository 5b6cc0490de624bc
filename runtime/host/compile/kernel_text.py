# SPDX-License-Identifier: Apache-2.0
"""Reader of the C that TVM generates for kernels.

TVM 0.25 to 0.27 write each kernel as a function of its foreign function interface:

    TVM_DLL int32_t __tvm_ffi_NAME(void* self_handle, void* args, int32_t num_args, void* result) {
      ...                  head: one data pointer for each argument, out of an array of TVMFFIAny
      ...                  body: loops, declarations and assignments
      return 0;
    }

The head is taken off, and each line of the body is compared with the few forms that a kernel needs. A kernel
with anything else is refused: C that is not understood must not run on a device.
"""

from __future__ import annotations

import functools
import re
from typing import Dict, Final, List, Mapping, NamedTuple, Optional, Set

from tvm.script import from_source

from runtime.host.compile.errors import ModelError
from runtime.host.compile.float_literals import distinguished, literals_of, with_exact_literals
from runtime.host.compile.lowering import c_source
from runtime.host.compile.quiet import standard_error_discarded

NEXT: Final = "Install the versions of requirements-compile.txt, and compile again."

_FUNCTION: Final = re.compile(
    r"^TVM_DLL int32_t __tvm_ffi_(\w+)"
    r"\(void\* self_handle, void\* args, int32_t num_args, void\* result\) \{\n"
    r"(.*?)^  return 0;\n\}\n",
    re.MULTILINE | re.DOTALL,
)
_ARGUMENT: Final = r"\(\(\(TVMFFIAny\*\)args\)\[(\d+)\]\.v_ptr\)"
_SELECT: Final = re.compile(rf"    (condval\w*) = {_ARGUMENT};")
_HANDLE: Final = re.compile(r"  void\* (\w+) = \(void\*\)(condval\w*);")
_HANDLE_0_25: Final = re.compile(rf"  void\* (\w+) = \(\(\w+_type_index\w* == 70\) \? .* : {_ARGUMENT}\);")
_DATA: Final = re.compile(r"  \w+\* (\w+) = (?:\(+\w+\*\))*\(\(\(DLTensor\*\)(\w+)\)\[0\]\.data\)+;")
_OFFSET: Final = re.compile(
    r"  int64_t (\w*elem_offset\w*) = "
    r"\(\(int64_t\)\(\(\(\(DLTensor\*\)\w+\)\[0\]\.byte_offset\) / \(uint64_t\)\d+(?:ULL)?\)\);"
)
_HEAD: Final = re.compile(
    r"  int32_t \w+_type_index\w* = \(\(\(TVMFFIAny\*\)args\)\[\d+\]\.type_index\);"
    r"|  void\* condval\w*;"
    r"|  if \(+\w+_type_index\w* == 70\)+ \{"
    r"|    condval\w* = \(\(void\*\)\(\(char\*\)\(\(\(TVMFFIAny\*\)args\)\[\d+\]\.v_ptr\) \+ 24\)\);"
    r"|  \} else \{"
    r"|  \}"
    r"|  \w+\* \w+_(?:shape|strides)(?:_\d+)? = "
    r"(?:\(int64_t\*\))?\(\(\(DLTensor\*\)\w+\)\[0\]\.(?:shape|strides)\);"
    r"|  int32_t dev_id = \(\(\(DLTensor\*\)\w+\)\[0\]\.device\.device_id\);"
    r"|  if \(!\(\w+_strides(?:_\d+)? == NULL\)\) \{"
)
_BLOCK: Final = re.compile(r"( *)void\* (\w+) =(?= TVMBackendAllocWorkspace)")
_PARAMETER_CAST: Final = re.compile(r"\(\((float|bool|u?int\d+_t)\*\)(\w+)\)\[")

TYPE: Final = r"(?:float|bool|u?int(?:8|16|32|64)_t)"
WIDTHS: Final = {
    "bool": 1,
    **{f"{sign}int{bits}_t": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float": 4,
}
MATH: Final = frozenset(
    f"{name}f"
    for name in [
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "ceil",
        "copysign",
        "cos",
        "cosh",
        "erf",
        "exp",
        "exp2",
        "exp10",
        "fabs",
        "floor",
        "fma",
        "fmod",
        "hypot",
        "ldexp",
        "log",
        "log10",
        "log1p",
        "log2",
        "nearbyint",
        "pow",
        "rint",
        "round",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
        "trunc",
    ]
)
_KNOWN: Final = frozenset(
    [
        "float",
        "bool",
        "int8_t",
        "int16_t",
        "int32_t",
        "int64_t",
        "uint8_t",
        "uint16_t",
        "uint32_t",
        "uint64_t",
        "for",
        "if",
        "else",
        "FLT_MAX",
        "INFINITY",
        "NAN",
    ]
)

_LINE: Final = re.compile(
    rf"(?P<for>for \(int(?:32|64)_t (?P<counter>\w+) = [^;=]+; (?P=counter) < [^;=]+; \+\+(?P=counter)\) \{{)"
    r"|(?P<failed>if \(+\w+ == NULL\)+ \{)"
    r"|(?P<release>if \(+TVMBackendFreeWorkspace\(\d+, \w+, \w+\) != 0\)+ \{)"
    r"|(?P<if>if \(.*\) \{)"
    r"|(?P<else>\} else \{)"
    r"|(?P<end>\})"
    rf"|(?:alignas\(\d+\) )?(?P<array_type>{TYPE}) (?P<array>\w+)\[(?P<extent>\d+)\];"
    rf"|(?P<type>{TYPE}) (?P<variable>\w+)(?: = (?P<value>[^=].*))?;"
    rf"|(?P<stored>\w+)(?:\[(?P<index>[^=]*)\])? = (?P<new>[^=].*);"
    rf"|(?P<pointer_type>{TYPE})\* (?P<pointer>\w+) = [(\w *)]*TVMBackendAllocWorkspace\(\d+, \w+, "
    r"\(uint64_t\)(?P<bytes>\d+)(?:ULL)?, \d+, \d+\)+;"
    r"|(?P<return>return -1;)"
)
_MACROS: Final = (
    (re.compile(r"\binff?\b"), "INFINITY"),
    (re.compile(r"\bnanf?\b"), "NAN"),
    # printf's %e has 7 digits, too few for the largest float.
    (re.compile(r"\b3\.402823e\+38f"), "FLT_MAX"),
)
_TOKEN: Final = re.compile(
    r"(?P<name>[A-Za-z_]\w*)"
    r"|(?:0x[0-9a-fA-F.]+(?:p[+-]?\d+)?|\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?:ULL|LL|UL|L|U|f)?"
    r"|\s+|[-+*/%<>=!&|^~?:,()\[\].]+"
)


class Line(NamedTuple):
    """One statement of a kernel.

    Attributes:
        text: C without indentation.
        match: Groups of the form that the line has.
    """

    text: str
    match: Mapping[str, Optional[str]]


class Kernel(NamedTuple):
    """One kernel as TVM wrote it, without the head.

    Attributes:
        name: Name in the module of TVM.
        arguments: Name of the data pointer of each argument; None for one that the body does not use.
        lines: Statements of the body.
    """

    name: str
    arguments: List[Optional[str]]
    lines: List[Line]


def read_kernels(source: str, scripts: Mapping[str, str]) -> Dict[str, Kernel]:
    """Return name -> kernel of the C that TVM generated.

    Args:
        source: C of all kernels.
        scripts: Name -> script of each kernel, which has the constants with all digits.

    Raises:
        ModelError: The text of a kernel has an unknown form, or a constant in it is not certain.
    """
    return {name: _read(name, body, scripts[name]) for name, body in _bodies(source).items()}


def _bodies(source: str) -> Dict[str, str]:
    return {found[1]: found[2] for found in _FUNCTION.finditer(source)}


def _read(name: str, text: str, script: str) -> Kernel:
    literals = literals_of(script)
    text = distinguished(name, text, script, functools.partial(_generated, name), MATH | _KNOWN)
    lines = text.splitlines()
    selected: Dict[str, int] = {}
    handles: Dict[str, int] = {}
    arguments: Dict[int, str] = {}
    offsets: List[str] = []
    head = 0
    for line in lines:
        selection = _SELECT.fullmatch(line)
        handle = _HANDLE.fullmatch(line)
        old_handle = _HANDLE_0_25.fullmatch(line)
        data = _DATA.fullmatch(line)
        offset = _OFFSET.fullmatch(line)
        if selection:
            selected[selection[1]] = int(selection[2])
        elif handle and handle[2] in selected:
            handles[handle[1]] = selected[handle[2]]
        elif old_handle:
            handles[old_handle[1]] = int(old_handle[2])
        elif data and data[2] in handles:
            arguments[handles[data[2]]] = data[1]
        elif offset:
            # The arguments of our calls start at their first element.
            offsets.append(f"int64_t {offset[1]} = 0;")
        elif not _HEAD.fullmatch(line):
            break
        head += 1
    if not handles:
        raise _refused(name, lines[0] if lines else "")
    pointers = set(arguments.values())
    rest = lines[head:]
    blocks = {found[2] for found in map(_BLOCK.match, rest) if found}
    rest = _typed_blocks(name, rest, blocks)
    body = [
        _line(name, with_exact_literals(_plain(line.strip(), pointers | blocks), literals))
        for line in [*offsets, *rest]
    ]
    count = max(handles.values()) + 1
    return Kernel(name, [arguments.get(index) for index in range(count)], _checked(name, body, pointers))


def _generated(name: str, script: str) -> Optional[str]:
    """Return the C of a script; None if TVM does not compile it."""
    try:
        with standard_error_discarded():
            return _bodies(c_source({name: from_source(script)})).get(name)
    except Exception:  # TVM has many
        return None


def _typed_blocks(name: str, lines: List[str], blocks: Set[str]) -> List[str]:
    """Return lines in which an allocated block has the type that its uses cast it to, as from 0.26 on."""
    types: Dict[str, str] = {}
    for line in lines:
        for cast in _PARAMETER_CAST.finditer(line):
            if cast[2] in blocks and types.setdefault(cast[2], cast[1]) != cast[1]:
                raise _refused(name, line)
    return [
        _BLOCK.sub(lambda found: f"{found[1]}{types.get(found[2], 'void')}* {found[2]} =", line, count=1)
        for line in lines
    ]


def _plain(line: str, pointers: Set[str]) -> str:
    """Return a line with the macros of math.h, and without the casts of arguments.

    TVM writes an infinity as inff, which C does not have. In 0.25 an argument is a void pointer, which each
    use casts.
    """
    line = _PARAMETER_CAST.sub(lambda found: f"{found[2]}[" if found[2] in pointers else found[0], line)
    for pattern, macro in _MACROS:
        line = pattern.sub(macro, line)
    return line


def _line(name: str, text: str) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        raise _refused(name, text)
    return Line(text, match.groupdict())


def _checked(name: str, body: List[Line], pointers: Set[str]) -> List[Line]:
    """Return the lines, after a comparison of each identifier with the declared ones."""
    declared = set(pointers)
    for line in body:
        match = line.match
        declared.update(filter(None, (match[key] for key in ("counter", "array", "variable", "pointer"))))
    known = declared | MATH | _KNOWN
    for line in body:
        if line.match["pointer"] or line.match["failed"] or line.match["release"] or line.match["return"]:
            continue
        for token in _tokens(name, line.text):
            if token not in known:
                raise _refused(name, f"{token} in {line.text}")
    return body


def _tokens(name: str, text: str) -> List[str]:
    """Return the identifiers of a statement."""
    at = 0
    found = []
    text = text.rstrip(";{").strip()
    while at < len(text):
        if text[at] in "{};":
            at += 1
            continue
        token = _TOKEN.match(text, at)
        if token is None:
            raise _refused(name, text)
        if token["name"]:
            found.append(token["name"])
        at = token.end()
    return found


def _refused(name: str, text: str) -> ModelError:
    return ModelError(
        f"The C that TVM generated for kernel {name} has an unknown form: {text[:120]!r}.", NEXT
    )
