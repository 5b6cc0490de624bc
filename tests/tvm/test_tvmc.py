# SPDX-License-Identifier: Apache-2.0
"""TVM's own command line on a platform, as in docs/tvm.md and docs/archives.md of the platform."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import pytest

from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from tests.conftest import TEMPLATE, Baker
from tests.tvm.conftest import PROGRAMS, Tvm

pytestmark = pytest.mark.slow

ARCHIVES = TEMPLATE / "tests" / "data" / "archives"
Tvmc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def tvmc(tvm: Tvm) -> Iterator[Tvmc]:
    """Yield a function that runs TVM's command line on the default platform in a new process.

    The processes are forks of one interpreter, because an import of TVM takes longer than most commands.
    """
    with tvm.start(PROGRAMS / "tvmc_lines.py") as program:
        stdin, stdout = program.stdin, program.stdout
        assert stdin is not None and stdout is not None

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            words = [str(argument) for argument in arguments]
            stdin.write(json.dumps(words) + "\n")
            stdin.flush()
            return subprocess.CompletedProcess(words, **json.loads(stdout.readline()))

        yield run


def make_project(tvm: Tvm, directory: Path) -> Path:
    """Generate a project, without TVM to save time. The project is not built."""
    generate(load_platform(tvm.platform.path), ARCHIVES / "aot_c.tar", directory, {})
    return directory


def test_the_page_about_tvm_works(tvm_python: str, bake: Baker) -> None:
    tvm = Tvm(tvm_python, bake())
    section = tvm.platform.text("docs/tvm.md").split("\n## TVM's own C runtime\n")[0]
    section += tvm.platform.text("docs/archives.md").split("\n## Make an archive\n")[1]
    commands = re.findall(r"^(python mtvm\.py (?:.*\\\n)*.*)", section, re.MULTILINE)
    programs = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(command.replace("\\\n", " "))[1:] for command in commands]
    assert [line[1:3] for line in lines[3:]] == [
        ["tvmc", "run"],
        ["tvmc", "compile"],
        ["run", "models/mine.tar"],
    ]
    tvm.report("onnx_model.py", tvm.platform.path)
    for line in lines:
        ran = tvm.run(*line)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        if line[1:3] == ["tvmc", "run"]:
            assert ran.stdout.startswith("[[   2    0    4    7]\n"), ran.stdout
    with np.load(tvm.platform.path / "outputs.npz") as got, np.load(
        tvm.platform.path / "references.npz"
    ) as want:
        for reference in ("onnx", "tvm"):
            np.testing.assert_allclose(got["output_0"], want[reference], rtol=1e-5, atol=1e-7)
    for program in (*programs, *programs):  # twice, as in a notebook
        ran = tvm.run("-c", program)
        assert ran.returncode == 0, ran.stderr
        pairs = [line.split() for line in ran.stdout.splitlines()]
        assert len(pairs) == 5 and all(label == answer for label, answer in pairs)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (
            "import importlib.util as util; find = util.find_spec;"
            "util.find_spec = lambda name, *more: None if name == 'onnx' else find(name, *more)",
            "which is not installed",
        ),
        ("import onnx; sys.modules['onnx.mapping'] = None", "TVM cannot use the Python package onnx"),
    ],
)
def test_an_onnx_package_that_is_missing_or_too_new_is_named(
    tvm_python: str, bake: Baker, before: str, words: str
) -> None:
    tvm = Tvm(tvm_python, bake())
    tvm.report("onnx_model.py", tvm.platform.path)
    program = (
        f"import runpy, sys; {before}; sys.argv[1:] = ['tvmc', 'compile', 'model.onnx', '--target', 'c'];"
        "runpy.run_module('runtime.host', run_name='__main__', alter_sys=True)"
    )
    refused = tvm.run("-c", program)
    said = refused.stdout + refused.stderr
    assert refused.returncode == 1 and words in said and "onnx>=1.13,<1.19" in said, said
    assert "Traceback" not in said


def test_a_model_goes_from_its_archive_to_its_answer(tvmc: Tvmc, tmp_path: Path) -> None:
    project = tmp_path / "project"
    on_platform = ("template", "--template-dir", ".")
    model = ARCHIVES / "graph_c.tar"

    options = ("--project-option", "optimization=O1", "verbose=false", "workspace_size_bytes=65536")
    made = tvmc("micro", "create-project", project, model, *on_platform, *options)
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    assert {"model.tar", "project.json", "microtvm_api_server.py"} <= {
        path.name for path in project.iterdir()
    }
    assert not (project / "build").exists()

    built = tvmc("micro", "build", project, *on_platform)
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    assert (project / "build" / "firmware").is_file()

    arrays = np.load(ARCHIVES / "graph_c.npz")
    np.savez(tmp_path / "inputs.npz", x=arrays["input_x"])
    ran = tvmc(
        "run", "--device", "micro", project, "-i", tmp_path / "inputs.npz", "-o", tmp_path / "outputs.npz"
    )
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npz")["output_0"], arrays["output_0"], rtol=1e-5)


def test_a_build_that_is_there_is_made_anew_only_by_force(tvm: Tvm, tvmc: Tvmc, tmp_path: Path) -> None:
    project = make_project(tvm, tmp_path / "project")
    on_platform = ("template", "--template-dir", ".")
    (project / "build").mkdir()
    refused = tvmc("micro", "build", project, *on_platform)
    assert refused.returncode == 4 and "There is already a build" in refused.stderr
    assert tvmc("micro", "build", "-f", project, *on_platform).returncode == 0
    assert (project / "build" / "firmware").is_file()
    ran = tvmc("run", "--device", "micro", project, "--fill-mode", "ones", "--print-top", "1")
    assert (ran.returncode, ran.stdout) == (0, "[[0.        ]\n [0.84070277]]\n"), ran.stderr


def test_help_lists_the_options_of_the_platform(tvmc: Tvmc) -> None:
    shown = tvmc(
        *("micro", "create-project", "p", ARCHIVES / "graph_c.tar", "template", "--template-dir", ".", "-h")
    ).stdout
    rows = re.findall(r"^ +(\w+)=(.*)\n +(.*)$", shown, re.MULTILINE)
    helps = {name: (choices, text) for name, choices, text in rows}
    assert helps["board"] == ("{host}", "board to build for: host. Defaults to 'host'.")
    assert helps["verbose"][0] == "{true, false}"
    assert {"project_type", "workspace_size_bytes", "optimization", "crt", "serial_number"} <= set(helps)
    # tvmc writes the first letter in lower case, which would change a name or an abbreviation.
    for _, text in helps.values():
        assert re.match(r"(?:an? |the |[a-z]+ )?[.a-z_]", text) and text.endswith(".")
    assert not re.search(r"\b(c definitions|tVM|rAM|uSB|iD)\b", shown)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("baord=host", "Option 'baord' is invalid."),
        ("workspace_size_bytes=many", 'got str "many".\nSet "workspace_size_bytes" to an integer'),
        ("extra_files_tar=/no/such.tar", "/no/such.tar"),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence(
    tvmc: Tvmc, tmp_path: Path, option: str, words: str
) -> None:
    refused = tvmc(
        *("micro", "create-project", tmp_path / "project", ARCHIVES / "graph_c.tar"),
        *("template", "--template-dir", ".", "--project-option", option),
    )
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert words in said and "Traceback" not in said
    assert not (tmp_path / "project").exists()


def test_what_is_no_project_and_no_platform(tvm: Tvm, tvmc: Tvmc, tmp_path: Path) -> None:
    project = make_project(tvm, tmp_path / "project")
    create = shlex.split(f"micro create-project p {ARCHIVES / 'graph_c.tar'} template --template-dir")
    for arguments, words in (
        (("micro", "build", ".", "template", "--template-dir", "."), "is a platform, which has no model"),
        ((*create, project), "is a generated project"),
        ((*create, tmp_path), "Project API server not found"),
    ):
        refused = tvmc(*arguments)
        said = refused.stdout + refused.stderr
        assert refused.returncode != 0 and words in said and "Traceback" not in said


def test_a_process_of_tvmc_that_gets_no_session_ends_with_a_sentence(tvm: Tvm, tmp_path: Path) -> None:
    refused = tvm.tvmc("run", "--device", "micro", make_project(tvm, tmp_path / "project"))
    said = refused.stdout + refused.stderr
    assert refused.returncode > 0 and "firmware does not exist" in said and "Traceback" not in said
