# SPDX-License-Identifier: Apache-2.0
"""Baked platforms: every combination of answers, file by file."""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set
from unittest import mock

import pytest
from cookiecutter.exceptions import FailedHookException

from runtime.host.boards.table import load_boards
from runtime.host.wire.api_client import ProjectApiClient
from tests.conftest import TEMPLATE, Baker, Platform

TABLE = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
QUESTIONS = {name: value for name, value in TABLE.items() if not name.startswith("_")}
CHOICES: Dict[str, List[str]] = {name: value for name, value in QUESTIONS.items() if isinstance(value, list)}
RENDERED = TEMPLATE / "{{cookiecutter.platform_slug}}"

# Combinations of answers that are refused, and their message. None yet.
FORBIDDEN: List[Dict[str, str]] = []

# Strings by question. Any, because bake() also has arguments of other types.
Answers = Dict[str, Any]

COMMON_FILES = {
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    "README.md",
    "boards.json",
    "docs/archives.md",
    "docs/boards-json.md",
    "docs/compile.md",
    "docs/customize.md",
    "docs/how-to/add-a-board.md",
    "docs/tuning.md",
    "docs/tvm.md",
    "microtvm_api_server.py",
    "mtvm.py",
    "mtvm.toml",
    "requirements-compile.txt",
    "requirements.txt",
    "models/digits_aot.tar",
    "models/digits_int8.onnx",
    "models/digits_int8.tar",
    "models/digits_test.npz",
}
FAMILY_FILES: Dict[str, Set[str]] = {
    "host": set(),
    "cortex_m": set(),
    "riscv": set(),
    "custom": {"port/board.c"},
}
BUILD_FILES = {"make": {"Makefile"}, "cmake": {"CMakeLists.txt"}}


def valid(answers: Answers) -> bool:
    return not any(answers.items() >= forbidden.items() for forbidden in FORBIDDEN)


def combinations() -> Iterator[Answers]:
    for values in itertools.product(*CHOICES.values()):
        answers = dict(zip(CHOICES, values))
        if valid(answers):
            yield answers


def runtime_files() -> Set[str]:
    return {
        path.relative_to(TEMPLATE).as_posix()
        for path in (TEMPLATE / "runtime").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".o", ".a"}
    }


def files_for(answers: Answers) -> Set[str]:
    return (
        COMMON_FILES
        | FAMILY_FILES[answers["board_family"]]
        | BUILD_FILES[answers["build_system"]]
        | runtime_files()
    )


@pytest.fixture(params=combinations(), ids=lambda answers: "-".join(answers.values()))
def answers(request: pytest.FixtureRequest) -> Answers:
    chosen: Answers = request.param
    return chosen


class TestQuestions:
    def test_there_are_at_most_six(self) -> None:
        assert 1 <= len(QUESTIONS) <= 6

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_each_has_a_sentence_and_each_choice_a_label(self, question: str) -> None:
        prompt = TABLE["__prompts__"][question]
        texts = [prompt] if isinstance(prompt, str) else list(prompt.values())
        if question in CHOICES:
            assert set(prompt) == {"__prompt__", *CHOICES[question]}
        for text in texts:
            assert len(text.split()) >= 3
            assert not set(text) & set("[]"), "Cookiecutter does not print square brackets."

    def test_every_family_is_a_choice_and_a_folder(self) -> None:
        folders = {path.name for path in (RENDERED / "families").iterdir()}
        assert folders == {"common", *CHOICES["board_family"]}, "common: the build files of several families"

    def test_c_is_never_rendered(self) -> None:
        sources = [
            path.relative_to(RENDERED).as_posix()
            for path in RENDERED.rglob("*")
            if path.suffix in {".c", ".h", ".S", ".ld", ".ino"}
        ]
        patterns = TABLE["_copy_without_render"]
        assert [name for name in sources if not any(fnmatch.fnmatch(name, each) for each in patterns)] == []


class TestEveryCombination:
    def test_has_exactly_its_files(self, bake: Baker, answers: Answers) -> None:
        assert bake(**answers).files() == files_for(answers)

    def test_leaves_no_jinja_behind(self, bake: Baker, answers: Answers) -> None:
        platform = bake(**answers)
        json_block = re.compile(r"^```json\n.*?^```$", re.MULTILINE | re.DOTALL)
        left = [
            (name, mark)
            for name in platform.rendered_files()
            if not any(fnmatch.fnmatch(name, pattern) for pattern in TABLE["_copy_without_render"])
            for mark in ("{{", "}}", "{%", "%}", "{#", "#}", "cookiecutter.")
            if mark in json_block.sub("", platform.text(name))
        ]
        assert left == []

    def test_reads_well(self, bake: Baker, answers: Answers) -> None:
        platform = bake(platform_name="Acme M4", **answers)
        assert platform.path.name == "acme_m4"
        assert platform.text("README.md").startswith("# Acme M4\n")
        compile(platform.text("microtvm_api_server.py"), "microtvm_api_server.py", "exec")
        boards = load_boards(platform.path / "boards.json").values()
        assert {board.family for board in boards} == {answers["board_family"]}
        for name in platform.rendered_files():
            assert platform.text(name).endswith("\n"), name
        assert "\n\n\n" not in platform.text("README.md")

    def test_runtime_is_a_copy(self, bake: Baker, answers: Answers) -> None:
        platform = bake(**answers)
        for name in runtime_files():
            assert (platform.path / name).read_bytes() == (TEMPLATE / name).read_bytes(), name


class TestTwice:
    def test_into_the_same_place_gives_the_same(self, bake: Baker, answers: Answers, tmp_path: Path) -> None:
        first = bake(into=tmp_path / "out", **answers)
        before = {name: (first.path / name).read_bytes() for name in first.files()}
        second = bake(into=tmp_path / "out", overwrite=True, **answers)
        assert {name: (second.path / name).read_bytes() for name in second.files()} == before

    def test_another_build_system_takes_the_place_of_the_first(self, bake: Baker, tmp_path: Path) -> None:
        bake(into=tmp_path / "out", build_system="make")
        platform = bake(into=tmp_path / "out", build_system="cmake", overwrite=True)
        assert platform.files() == files_for({"board_family": "host", "build_system": "cmake"})

    def test_replaces_runtime_whole_and_keeps_what_the_owner_added(self, bake: Baker, tmp_path: Path) -> None:
        path = bake(into=tmp_path / "out").path
        (path / "runtime" / "gone.py").write_text("")
        (path / "families").mkdir()
        (path / "families" / "owner.txt").write_text("mine")
        (path / "notes.txt").write_text("mine")
        platform = bake(into=tmp_path / "out", overwrite=True)
        assert "runtime/gone.py" not in platform.files()
        assert {"families/owner.txt", "notes.txt"} <= platform.files()

    @pytest.mark.parametrize(("build_system", "theirs"), [("make", "CMakeLists.txt"), ("cmake", "Makefile")])
    def test_keeps_the_owners_own_build_file(
        self, bake: Baker, build_system: str, theirs: str, tmp_path: Path
    ) -> None:
        own = tmp_path / "out" / "my_microtvm_platform" / theirs
        own.parent.mkdir(parents=True)
        own.write_text("# The firmware of our product\n")
        platform = bake(into=tmp_path / "out", build_system=build_system, overwrite=True)
        assert own.read_text() == "# The firmware of our product\n"
        assert platform.files() - {theirs} == files_for(
            {"board_family": "host", "build_system": build_system}
        )

    def test_keeps_the_c_of_the_owner_and_says_so(
        self, bake: Baker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        port = bake(into=tmp_path / "out", board_family="custom").path / "port"
        (port / "board.c").rename(port / "acme.c")
        (port / "acme.c").write_text("#include <microtvm/platform.h>\n/* mine */\n")
        for family in ("custom", "host", "custom"):
            bake(into=tmp_path / "out", board_family=family, overwrite=True)
            assert [path.name for path in port.iterdir()] == ["acme.c"]
            assert "mine" in (port / "acme.c").read_text()
            assert ("Kept unchanged: port/" in capfd.readouterr().out) == (family == "custom")

    @pytest.mark.parametrize("theirs", [None, "empty"])
    def test_brings_the_c_to_begin_with_where_there_is_none(
        self, bake: Baker, tmp_path: Path, theirs: Optional[str]
    ) -> None:
        path = bake(into=tmp_path / "out").path
        if theirs:
            (path / "port").mkdir()
        bake(into=tmp_path / "out", board_family="custom", overwrite=True)
        assert "FILL IN 5 of 5" in (path / "port" / "board.c").read_text()

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [("port", "port is a link or a file"), ("port/main.c", "port does not belong to a platform")],
    )
    def test_refuses_to_mix_its_c_with_what_is_not_a_platforms(
        self, bake: Baker, path: str, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        theirs = tmp_path / "out" / "my_microtvm_platform" / path
        theirs.parent.mkdir(parents=True)
        theirs.write_text("int main(void) { return 0; }\n")
        with pytest.raises(FailedHookException):
            bake(into=tmp_path / "out", board_family="custom", overwrite=True)
        assert self.refusals(capfd) == [sentence]
        bake(into=tmp_path / "out", board_family="host", overwrite=True)
        assert theirs.read_text() == "int main(void) { return 0; }\n"

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [
            ("runtime", "runtime is a link or a file"),
            ("runtime/main.c", "runtime does not belong to a platform"),
            ("families", "families is a link or a file"),
            ("models", "models is not a directory"),
            ("Makefile", "Makefile does not belong to a platform"),
            ("Makefile/notes.txt", "Makefile does not belong to a platform"),
        ],
    )
    def test_refuses_to_replace_what_is_not_a_platforms(
        self, bake: Baker, path: str, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        theirs = tmp_path / "out" / "my_microtvm_platform" / path
        theirs.parent.mkdir(parents=True)
        theirs.write_text("mine\n")
        with pytest.raises(FailedHookException):
            bake(into=tmp_path / "out", overwrite=True)
        assert self.refusals(capfd) == [sentence]
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [theirs]

    @pytest.mark.parametrize("goes_somewhere", [True, False])
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [("runtime", "runtime is a link or a file"), ("families", "families is a link or a file")],
    )
    def test_refuses_to_write_through_a_link(
        self,
        bake: Baker,
        name: str,
        sentence: str,
        goes_somewhere: bool,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        path = bake(into=tmp_path / "out").path
        (tmp_path / "elsewhere" / "host").mkdir(parents=True)
        (tmp_path / "elsewhere" / "host" / "boards.py").write_text("mine\n")
        if name == "runtime":
            shutil.rmtree(path / name)
        (path / name).symlink_to(tmp_path / ("elsewhere" if goes_somewhere else "nowhere"))
        with pytest.raises(FailedHookException):
            bake(into=tmp_path / "out", overwrite=True)
        assert self.refusals(capfd) == [sentence]
        assert (tmp_path / "elsewhere" / "host" / "boards.py").read_text() == "mine\n"

    def test_models_may_be_kept_elsewhere(self, bake: Baker, tmp_path: Path) -> None:
        platform = tmp_path / "out" / "my_microtvm_platform"
        platform.mkdir(parents=True)
        (tmp_path / "models").mkdir()
        (platform / "models").symlink_to(tmp_path / "models")
        bake(into=tmp_path / "out", overwrite=True)
        assert (tmp_path / "models" / "digits_aot.tar").is_file()

    def refusals(self, capfd: pytest.CaptureFixture[str]) -> List[str]:
        """Return the obstacles that the refused bake named."""
        start = "platform_slug 'my_microtvm_platform' names a directory whose "
        said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("platform_")]
        ends = [line[len(start) :].split(". Choose another directory, or move ") for line in said]
        return [what for what, _ in ends]


class TestReport:
    def test_names_the_next_commands(self, bake: Baker, capfd: pytest.CaptureFixture[str]) -> None:
        platform = bake()
        said = capfd.readouterr().out
        commands = [line.strip() for line in said.split("Next:\n")[1].split("\n\n")[0].splitlines()]
        assert commands[0] == f"cd {platform.path}"
        assert commands[-3:] == [
            "python -m pip install -r requirements.txt",
            "python -m pip install -r requirements-compile.txt",
            "python mtvm.py check",
        ]

    @pytest.mark.parametrize(
        ("build_system", "installs"),
        [("make", ["apt-get install make"]), ("cmake", ["apt-get install make", "apt-get install cmake"])],
    )
    def test_says_how_to_install_what_is_missing(
        self, bake: Baker, build_system: str, installs: List[str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        compiler = bake.scratch / "bin" / "cc"
        compiler.parent.mkdir()
        compiler.write_text("#!/bin/sh\n")
        compiler.chmod(0o755)
        with mock.patch.dict(os.environ, PATH=str(compiler.parent)):
            bake(build_system=build_system)
        said = capfd.readouterr().out
        assert f"found    C compiler     {compiler}" in said
        assert "install gcc" not in said
        for install in installs:
            assert f"sudo {install} " in said
        assert ("cmake" in said) == (build_system == "cmake")

    def test_names_the_packages_that_compile_models(self, bake: Baker, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\nsys.modules.update(dict.fromkeys(['tvm', 'tvm_ffi', 'ai_edge_litert']))\n"
        )
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"),
                *("--output-dir", str(tmp_path), "--config-file", str(bake.config_file)),
            ],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows = ran.stdout.split("Tools, optional, compiles your own models:\n")[1].split("\n\n")[0]
        assert [" ".join(row.split()) for row in rows.splitlines()] == [
            "missing apache-tvm",
            "missing apache-tvm-ffi",
            f"found onnx {sys.executable}",
            f"found onnxruntime {sys.executable}",
            "missing ai-edge-litert",
            "python -m pip install -r requirements-compile.txt",
        ]


def test_a_bake_that_fails_is_raised_with_its_sentence(
    bake: Baker,
) -> None:
    """Check that a failed bake raises: pytest-cookies alone would store the exception in its result."""
    with pytest.raises(FailedHookException, match="server_python 'python3' is not an absolute path"):
        bake(server_python="python3")
    with pytest.raises(ValueError, match="board_family"):
        bake(board_family="no such family")


def test_a_template_that_is_not_whole_says_so_and_leaves_nothing(
    bake: Baker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(TEMPLATE / "hooks", broken / "hooks")
    shutil.copytree(RENDERED, broken / RENDERED.name)
    for name in ("cookiecutter.json", "answer_rules.py", "needs_cookiecutter_2_6.py"):
        shutil.copy(TEMPLATE / name, broken / name)
    with pytest.raises(FailedHookException):
        bake(template=broken, into=tmp_path / "out")
    assert (
        "missing: runtime, docs/boards-json.md, docs/compile.md, examples/digits/digits_int8.onnx"
        in capfd.readouterr().err
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_no_input_needs_no_network(bake: Baker, tmp_path: Path) -> None:
    """Fail the bake on any connection or name lookup of Cookiecutter or a hook."""
    (tmp_path / "offline").mkdir()
    (tmp_path / "offline" / "sitecustomize.py").write_text(
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise RuntimeError(f'Network access: {event} {args}')\n"
        "sys.addaudithook(refuse)\n"
    )
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"),
            *("--output-dir", str(tmp_path / "out"), "--config-file", str(bake.config_file)),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "offline")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers = {name: choices[0] for name, choices in CHOICES.items()}
    assert Platform(tmp_path / "out" / "my_microtvm_platform").files() == files_for(answers)


class TestAnotherPython:
    """Launch scripts for server_python. TVM looks for them before the API server script."""

    NAMES = ("launch_microtvm_api_server.sh", "launch_microtvm_api_server.bat")

    @pytest.mark.parametrize("named", [False, True], ids=["TVM 0.11", "TVM 0.12"])
    def test_runs_the_server_of_platform_and_project(self, bake: Baker, tmp_path: Path, named: bool) -> None:
        odd = tmp_path / "o'clock $HOME"
        odd.mkdir()
        python = odd / "python"
        python.write_text(f'#!/bin/sh\necho ran >> "{tmp_path}/ran"\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        platform = bake(server_python=str(python))
        project = tmp_path / "project"
        archive = platform.path / "models/digits_aot.tar"
        with ProjectApiClient(platform.path) as server:
            server.generate_project(archive, project)
        for directory in (platform.path, project):
            assert {*self.NAMES} <= {path.name for path in directory.iterdir()}
            words = [self.NAMES[0], *(["microtvm_api_server.py"] if named else []), "--help"]
            done = subprocess.run(
                ["./" + words[0], *words[1:]], cwd=directory, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0 and "--read-fd" in done.stdout, done.stderr
        assert (tmp_path / "ran").read_text() == 3 * "ran\n"

    def test_is_taken_back_by_a_bake_without_one(self, bake: Baker, tmp_path: Path) -> None:
        bake(into=tmp_path / "out", server_python=sys.executable)
        platform = bake(into=tmp_path / "out", overwrite=True)
        assert not {*self.NAMES} & platform.files()

    def test_leaves_a_script_of_the_owner_alone(self, bake: Baker, tmp_path: Path) -> None:
        platform = bake(into=tmp_path / "out")
        (platform.path / self.NAMES[0]).write_text("#!/bin/sh\n# mine\n")
        bake(into=tmp_path / "out", overwrite=True)
        assert "mine" in platform.text(self.NAMES[0])
