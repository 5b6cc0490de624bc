# SPDX-License-Identifier: Apache-2.0
"""Reader of the Relay text of a model archive, as written by TVM's relay_text_printer.cc.

The text has this form:

    def @main(%x: Tensor[(1, 4), float32], %w: float32, output_tensor_names=["y"]) -> Tensor[(1, 4),
    float32] {
      %0 = (%x, %w) /* ty=... */;
      %1 = concatenate(%0);
      ...

The first line names all parameters of the model in order, weights included. The printer writes a variable's
name unchanged. It prepends "v" if the first character is not a letter, and appends a number to a duplicate
name. A name may contain any character, commas and colons included. So a signature that does not match the
complete form is ignored.
"""

from __future__ import annotations

import re
from typing import Final, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from runtime.host.archive.facts import Shape, TensorFacts

HEAD: Final = "def @main("
DEVICE: Final = " {virtual_device="  # an annotation between name and type
NAMES: Final = "output_tensor_names=["
CONSTANT: Final = "meta[relay.Constant]"

_TYPE: Final = r"Tensor\[\(([^()]{0,300})\), ?([a-z]+[0-9]*)\]|\b(bool|u?int[0-9]+|b?float[0-9]+)\b"
_COMMENT: Final = r"(?: /\*(?:[^*]|\*(?!/)){0,2000}\*/)?"
_PARAMETER_END: Final = re.compile(rf": (?:{_TYPE}){_COMMENT}(?=, %|, [A-Za-z_]+=|\) )")
_TYPES: Final = re.compile(_TYPE)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(?:, )?')
_IMITATES: Final = (": Tensor[", ", %", NAMES)  # not allowed in a name: the line would be ambiguous

# In the body: a tuple, an operator, and an operator that takes a tuple.
_TUPLE: Final = re.compile(r"^  (%\d+) = (\(.*\))", re.MULTILINE)
_OPERATOR: Final = re.compile(r"^  (?:%\d+ = )?([A-Za-z_][\w.]{0,60})\(", re.MULTILINE)
_TAKES: Final = re.compile(r"\b([A-Za-z_][\w.]{0,60})\((%\d+)[,)]")


class RelayFacts(NamedTuple):
    """Facts about @main from a Relay text.

    Attributes:
        parameters: Inputs and weights, in order, as spelled by the printer.
        output_names: Names of the outputs; None if the model does not name them.
        output_types: Types of the outputs; empty if the printer omitted them.
        joined: (operator, parameter or CONSTANT) for each field of a tuple that an operator takes, such as a
            concatenation.
        operators: Names of all operators.
    """

    parameters: List[TensorFacts]
    output_names: Optional[List[str]]
    output_types: List[TensorFacts]
    joined: List[Tuple[str, str]]
    operators: FrozenSet[str]


def relay_spelling(name: str) -> str:
    """Return the name of a variable in the Relay text, without the number of a duplicate name."""
    return name if re.match(r"[A-Za-z]|\Z", name) else f"v{name}"


def facts_of_relay(text: str) -> Optional[RelayFacts]:
    """Return the facts in a Relay text.

    Args:
        text: Text that starts with "def @main(".

    Returns:
        The facts; None if the signature does not have the complete form.
    """
    line, _, body = text.partition("\n")
    if not line.startswith(HEAD) or not line.endswith(" {"):
        return None
    at = len(HEAD)
    parameters = []
    while line.startswith("%", at):
        kind = _PARAMETER_END.search(line, at)
        if kind is None:
            return None
        name = line[at + 1 : kind.start()].partition(DEVICE)[0]
        if any(part in name for part in _IMITATES):
            return None
        parameters.append(_tensor(name, *kind.groups()))
        at = kind.end() + (2 if line.startswith(", %", kind.end()) else 0)
    names = {facts.name for facts in parameters}
    attributes, result = _rest(line[at:-2])
    if attributes is None or len(names) < len(parameters):  # names in the printer's text are unique
        return None
    output_names = _quoted_list(attributes, NAMES)
    types = [_tensor("", *found) for found in _TYPES.findall(result)]
    operators = frozenset(_OPERATOR.findall(body))
    return RelayFacts(parameters, output_names, types, _joined(body, names), operators)


def _tensor(name: str, extents: Optional[str], dtype: Optional[str], scalar: Optional[str]) -> TensorFacts:
    if scalar:
        return TensorFacts(name, scalar, ())
    return TensorFacts(name, dtype, _shape(extents or ""))


def _rest(line: str) -> Tuple[Optional[str], str]:
    """Return attributes and result type from the text after the parameters; None for invalid attributes."""
    before, arrow, result = line.rpartition(") -> ")
    if not arrow:
        before, result = line[:-1], ""
        if not line.endswith(")"):
            return None, ""
    return (before, result) if not before or re.match(r", [A-Za-z_]+=", before) else (None, "")


def _joined(body: str, names: Set[str]) -> List[Tuple[str, str]]:
    takers = {variable: operator for operator, variable in _TAKES.findall(body)}
    with_comma = [name for name in names if "," in name]
    found = []
    for variable, fields in _TUPLE.findall(body):
        if variable in takers:
            fielded = {field[1:] for field in re.split(r", (?=%)", fields[1:-1]) if field.startswith("%")}
            fielded.update(name for name in with_comma if f"%{name}" in fields)
            if CONSTANT in fields:
                found.append((takers[variable], CONSTANT))
            found += [(takers[variable], name) for name in sorted(fielded & names)]
    return found


def _quoted_list(text: str, key: str) -> Optional[List[str]]:
    """Return the unescaped strings of `key"a", "b"]`; None if there is no such list."""
    at = text.find(key)
    if at < 0:
        return None
    at += len(key)
    strings = []
    quoted = _QUOTED.match(text, at)
    while quoted:
        strings.append(_unescaped(quoted[1]))
        at = quoted.end()
        quoted = _QUOTED.match(text, at)
    return strings if text.startswith("]", at) else None


_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def _unescaped(text: str) -> str:
    r"""Undo the escapes of TVM's printer: those of C, and \xHH for each byte of non-ASCII UTF-8."""

    def byte(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPES.get(match[2], match[2])

    # One character per byte, because unescaped text may contain UTF-8.
    as_bytes = text.encode("utf-8", "surrogatepass").decode("latin-1")
    plain = re.sub(r"\\(?:x([0-9A-Fa-f]{2})|(.))", byte, as_bytes, flags=re.DOTALL)
    return plain.encode("latin-1").decode("utf-8", "replace")


def _shape(extents: str) -> Optional[Shape]:
    parts = [part.strip() for part in extents.split(",") if part.strip()]
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):
        return None  # "?": the extent is dynamic
    return tuple(int(part) for part in parts)
