# SPDX-License-Identifier: Apache-2.0
"""Order of inputs: every source in the archive narrows it down, and an uncertain order is refused."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import pytest

from runtime.host.archive.facts import Facts, TensorFacts, c_identifier, facts_of_main, shape_of_strides
from runtime.host.archive.relay_text import RelayFacts, facts_of_relay, relay_spelling
from runtime.host.archive.signature import Contradiction, Texts, inputs_of, outputs_of
from runtime.host.archive.tensor_specs import Declared, UnknownOrder

FLOATS = Declared("float32", 16)


def texts(
    names: Sequence[str],
    *,
    code: Optional[Sequence[str]] = None,
    relay: Optional[str] = None,
    kinds: Optional[Dict[str, Declared]] = None,
) -> Texts:
    """Return the texts of an archive whose inputs are four floats each unless `kinds` differs."""
    declared = {name: (kinds or {}).get(name, FLOATS) for name in sorted(names)}
    return Texts(
        inputs=declared,
        outputs={"output": FLOATS},
        graph=None,
        code=None
        if code is None
        else Facts(
            [TensorFacts(name, "float32", (4,)) for name in code], [TensorFacts("output0", "float32", (4,))]
        ),
        main=None,
        c_interface=None,
        relay=None if relay is None else facts_of_relay(f"def @main({relay}) {{\n"),
    )


def floats(*names: str) -> str:
    return ", ".join(f"%{name}: Tensor[(4), float32]" for name in names)


ORDERS: List[Tuple[str, Texts, List[str]]] = [
    ("plain", texts(["b", "a"], code=["b", "a"]), ["b", "a"]),
    ("one identifier", texts(["x_1", "x.1"], code=["x_1"] * 2, relay=floats("x.1", "x_1")), ["x.1", "x_1"]),
    ("three of one", texts(["a b", "a_b", "a.b"], code=["a_b"] * 3, relay=floats("a.b", "a b", "a_b")),
     ["a.b", "a b", "a_b"]),
    ("accents", texts(["\u00e9", "\u00e0"], code=["__"] * 2, relay=floats("v\u00e9", "v\u00e0")),
     ["\u00e9", "\u00e0"]),
    ("accent beside a letter", texts(["\u00e9", "b"], code=["b", "__"]), ["b", "\u00e9"]),
    ("no letter first", texts(["/z", "/a"], relay=floats("v/z", "v/a")), ["/z", "/a"]),
    ("numbers", texts(["0", "input"], relay=floats("input", "v0")), ["input", "0"]),
    ("number and its spelling", texts(["0", "v0"], code=["v0", "0"], relay=floats("v0", "v01")), ["v0", "0"]),
    ("colon and blank", texts(["z: y", "a: b"], relay=floats("z: y", "a: b")), ["z: y", "a: b"]),
    ("numbers of two", texts(["x", "y"], relay=floats("x1", "x2", "y")), ["x", "y"]),
    ("with weights", texts(["x", "y"], relay=floats("w", "y", "p0", "x")), ["y", "x"]),
    ("types tell", texts(["0", "v0"], relay="%v0: Tensor[(2), int8], %v01: Tensor[(4), float32]",
                         kinds={"v0": Declared("int8", 2)}), ["v0", "0"]),
    ("a number that was taken", texts(["x", "y"], relay=floats("x2", "y")), ["x", "y"]),
]  # fmt: skip


@pytest.mark.parametrize(("found", "order"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS])
def test_inputs_stand_in_the_order_of_the_code(found: Texts, order: List[str]) -> None:
    assert [spec.name for spec in inputs_of(found)] == order


UNCERTAIN = [
    ("weight of one spelling", texts(["/x", "_x"], code=["_x", "_x"], relay=floats("v_x", "v/x", "v_x1"))),
    (
        "names that imitate the text",
        texts(
            ["x.1", "x_1"],
            code=["x_1", "x_1"],
            relay="%w: Tensor[(4), float32], %x_1: Tensor[(4), float32], %x.1: Tensor[(4), float32]): int8, "
            + floats("x.1", "x_1"),
        ),
    ),
    ("cut signature", texts(["x.1", "x_1"], code=["x_1", "x_1"], relay=floats("x.1", "x{\n", "x_1"))),
    ("nothing tells", texts(["a", "b"])),
    ("one identifier, no relay", texts(["x_1", "x.1"], code=["x_1", "x_1"])),
    ("one spelling", texts(["0", "v0"], relay=floats("v0", "v01"))),
    ("taken by another", texts(["0", "v0", "v01"], relay=floats("v0", "v01", "v011"))),
    ("a weight that may be it", texts(["x", "y"], relay=floats("x1", "y", "x"))),
    ("code of other names", texts(["a", "b"], code=["c", "d"], relay=floats("a", "b"))),
    ("relay lacks one", texts(["a", "b"], relay=floats("a"))),
    ("relay of other types", texts(["a", "b"], relay="%a: Tensor[(4), int8], %b: Tensor[(4), int8]")),
]


@pytest.mark.parametrize("found", [case[1] for case in UNCERTAIN], ids=[case[0] for case in UNCERTAIN])
def test_an_order_that_is_not_certain_is_no_order(found: Texts) -> None:
    with pytest.raises(UnknownOrder) as caught:
        inputs_of(found)
    assert set(caught.value.names) <= set(found.inputs or ())


def test_two_inputs_of_one_name_are_a_contradiction() -> None:
    with pytest.raises(Contradiction, match=r"1 inputs in its metadata\.json, but 2 in its code"):
        inputs_of(texts(["x"], code=["x", "x"]))


def named(*names: str) -> RelayFacts:
    """Return the facts of a Relay text with these output names, or with none."""
    return RelayFacts([], list(names) or None, [], [], frozenset())


def outputs(
    names: Dict[str, Declared], relay: Optional[RelayFacts], tensors: Sequence[TensorFacts]
) -> List[str]:
    found = Texts({}, names, None, Facts([], list(tensors)), None, None, relay)
    return [spec.name for spec in outputs_of(found)]


def test_names_of_outputs_come_from_the_relay_text() -> None:
    two = [TensorFacts("output0", "float32", (4,)), TensorFacts("output1", "float32", (4,))]
    both = {"output0": FLOATS, "output1": FLOATS}
    assert outputs(both, named("output1", "output0"), two) == [
        "output1",
        "output0",
    ]
    assert outputs(both, named(), two) == ["output0", "output1"]
    assert outputs({"y": FLOATS}, named("y", "y"), two) == ["y", "y"]


def test_of_two_outputs_of_one_name_each_has_its_own_shape() -> None:
    tensors = [TensorFacts("output0", "float32", (4,)), TensorFacts("output1", "int8", (2, 3))]
    found = Texts(
        {},
        {"y": FLOATS},
        None,
        Facts([], tensors),
        None,
        None,
        named("y", "y"),
    )
    assert [(spec.shape, spec.size_bytes) for spec in outputs_of(found)] == [((4,), 16), ((2, 3), 6)]


@pytest.mark.parametrize(
    ("name", "c_name", "relay_name"),
    [
        ("x", "x", "x"),
        ("x.1", "x_1", "x.1"),
        ("\u00e9", "__", "v\u00e9"),
        ("caf\u00e9", "caf__", "caf\u00e9"),
        ("\u4e2d", "___", "v\u4e2d"),
        ("0", "0", "v0"),
        ("/z", "_z", "v/z"),
        ("", "", ""),
    ],
)
def test_names_are_spelled_as_tvm_does(name: str, c_name: str, relay_name: str) -> None:
    assert (c_identifier(name), relay_spelling(name)) == (c_name, relay_name)


def test_relay_texts_with_odd_names() -> None:
    found = facts_of_relay(
        'def @main(%z: y: Tensor[(2, 3), float32], %a, b: int32, %c {virtual_device=X(a={"k"})}: '
        "Tensor[(), bool], "
        'output_tensor_names=["o\\xC3\\xA9", "b\\"q", "a, b]", "\\\\n"]) -> (Tensor[(2), int8], float32) {\n'
    )
    assert found is not None
    assert found.parameters == [
        TensorFacts("z: y", "float32", (2, 3)),
        TensorFacts("a, b", "int32", ()),
        TensorFacts("c", "bool", ()),
    ]
    assert found.output_names == ["o\u00e9", 'b"q', "a, b]", "\\n"]
    assert found.output_types == [TensorFacts("", "int8", (2,)), TensorFacts("", "float32", ())]


def test_a_typed_relay_text() -> None:
    found = facts_of_relay(
        "def @main(%x.1: Tensor[(4), float32] /* ty=Tensor[(4), float32] */, %x_1: float32 /* ty=float32 */, "
        'output_tensor_names=["a"]) -> (Tensor[(4), float32], float32) {\n'
        "  %0 = (%x.1, %x_1) /* ty=... */;\n  %1 = concatenate(%0, axis=1);\n  nn.relu(%1)\n}\n"
    )
    assert found is not None
    assert [facts.name for facts in found.parameters] == ["x.1", "x_1"]
    assert (found.output_names, found.joined) == (["a"], [("concatenate", "x.1"), ("concatenate", "x_1")])
    assert found.operators == {"concatenate", "nn.relu"}


def test_names_that_the_code_made_up_are_not_taken_for_those_of_a_text_that_is_not_understood() -> None:
    two = [TensorFacts("output0", "float32", (4,)), TensorFacts("output1", "float32", (4,))]
    declared = {"output0": FLOATS, "output1": FLOATS}
    with pytest.raises(UnknownOrder):
        outputs_of(Texts({}, declared, None, Facts([], two), None, None, None, has_relay=True))


def test_scalars_among_the_result_types_keep_their_place() -> None:
    found = facts_of_relay("def @main(%x: int8) -> (float32, Tensor[(2, 3), float32]) {\n")
    assert found is not None
    assert [facts.shape for facts in found.output_types] == [(), (2, 3)]


@pytest.mark.parametrize(
    ("strides", "count", "shape"),
    [
        ((3, 1), 6, (2, 3)),
        ((), 1, ()),
        ((None, 1), 12, (1, 12)),
        ((None, None), 1, (1, 1)),
        ((6, None, 1), 24, (4, 1, 6)),
        ((3, 1), 0, (0, 3)),
        ((3, 1), 7, None),
        ((0, 1), 0, None),
        ((None,), 2, None),
        ((2, 3), 6, None),
    ],
)
def test_shapes_from_strides(
    strides: Tuple[Optional[int], ...], count: int, shape: Optional[Tuple[int, ...]]
) -> None:
    assert shape_of_strides(strides, count) == shape


def checks(*lines: str) -> bytes:
    return b"\x7fELF\0" + b"\0".join(line.encode() for line in lines) + b"\0"


def test_an_object_tells_what_its_main_function_takes() -> None:
    main = facts_of_main(
        "main",
        [
            checks(
                "x_code == 3 or x_code == 7, main: Expect arg[0] to be pointer",
                "Id_0_code == 3 or Id_0_code == 7, main: Expect arg[1] to be pointer",
                "... == 2, main.x.dtype is expected to be int8",
                "1 == ..., main.x.ndim is expected to equal 1",
                "1 == f(main_x_strides[0]), main.x.strides: expected to be compact array",
                "... == 2, main.Id:0.dtype is expected to be float32",
                "2 == ..., main.Id:0.ndim is expected to equal 2",
                "1 == f(main_Id_0_strides[1]) and 3 == f(main_Id_0_strides[0]), main.Id:0.strides: "
                "expected to be compact array",
            )
        ],
    )
    assert main is not None and main.names == ["x", "Id_0"]
    assert main.argument(0) == TensorFacts("x", "int8", None, (1,))
    assert main.argument(1, "Id:0") == TensorFacts("Id_0", "float32", None, (3, 1))
    assert main.argument(1) == TensorFacts("Id_0")


def test_two_outputs_of_one_name_and_different_ranks_tell_no_shape() -> None:
    main = facts_of_main(
        "main",
        [
            checks(
                "y_code == 3, main: Expect arg[0] to be pointer",
                "1 == ..., main.y.ndim is expected to equal 1",
                "2 == ..., main.y.ndim is expected to equal 2",
                "1 == f(main_y_strides[0]), main.y.strides: expected to be compact array",
            )
        ],
    )
    assert main is not None and main.argument(0, "y").strides is None


@pytest.mark.parametrize("data", [b"", b"\0" * 100, checks("x_code == 3, main: Expect arg[1] to be pointer")])
def test_an_object_without_its_checks_tells_nothing(data: bytes) -> None:
    assert facts_of_main("main", [data]) is None
