# SPDX-License-Identifier: Apache-2.0
"""Floating-point constants of kernels that TVM's C prints alike: scales that differ in the last bits."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.errors import ModelError
from runtime.host.compile.float_literals import distinguished
from runtime.host.compile.native import run_natively

ONE = np.float32(0.018553882837295532)
OTHER = np.float32(0.018553884699940681)  # the next float32 but one
NEAR = [np.float32(0.2), np.nextafter(np.float32(0.2), np.float32(1))]
NEAR.append(np.nextafter(NEAR[1], np.float32(1)))
COUNT = 4096
X = (np.random.default_rng(0).standard_normal(COUNT) * 2).astype("float32")


def answers(nodes: Sequence[Any], dtype: int = TensorProto.FLOAT, **constants: Any) -> np.ndarray:
    """Return y of a graph for X, after the comparison with onnxruntime."""
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    x, y = (
        helper.make_tensor_value_info(name, kind, [COUNT])
        for name, kind in (("x", TensorProto.FLOAT), ("y", dtype))
    )
    graph = helper.make_graph(nodes, "net", [x], [y], arrays)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    archive = ModelArchive.unpacked(compile_model(model).archive)
    (found,) = run_natively(archive, [{"x": X}])
    return found["y"]


@pytest.mark.parametrize(("first", "second"), [(ONE, OTHER), (OTHER, ONE)])
def test_two_scales(first: np.float32, second: np.float32) -> None:
    assert f"{first:.6e}" == f"{second:.6e}"
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "first", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "second", "zero"], ["y"]),
    ]
    found = answers(nodes, first=first, second=second, zero=np.int8(3))
    integers = np.clip(np.rint(X / first) + 3, -128, 127) - np.float32(3)
    assert np.array_equal(found, integers * second)
    assert not np.array_equal(found, integers * first)


@pytest.mark.parametrize(("alpha", "beta"), [(0, 1), (1, 0), (0, 2), (2, 0)])
def test_a_factor_and_a_sum(alpha: int, beta: int) -> None:
    node = helper.make_node("HardSigmoid", ["x"], ["y"], alpha=float(NEAR[alpha]), beta=float(NEAR[beta]))
    found = answers([node])
    assert np.array_equal(found, np.clip(X * NEAR[alpha] + NEAR[beta], 0, 1))
    assert not np.array_equal(found, np.clip(X * NEAR[beta] + NEAR[alpha], 0, 1))


def test_three_constants() -> None:
    one, two, three = NEAR
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["h"], alpha=float(two), beta=float(three)),
        helper.make_node("LeakyRelu", ["h"], ["l"], alpha=float(one)),
        helper.make_node("HardSigmoid", ["l"], ["y"], alpha=float(three), beta=float(one)),
    ]
    inner = np.clip(X * two + three, 0, 1)
    assert np.array_equal(answers(nodes), np.clip(inner * three + one, 0, 1))


SCRIPT = "y = T.float32(3.0000002384185791) * x + (T.float32(-3.0000004768371582) - T.float32(0.5)) * n"


def printed(script: str, text: str = "y = {0}f * x + ({1}f - {2}f) * 3.000000e+00f;\n") -> str:
    """Return C with the constants of a script in TVM's form, and a 3 that the script does not have."""
    numbers = [part.split(")")[0] for part in script.split("T.float32(")[1:]]
    return text.format(*(f"{float(number):.6e}" for number in numbers))


def test_a_constant_that_tvm_adds_is_left() -> None:
    assert distinguished("net", printed(SCRIPT), SCRIPT, printed, ()) == (
        "y = 3.00000024e+00f * x + (-3.00000048e+00f - 5.000000e-01f) * 3.000000e+00f;\n"
    )


def test_names_may_have_other_numbers() -> None:
    body = printed(SCRIPT).replace("x", "x_handle_1")
    assert "3.00000024e+00f * x_handle_1 + (-3.00000048e+00f" in distinguished(
        "net", body, SCRIPT, printed, ()
    )


def test_different_literals_are_not_compiled_again() -> None:
    def fails(_script: str) -> Optional[str]:
        pytest.fail("There is no need for a marker.")

    script = SCRIPT.replace("3.0000002384185791", "4.0")
    assert distinguished("net", printed(script), script, fails, ()) == printed(script)


OTHER_C: List[Any] = [
    pytest.param(lambda _script: None, id="none"),
    pytest.param(
        lambda script: printed(script, "y = {0}f * x + ({1}f + {2}f) * 3.000000e+00f;\n"), id="operator"
    ),
    pytest.param(
        lambda script: printed(script, "y = {0}f * x + ({1}f - {2}f) * 4.000000e+00f;\n"), id="literal"
    ),
    pytest.param(
        lambda script: printed(script, "y = {0}f * y + ({1}f - {2}f) * 3.000000e+00f;\n"), id="name"
    ),
    pytest.param(lambda _script: printed(SCRIPT, "y = 5.000000e+00f;\n"), id="statement"),
]


@pytest.mark.parametrize("generate", OTHER_C)
def test_other_c_is_refused(generate: Any) -> None:
    with pytest.raises(
        ModelError, match=r"Kernel net has the constants 3.00000024e\+00 and 3.00000048e\+00, "
    ):
        distinguished("net", printed(SCRIPT), SCRIPT, generate, ())


def test_a_function_of_c_is_not_another_one() -> None:
    body, known = printed(SCRIPT).replace("x", "floorf(x)"), {"floorf", "ceilf"}
    with pytest.raises(ModelError):
        distinguished("net", body, SCRIPT, lambda script: printed(script).replace("x", "ceilf(x)"), known)


def test_constants_without_room_for_markers_are_refused() -> None:
    around = " + ".join(f"T.float32({number})" for number in (2.999998, 2.999999, 3.000001, 3.000002))
    script = f"{SCRIPT} + {around}"
    body = printed(SCRIPT)
    with pytest.raises(ModelError):
        distinguished("net", body, script, lambda _script: body, ())
