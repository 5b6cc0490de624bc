# SPDX-License-Identifier: Apache-2.0
"""TVM from pip: generates, builds, flashes and runs projects of a platform."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.support.cases import CASES
from tests.tvm.conftest import PROGRAMS, Tvm

pytestmark = pytest.mark.slow

FAILURES = {
    "killed": "was terminated by SIGKILL.\n",
    "killed, then asked again": "was terminated by SIGKILL.\n",
    "silent": "The device did not reply within 1 s.\n",
    "refused": "argument type code: expected 7, got 0",
    "server killed": "The API server of the project closed its pipe.\n",
    "Ctrl-C": "",
    "works again": "",
    "no session": "No session with the device after 2 s",
}
EXECUTORS = {"graph": True, "aot": True, "debug": True, "layer": True}


def check_executors(found: Dict[str, Any]) -> None:
    assert {name: found[name] for name in EXECUTORS} == EXECUTORS
    assert len(found["time of run"]) == 2 and min(found["time of run"]) > 0
    assert len(found["times of layer"]) == 3 and min(found["times of layer"]) > 0


def test_every_executor_answers_on_a_host_board(tvm: Tvm, tmp_path: Path) -> None:
    check_executors(tvm.report("executors.py", tvm.platform.path, tmp_path, "host"))


def test_failures_are_the_errors_that_tvm_documents(tvm: Tvm, tmp_path: Path) -> None:
    found = tvm.report("failures.py", tvm.platform.path, tmp_path)
    for name, words in FAILURES.items():
        assert words in found[name]["text"]
        assert found[name]["left"] == 0, name
    for name, seconds in (("killed", 5.0), ("silent", 5.0), ("server killed", 5.0), ("Ctrl-C", 10.0)):
        assert found[name]["seconds"] < seconds
    assert all(case["all kinds"] and case["sockets"] <= 0 for case in found.values() if "sockets" in case)


def test_tvm_micro_may_have_been_tried_first(tvm: Tvm) -> None:
    """Import after an error, as in a notebook, where the process continues."""
    program = """
try:
    import tvm.micro
except ImportError:
    import runtime.host.tvm_micro
    from tvm import micro
    print(micro.Session.__name__)
"""
    ran = tvm.run("-c", program)
    assert (ran.returncode, ran.stdout) == (0, "Session\n"), ran.stderr


def test_options_as_tvm_sends_them(tvm: Tvm, tmp_path: Path) -> None:
    found = tvm.report("projects.py", tvm.platform.path, tmp_path)
    assert found.pop("left") == 0
    assert "non valid ProjectOptions" in found.pop("unknown")
    assert 'Project option "workspace_size_bytes": expected int, got str "many"' in found.pop("wrong")
    assert found == dict.fromkeys(
        ("no options", "every default", "every option None", "text", "old names", "created", "use_existing"),
        True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_two_processes_have_sessions_at_the_same_time(tvm: Tvm, tmp_path: Path) -> None:
    found = tvm.report("archives.py", tvm.platform.path, tmp_path, "host", "archives/graph_c")
    assert found == {"archives/graph_c": True}
    project = tmp_path / "archives_graph_c"
    sessions = [tvm.start(PROGRAMS / "hold.py", project) for _ in range(2)]
    try:
        assert [line_of(session) for session in sessions] == ["open\n", "open\n"]
        assert [session.communicate("go\n")[0] for session in sessions] == ["True\n", "True\n"]
    finally:
        for session in sessions:
            session.kill()
            session.wait()


def test_models_answer_on_an_emulated_board(tvm_with_cortex_m: Tvm, tmp_path: Path) -> None:
    names = ["archives/graph_c", "archives/aot_c"]
    found = tvm_with_cortex_m.report(
        "archives.py", tvm_with_cortex_m.platform.path, tmp_path, "mps2_an385", *names
    )
    assert found == dict.fromkeys(names, True)


def test_autotvm_tunes_with_a_local_runner(tvm: Tvm) -> None:
    found = tvm.report("local_runner.py", tvm.platform.path, 2)
    assert found["errors"] == [0, 0], found["costs"]


def test_inputs_have_the_names_of_the_trained_model(tvm: Tvm, tmp_path: Path) -> None:
    archive = CASES / "tflite_name_in_tvm_session" / "model.tar"
    names = ("serving_default_input:0", "serving_default_input_0", "input")
    found = tvm.report("input_names.py", tvm.platform.path, tmp_path, archive, *names)
    assert found["serving_default_input:0"] == found["serving_default_input_0"] == [1, 1, 12, 10]
    assert found["input"].endswith("no unique tensor input among: serving_default_input:0")


def test_an_input_whose_identifier_is_shared_is_found_by_its_name(tvm: Tvm, tmp_path: Path) -> None:
    archive = CASES / "colliding_input_names_swapped" / "model.tar"
    found = tvm.report("input_names.py", tvm.platform.path, tmp_path, archive, "x_1", "x.1", "x")
    assert found["x_1"] == found["x.1"] == [4]
    assert found["x"].endswith("no unique tensor x among: x_1 x.1")
