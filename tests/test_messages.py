# SPDX-License-Identifier: Apache-2.0
"""Every message of the error classes names a problem and a next step, by the rules of CONTRIBUTING.md.

The test reads the source of runtime/: each call of an error class, and of anything else that takes a
problem and a next step. It follows a name to the constant, the field, the local variable or the function
that has the sentence. A value that is known only at run time stands as a placeholder.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Dict, Final, Iterator, List, NamedTuple, Optional, Set, Tuple, Type

import pytest

RUNTIME: Final = Path(__file__).resolve().parents[1] / "runtime"
VALUE: Final = "\N{WHITE SQUARE}"  # stands for a value of run time
# First words of next steps: what a person does.
IMPERATIVES: Final = frozenset(
    """
    Add Align Ask Bake Build Call Cast Change Check Choose Close Compare Compile Connect Convert Copy Correct
    Create Declare Define Delete Disconnect Do End Export Fill Find Fix Flash Free Generate Get Give
    Hold Increase Install Keep Leave Link List Load Lower Make Move Name Omit Open Pass Place Plug
    Press Provide Put Quantize Read Reduce Register Remove Rename Repeat Replace Report Request Reset Restart
    Restore Return Run Save Search Select Send Separate Serve Set Shorten Show Simplify Split Start Stop Try
    Tune Turn Unlock Unplug Update Upgrade Use Verify Wait Work Write
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)


class Message(NamedTuple):
    """Sentences of one call.

    Attributes:
        place: File and line.
        is_sentence: The problem is a whole sentence, and not a part that another call completes.
        problem: Possible texts of the problem.
        next_step: Possible texts of the next step.
    """

    place: str
    is_sentence: bool
    problem: List[str]
    next_step: List[str]


class Signature(NamedTuple):
    """Parameters of a function or class, and their defaults."""

    names: List[str]
    defaults: Dict[str, ast.expr]


class Sources:
    """Syntax trees of the host tools, and the texts that their names stand for."""

    def __init__(self) -> None:
        self.trees = {
            path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(RUNTIME.rglob("*.py"))
        }
        self.errors: Set[str] = {"PlatformError", "OptionError"}
        self.constants: Dict[str, List[ast.expr]] = {}
        self.known: Dict[Tuple[ast.expr, Optional[ast.FunctionDef]], List[str]] = {}
        self.returns: Dict[str, List[Tuple[ast.FunctionDef, ast.expr]]] = {}
        self.signatures: Dict[str, Signature] = {"PlatformError": Signature(["what", "next_step", "log"], {})}
        for _ in range(3):  # a subclass of a subclass
            for node in self._nodes(ast.ClassDef):
                if self.errors & {_last(base) for base in node.bases}:
                    self.errors.add(node.name)
                    self.signatures[node.name] = self.signatures["PlatformError"]
        for node in self._nodes(ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign):
            self._note(node)
        self.fields = self._fields()

    def _nodes(self, *kinds: Type[Any]) -> Iterator[Any]:
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, kinds):
                    yield node

    def _note(self, node: Any) -> None:
        """Remember constants, signatures, and what functions return."""
        if isinstance(node, ast.ClassDef):
            members = {each.target.id: each for each in node.body if isinstance(each, ast.AnnAssign)}  # type: ignore[union-attr]
            if "NamedTuple" in {_last(base) for base in node.bases}:
                values = {name: each.value for name, each in members.items() if each.value is not None}
                self.signatures[node.name] = Signature(list(members), values)
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                    self.signatures[node.name] = _signature(each)
        elif isinstance(node, ast.FunctionDef):
            self.signatures.setdefault(node.name, _signature(node))
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    self.returns.setdefault(node.name, []).append((node, inner.value))
        elif node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if _last(target).lstrip("_").isupper():
                    self.constants.setdefault(_last(target), []).append(node.value)

    def _fields(self) -> Dict[str, List[ast.expr]]:
        """Return the values of the fields of named tuples that hold sentences, such as Kind.make_again."""
        fields: Dict[str, List[ast.expr]] = {}
        for call in self._nodes(ast.Call):
            if _last(call.func)[:1].isupper() and _last(call.func) in self.signatures:
                for name, value in self._arguments(call).items():
                    fields.setdefault(name, []).append(value)
        return fields

    def _arguments(self, call: ast.Call) -> Dict[str, ast.expr]:
        signature = self.signatures[_last(call.func)]
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        return {**signature.defaults, **dict(zip(signature.names, call.args)), **given}

    def messages(self) -> Iterator[Message]:
        """Yield the sentences of all calls that take a problem and a next step."""
        for path, tree in self.trees.items():
            for function, call in _calls(tree):
                name = _last(call.func)
                signature = self.signatures.get(name)
                if signature is None or not {"what", "next_step"} <= set(signature.names):
                    continue
                place = f"{path.relative_to(RUNTIME.parent)}:{call.lineno}"
                if call.args and isinstance(call.args[0], ast.Starred):  # an entry of a table of pairs
                    yield from self._pairs(place, call.args[0].value)
                    continue
                arguments = self._arguments(call)
                assert "next_step" in arguments, f"{place}: no next step"
                problem = self.texts(arguments["what"], function)
                yield Message(
                    place, name in self.errors, problem, self.texts(arguments["next_step"], function)
                )

    def _pairs(self, place: str, value: ast.expr) -> Iterator[Message]:
        name = _last(value.value) if isinstance(value, ast.Subscript) else _last(value)
        for table in self.constants.get(name, []):
            for pair in table.values if isinstance(table, ast.Dict) else []:
                if isinstance(pair, ast.Tuple):
                    yield Message(place, True, self.texts(pair.elts[0], None), self.texts(pair.elts[1], None))

    def texts(self, node: ast.expr, function: Optional[ast.FunctionDef]) -> List[str]:
        """Return the texts that an expression in a function may have, each once."""
        found = self.known.get((node, function))
        if found is None:
            self.known[node, function] = [VALUE]  # a name that is assigned from itself
            found = self.known[node, function] = list(dict.fromkeys(self._texts(node, function)))
        return found

    def _texts(self, node: ast.expr, function: Optional[ast.FunctionDef]) -> List[str]:
        def inner(part: ast.expr) -> List[str]:
            return self.texts(part, function)

        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            found = [""]
            for part in node.values:
                options = [VALUE]
                if isinstance(part, ast.Constant):
                    options = [str(part.value)]
                elif isinstance(part, ast.FormattedValue) and isinstance(part.value, (ast.IfExp, ast.Name)):
                    options = inner(part.value)
                found = [left + right for left in found for right in options]
            return found
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [left + right for left in inner(node.left) for right in inner(node.right)]
        if isinstance(node, ast.IfExp):
            return inner(node.body) + inner(node.orelse)
        if isinstance(node, ast.BoolOp):
            return [text for value in node.values for text in inner(value)]
        if isinstance(node, ast.Call) and _last(node.func) in self.returns:
            return [
                text for where, value in self.returns[_last(node.func)] for text in self.texts(value, where)
            ]
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = _last(node)
            values = self.constants.get(name, [])
            if isinstance(node, ast.Attribute) and name not in ("what", "next_step"):
                values = values or self.fields.get(name, [])
            if isinstance(node, ast.Name) and function is not None:
                values = values or _assigned(function, name)
            return [text for value in values for text in inner(value)] or [VALUE]
        return [VALUE]


def _signature(function: ast.FunctionDef) -> Signature:
    names = [each.arg for each in (*function.args.args, *function.args.kwonlyargs) if each.arg != "self"]
    defaults = function.args.defaults
    return Signature(names, dict(zip(names[len(names) - len(defaults) :], defaults)))


def _calls(tree: ast.Module) -> Iterator[Tuple[Optional[ast.FunctionDef], ast.Call]]:
    """Yield each call, with the innermost function around it."""
    waiting: List[Tuple[Optional[ast.FunctionDef], ast.AST]] = [(None, tree)]
    while waiting:
        function, node = waiting.pop()
        if isinstance(node, ast.Call):
            yield function, node
        inside = node if isinstance(node, ast.FunctionDef) else function
        waiting += [(inside, child) for child in ast.iter_child_nodes(node)]


def _assigned(function: ast.FunctionDef, name: str) -> List[ast.expr]:
    """Return the values that a function assigns to a local variable."""
    values: List[ast.expr] = []
    for node in ast.walk(function):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if _last(target) == name:
                values.append(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                values += [v for t, v in zip(target.elts, node.value.elts) if _last(t) == name]
    return values


def _last(node: ast.AST) -> str:
    """Return the last name of a dotted name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


SOURCES: Final = Sources()
MESSAGES: Final = list(SOURCES.messages())


def problem_of(text: str) -> Optional[str]:
    """Return what is wrong with the sentence of a problem, or None."""
    if not text.rstrip().endswith((".", VALUE, "!", "?")):
        return "does not end in a full stop"
    if not re.match(rf"[A-Z0-9{VALUE}'\"\-`_]|[a-z_]+[ :(.\[=]", text):
        return "does not begin with a capital letter, an identifier or an option"
    return None


def next_step_of(text: str) -> Optional[str]:
    """Return what is wrong with the sentence of a next step, or None."""
    if text.startswith((VALUE, 'Did you mean "')):
        return None
    first = re.match(r"[A-Za-z]+", text)
    # A condition may precede, and a command line may stand alone.
    words = re.sub(r"^(?:If|Where|In|On|For|To|After|Before|With|When) [^,:]*[,:] ", "", text)
    verb = re.match(r"[A-Za-z]+", words)
    if first is None or verb is None:
        return "does not begin with a word"
    if verb[0].capitalize() not in IMPERATIVES and not text.startswith(("python ", "python3 ")):
        return f"does not begin with an imperative: {verb[0]!r}"
    return None


def test_there_are_messages_to_read() -> None:
    assert len(MESSAGES) > 350
    unread = [message.place for message in MESSAGES if message.next_step == [VALUE] != message.problem]
    assert len(unread) < 0.03 * len(MESSAGES), unread


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_a_message_names_a_problem_and_a_next_step(message: Message) -> None:
    faults = []
    if message.is_sentence:
        faults += [f"problem {text!r} {fault}" for text in message.problem if (fault := problem_of(text))]
    faults += [f"next step {text!r} {fault}" for text in message.next_step if (fault := next_step_of(text))]
    assert not faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("it failed", "full stop"),
        ("It failed.", None),
        (f"{VALUE} is missing.", None),
        ("boards.json has no board.", None),
    ],
)
def test_a_problem_is_a_sentence(text: str, fault: Optional[str]) -> None:
    found = problem_of(text)
    assert found == fault or (fault is not None and found is not None and fault in found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("It is there.", "imperative"),
        ("Its fields are a, b.", "imperative"),
        ("Install it.", None),
        ("If the chip is locked, unlock the chip.", None),
        ('Did you mean "host"?', None),
    ],
)
def test_a_next_step_is_an_imperative(text: str, fault: Optional[str]) -> None:
    found = next_step_of(text)
    assert found == fault or (fault is not None and found is not None and fault in found)
