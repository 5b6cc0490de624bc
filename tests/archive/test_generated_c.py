# SPDX-License-Identifier: Apache-2.0
"""Data flow of generated C: tensors that a model writes before it reads them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Optional

import pytest

from runtime.host.archive.generated_c import Fault, find_fault, functions_of
from runtime.host.archive.model_archive import ModelArchive
from tests.support.cases import CASES

DATA = Path(__file__).resolve().parents[1] / "data"
AOT_IN_C = sorted([*DATA.glob("archives/aot_c*.tar"), *DATA.glob("models/*aot.tar")])

KERNELS = """
TVM_DLL int32_t add(float* p0, float* T_add) {
  for (int32_t i = 0; i < 4; ++i) {
    T_add[i] = (p0[i] + 1.0f);
  }
  return 0;
}

TVM_DLL int32_t join(float* p0, float* p1, float* joined) {
  joined[0] = p0[0];
  ((float*)joined)[1] = p1[0];
  return 0;
}

TVM_DLL int32_t passes_on(float* p0, float* out) {
  helper((&(out[0])), p0[0]);
  return 0;
}
"""


def main(body: str, parameters: str = "float* x_buffer_var, float* output_buffer_var") -> str:
    return f"{KERNELS}\nTVM_DLL int32_t main_({parameters}) {{\n{body}  return 0;\n}}\n"


def call(function: str, *arguments: str) -> str:
    return f"  if ({function}({', '.join(arguments)}) != 0 ) return -1;\n"


WORKSPACE = "  void* sid_1_let = (&(global_workspace_0_var[16]));\n"
ALLOCATED = "  void* sid_1_let = TVMBackendAllocWorkspace(1, 0, (uint64_t)16, 2, 32);\n"
X, Y, SID = "x_buffer_var", "output_buffer_var", "sid_1_let"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (call("add", X, Y), None),
        (call("add", X, X), Fault(0)),
        ("", Fault(0)),
        (WORKSPACE + call("add", X, SID) + call("add", SID, Y), None),
        (ALLOCATED + call("add", X, SID) + call("add", SID, Y), None),
        (WORKSPACE + call("add", SID, Y), Fault(None, "add")),
        (ALLOCATED + call("join", X, SID, Y), Fault(None, "join")),
        (call("add", Y, Y), Fault(None, "add")),
        (call("passes_on", X, Y), None),
        (call("elsewhere", X, Y), None),
        ("  for (int32_t i = 0; i < 4; ++i) {\n    output_buffer_var[i] = x_buffer_var[i];\n  }\n", None),
    ],
    ids=["written", "input-written", "nothing", "workspace", "allocated", "unwritten", "joins-unwritten",
         "both", "address", "unknown-kernel", "copy"],
)  # fmt: skip
def test_what_a_main_function_forgets(body: str, fault: Optional[Fault]) -> None:
    assert find_fault(functions_of([main(body)]), "main_", 1, [16]) == (True, fault)


def test_an_output_without_elements_need_not_be_written() -> None:
    assert find_fault(functions_of([main("")]), "main_", 1, [0]) == (True, None)


@pytest.mark.parametrize(
    "source", ["", "int32_t main_(", main("").replace("main_", "other"), main("", "float* x_buffer_var")]
)
def test_code_of_another_form_gives_no_verdict(source: str) -> None:
    assert find_fault(functions_of([source]), "main_", 1, [16]) == (False, None)


@pytest.mark.parametrize("path", AOT_IN_C, ids=lambda path: path.stem)
def test_archives_that_are_right_have_no_fault(path: Path) -> None:
    archive = ModelArchive.open(path)
    assert (archive.is_followed, archive.fault) == (True, None)


@pytest.mark.parametrize("name", ["model", "feat_reshape__aotp", "dup_output__aotcu"])
def test_archives_with_a_forgotten_output(name: str) -> None:
    archive = ModelArchive.open(CASES / "aot_output_never_written" / f"{name}.tar")
    assert archive.fault == Fault(1)


@pytest.mark.parametrize(
    "text",
    [
        "  if (add(" * 50_000,
        "(" * 400_000,
        "  void* a = (&(" * 30_000,
        "(((DLTensor*)a)[0].data) = b;\n" * 20_000,
        "  T_add[" * 60_000,
        "((float*)T_add" * 30_000,
        "&(((x*)" * 60_000,
    ],
    ids=["call", "parentheses", "local", "slot", "brackets", "cast", "address"],
)
def test_hostile_code_takes_no_time(text: str) -> None:
    started = time.monotonic()
    hostile_kernel = KERNELS.replace("  joined[0] = p0[0];", text)
    find_fault(functions_of([main(text), hostile_kernel, text]), "main_", 1, [16])
    assert time.monotonic() - started < 5.0
