# SPDX-License-Identifier: Apache-2.0
"""Command line as a process in a platform or project: output and exit status."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import pytest

from runtime.host.boards.table import load_boards
from runtime.host.project.options import project_options
from tests.conftest import Platform
from tests.support.api_server import read_some, wait_for_end
from tests.support.cases import CASES

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = ROOT / "tests" / "data" / "archives"
DIGITS = "models/digits_aot.tar"
SMALL = str(ARCHIVES / "aot_c.tar")  # compiles quickly
COMMANDS = (
    *(
        "bench",
        "boards",
        "build",
        "check",
        "clean",
        "compile",
        "completion",
        "flash",
        "inspect",
        "monitor",
        "ports",
        "run",
        "serve",
    ),
    *("size", "tvmc", "verify"),
)
ON_PROJECTS = ("bench", "build", "flash", "run", "size", "verify")
TABLE_OF = {"size": "all", "bench": "on the device"}
CRASHES = """
#include <stdlib.h>
__attribute__((constructor)) static void crash(void) { abort(); }
"""
# Opens a pipe, which reports when the process exits, and ignores the end of its input.
HANGS = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void hang(void) {{
  if (write(open("{fifo}", O_WRONLY), "x", 1) == 1) for (;;) pause();
}}
"""


@dataclass
class Place:
    """Platform or project, and its command line."""

    path: Path

    def start(
        self,
        *arguments: str,
        python: Tuple[str, ...] = (sys.executable,),
        module: str = "",
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Start mtvm.py, or a module in its place."""
        program = ["-m", module] if module else [str(self.path / "mtvm.py")]
        return subprocess.Popen(
            [*python, *program, *arguments],
            cwd=self.path,
            env={**os.environ, "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, python: Tuple[str, ...] = (sys.executable,), **environment: str) -> str:
        """Return the output of a command that must succeed."""
        with self.start(*arguments, python=python, **environment) as process:
            said, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, ""), said + complaint
        return said

    def fail(
        self,
        *arguments: str,
        status: int = 1,
        python: Tuple[str, ...] = (sys.executable,),
        module: str = "",
        **environment: str,
    ) -> str:
        """Return all output of a command that must fail with this exit status and without a traceback."""
        with self.start(*arguments, python=python, module=module, **environment) as process:
            said, complaint = process.communicate(timeout=60)
        assert process.returncode == status, said + complaint
        assert "Traceback" not in said + complaint
        if status == 1:
            assert "next:" in said + complaint
        return said + complaint

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def projects(self) -> List[str]:
        return sorted(path.name for path in self.path.glob("projects/*"))


@pytest.fixture(scope="module")
def platform(default_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a platform in which the tests of this file generate projects."""
    return Place(shutil.copytree(default_platform.path, tmp_path_factory.mktemp("cli") / "platform"))


@pytest.fixture(scope="module")
def project(platform: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a built project of the digits model. Tests must not change it."""
    path = tmp_path_factory.mktemp("project") / "digits"
    platform.run("build", DIGITS, "--project-dir", str(path))
    return Place(path)


@pytest.fixture
def own_platform(default_platform: Platform, tmp_path: Path) -> Place:
    """Return a platform that a test may change."""
    return Place(shutil.copytree(default_platform.path, tmp_path / "platform"))


@pytest.fixture
def own_project(project: Place, tmp_path: Path) -> Place:
    """Return a project that a test may change."""
    return Place(shutil.copytree(project.path, tmp_path / "digits"))


def saved(path: Path, array: Any) -> str:
    np.save(path, array)
    return str(path)


def flash_with(platform: Place, *command: str) -> None:
    platform.edit(
        "microtvm_api_server.py", "flash_command=None", f"flash_command={{'host': {list(command)!r}}}"
    )


class TestHelp:
    def test_lists_the_commands(self, platform: Place) -> None:
        said = platform.run("--help")
        assert tuple(re.findall(r"^  (\w+)  ", said.split("Commands:")[1], re.MULTILINE)) == COMMANDS
        assert "..." not in said.split("Commands:")[1], "a summary that is too long is cut off"

    @pytest.mark.parametrize("command", [name for name in COMMANDS if name != "tvmc"])
    def test_of_a_command(self, platform: Place, command: str) -> None:
        assert platform.run(command, "-h").startswith(f"Usage: python mtvm.py {command} ")

    @pytest.mark.parametrize("command", ON_PROJECTS)
    def test_lists_the_project_options_of_the_table(self, platform: Place, command: str) -> None:
        said = platform.run(command, "--help").split("Project options")[1]
        listed = re.findall(r"^  (\w+)  ", said, re.MULTILINE)
        table = project_options(load_boards(platform.path / "boards.json"))
        attachment = ("serial_number", "port", "baud_rate", "runner")
        names = [option.name for option in table if option.name not in ("verbose", *attachment)]
        assert listed == (names if command == "build" else [*names, *attachment])
        words = " ".join(said.split())
        assert all(option.help in words for option in table if option.name in listed)
        assert "[default: O2]" in words

    def test_works_where_the_boards_do_not(self, own_platform: Place) -> None:
        (own_platform.path / "boards.json").write_text("{")
        assert "They cannot be listed" in own_platform.run("build", "--help")


class TestWrongCommandLines:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "Commands:"),
            (("biuld",), 'There is no command "biuld". Did you mean "build"?'),
            (("run", "--inpu", "x.npy"), "No such option '--inpu'"),
            (("run", "--input"), "requires an argument"),
            (("ports", "extra"), "unexpected extra argument"),
            (("bench", DIGITS, "--number", "0"), "0 is not in the range"),
            (("bench", DIGITS, "--number", "many"), "'many' is not a valid integer"),
        ],
    )
    def test_are_refused_with_status_2(self, platform: Place, arguments: Tuple[str, ...], words: str) -> None:
        if not arguments and metadata.version("click") < "8.2":
            pytest.skip("click before 8.2 exits with 0 after the help")
        assert words in platform.fail(*arguments, status=2)

    @pytest.mark.parametrize(
        ("assignment", "words"),
        [
            ("bord=host", 'Did you mean "board"?'),
            ("board=hots", 'Did you mean "host"?'),
            ("board", "Write it as -o board=VALUE."),
            ("=host", "has no name"),
            ("standalone_input=boards.json", "applies to project_type=standalone only"),
            ("optimization=O9", "expected one of O0, O1, O2, O3, Os"),
            ("warning_as_error=perhaps", 'Set "warning_as_error" to true or false'),
            ("workspace_size_bytes=much", 'Set "workspace_size_bytes" to an integer'),
            ("serial_number=1", "The command build does not use the project option serial_number."),
            ("extra_files_tar=nosuch.tar", "nosuch.tar"),
        ],
    )
    def test_of_project_options_say_what_to_write(self, platform: Place, assignment: str, words: str) -> None:
        before = platform.projects()
        assert words in platform.fail("build", DIGITS, "-o", assignment)
        assert platform.projects() == before

    def test_an_option_given_twice(self, platform: Place) -> None:
        said = platform.fail("build", DIGITS, "-o", "optimization=O1", "-o", "optimization=O2")
        assert "-o optimization is a duplicate" in said
        said = platform.fail("build", DIGITS, "--board", "host", "-o", "board=host")
        assert "-o board is a duplicate of --board" in said

    def test_a_board_by_name(self, platform: Place) -> None:
        assert 'expected one of host, got str "hots"' in platform.fail("build", DIGITS, "--board", "hots")

    def test_a_port_of_a_board_that_has_none(self, platform: Place, project: Place) -> None:
        serve = ("serve", "--tracker", "127.0.0.1:9190", "--key", "lab")
        for said in (project.fail("run", "--port", "9199"), platform.fail(*serve, "--port", "9199")):
            assert "Board 'host' runs as a process on this machine: --port does not apply." in said


class TestWhere:
    def test_neither_platform_nor_project(self, platform: Place, tmp_path: Path) -> None:
        place = Place(tmp_path)
        for command in (("boards",), ("check",), ("build", DIGITS)):
            said = place.fail(*command, module="runtime.host", PYTHONPATH=str(platform.path))
            assert "is neither a platform nor a project" in said

    @pytest.mark.parametrize("command", ON_PROJECTS)
    def test_a_platform_wants_a_model(self, platform: Place, command: str) -> None:
        said = platform.fail(command)
        assert "needs a model file or a model archive" in said and "run models/digits_int8.onnx" in said

    @pytest.mark.parametrize("extra", [(DIGITS,), ("-o", "optimization=O0"), ("--project-dir", "x")])
    def test_a_project_has_its_model(self, project: Place, extra: Tuple[str, ...]) -> None:
        assert "This directory is a generated project: " in project.fail("build", *extra)

    @pytest.mark.parametrize(
        ("mistake", "words"),
        [
            ("PLATFORM = (", "SyntaxError"),
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("PLATFORM = Platform(HERE, 'x', 'ninja')", "Use one of: make, cmake"),
            ("PLATFORM = Platform(HERE, 'x', 'make', flash='x')", "unexpected keyword argument 'flash'"),
            ("PLATFORM = None", "does not define PLATFORM"),
        ],
    )
    def test_a_mistake_of_the_owner_is_shown_where_it_is(
        self, own_platform: Place, mistake: str, words: str
    ) -> None:
        own_platform.edit("microtvm_api_server.py", "class Handler", f"{mistake}\n\n\nclass Handler")
        with own_platform.start("boards") as process:
            _, complaint = process.communicate()
        assert process.returncode == 1
        assert complaint.startswith("error: ") and "\nnext:  " in complaint
        assert words in complaint and "runpy" not in complaint


class TestModels:
    def test_a_missing_one(self, platform: Place) -> None:
        assert "There is no file nosuch.tar." in platform.fail("build", "nosuch.tar")

    def test_a_directory(self, platform: Place) -> None:
        assert "models is a directory, not a model archive." in platform.fail("build", "models")

    def test_what_is_none(self, platform: Place) -> None:
        assert "README.md is not a tar file" in platform.fail("run", "README.md")

    @pytest.mark.parametrize(
        ("name", "words"), [("m.keras", "a Keras model"), ("m.pt", "a PyTorch model that has Python objects")]
    )
    def test_one_of_another_kind_is_named(
        self, platform: Place, tmp_path: Path, name: str, words: str
    ) -> None:
        (tmp_path / name).write_bytes(b"\x08\x0a\x12\x07pytorch" * 100)
        said = platform.fail("run", str(tmp_path / name))
        assert f"is {words}, not a model archive." in said and "docs/compile.md" in said

    def test_one_cut_short(self, platform: Place, tmp_path: Path) -> None:
        cut = tmp_path / "cut.tar"
        data = (platform.path / DIGITS).read_bytes()
        cut.write_bytes(data[: len(data) // 2])
        assert str(cut) in platform.fail("run", str(cut))

    def test_one_of_an_odd_name(self, platform: Place, tmp_path: Path) -> None:
        odd = tmp_path / ("it's [red] $HOME;#" + "x" * 200 + ".tar")
        shutil.copy(platform.path / DIGITS, odd)
        assert "output 0" in platform.run("run", str(odd))

    def test_a_directory_that_cannot_be_written(self, platform: Place) -> None:
        said = platform.fail("build", DIGITS, "--project-dir", f"{os.devnull}/project")
        assert f"{os.devnull}: " in said and "disk is not full" in said


class TestProjects:
    @pytest.mark.slow
    def test_the_same_model_has_the_same_project_and_another_has_another(self, own_platform: Place) -> None:
        for command in ("build", "size", "run"):
            own_platform.run(command, DIGITS)
        (first,) = own_platform.projects()
        assert re.fullmatch("digits_aot-[0-9a-f]{8}", first)
        own_platform.run("build", DIGITS, "-o", "optimization=O1")
        shutil.copy(ARCHIVES / "aot_c.tar", own_platform.path / DIGITS)
        own_platform.run("build", DIGITS)
        assert len(own_platform.projects()) == 3

    def test_an_edited_project_is_kept(self, own_platform: Place) -> None:
        own_platform.run("build", DIGITS)
        (name,) = own_platform.projects()
        note = own_platform.path / "projects" / name / "note.txt"
        note.write_text("mine")
        own_platform.run("build", DIGITS)
        assert note.read_text() == "mine"

    @pytest.mark.parametrize("changed", ["Makefile", "boards.json", "runtime/device/src/framing.c"])
    def test_a_changed_platform_makes_another_project(self, own_platform: Place, changed: str) -> None:
        with own_platform.start("flash", DIGITS, "--dry-run") as first:
            first.communicate()
        path = own_platform.path / changed
        path.write_text(path.read_text() + "\n")
        own_platform.run("flash", DIGITS, "--dry-run")
        assert len(own_platform.projects()) == 2

    @pytest.mark.slow
    def test_a_changed_file_of_an_option_makes_another_project(
        self, own_platform: Place, tmp_path: Path
    ) -> None:
        file = tmp_path / "input.npy"
        options = ("-o", "project_type=standalone", "-o", f"standalone_input={file}")
        reports = []
        for value in (1, 9):
            saved(file, np.full((1, 1, 8, 8), value, "int8"))
            reports.append(own_platform.run("run", DIGITS, *options))
        assert len(own_platform.projects()) == 2
        assert reports[0] != reports[1]

    def test_a_directory_that_is_a_project_is_not_generated_again(
        self, platform: Place, project: Place
    ) -> None:
        said = platform.fail("build", DIGITS, "--project-dir", str(project.path))
        assert "is a project already" in said and f"-C {project.path} COMMAND" in said

    def test_a_directory_with_other_files_is_left_alone(self, platform: Place, tmp_path: Path) -> None:
        (tmp_path / "precious.txt").write_text("mine")
        said = platform.fail("build", DIGITS, "--project-dir", str(tmp_path))
        assert "exists already and is not an empty directory" in said
        assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


class TestBoards:
    def test_one_is_shown_in_full_on_any_terminal(self, platform: Place) -> None:
        said = platform.run("boards", COLUMNS="30")
        board = load_boards(platform.path / "boards.json")["host"]
        assert said.startswith("host (default)\n")
        assert board.label in said and "flash no limit, RAM no limit" in said

    def test_broken_ones_are_named(self, own_platform: Place) -> None:
        own_platform.edit("boards.json", '"device_port": "host"', '"device_prot": "host"')
        assert 'Did you mean "device_port"?' in own_platform.fail("boards")


class TestBuild:
    def test_names_stages_project_and_firmware(self, project: Place) -> None:
        said = project.run("build", MICROTVM_CACHE_DIR=os.devnull)
        assert re.search(r"^runtime +\d+\.\d\d s$", said, re.MULTILINE)
        assert f"project    {project.path}\n" in said
        assert f"firmware   {project.path}/build/firmware\n" in said

    @pytest.mark.slow
    def test_verbose_shows_the_commands(self, own_project: Place, tmp_path: Path) -> None:
        with own_project.start("build", "-v", MICROTVM_CACHE_DIR=str(tmp_path / "cache")) as process:
            _, shown = process.communicate()
        assert process.returncode == 0
        assert "\n$ " in f"\n{shown}" and "-c model/codegen/host/src" in shown

    def test_a_compiler_error_is_shown_as_the_compiler_wrote_it(self, own_project: Place) -> None:
        """Use ":100:" and [i], which rich would replace by an emoji and read as markup."""
        source = next((own_project.path / "model/codegen/host/src").glob("*lib0.c"))
        source.write_text("\n" * 99 + "int a[2]; int f(int i) { return a[i] + nonsense[/i]; }\n")
        said = own_project.fail("build", COLUMNS="40")
        error, next_step, *log = said.splitlines()
        assert error.startswith("error: The build failed while compiling the model: ")
        assert "lib0.c:100:" in error
        assert next_step.startswith("next:  ")
        assert log[0].startswith("$ ") and any("nonsense[/i]" in line for line in log)

    @pytest.mark.parametrize("name", ["[bold]", ":100: x", "ünïcödé"])
    def test_odd_paths_are_shown_as_they_are(self, own_project: Place, tmp_path: Path, name: str) -> None:
        own_project.path.rename(tmp_path / name)
        said = Place(tmp_path / name).run("build")
        assert f"project    {tmp_path / name}\n" in said

    def test_a_path_that_the_terminal_cannot_show(self, own_project: Place, tmp_path: Path) -> None:
        own_project.path.rename(tmp_path / "ünïcödé")
        assert "\\xfcn\\xefc" in Place(tmp_path / "ünïcödé").run("size", "-v", PYTHONIOENCODING="ascii") + (
            Place(tmp_path / "ünïcödé").run("build", PYTHONIOENCODING="ascii")
        )


class TestSizeAndBench:
    @pytest.mark.parametrize("command", TABLE_OF)
    def test_print_a_table_in_platform_and_project(
        self, platform: Place, project: Place, command: str
    ) -> None:
        for said in (project.run(command), platform.run(command, DIGITS)):
            assert re.search(rf"{TABLE_OF[command]} .*\d", said)

    def test_numbers_are_whole_on_a_narrow_terminal(self, project: Place) -> None:
        said = project.run("bench", "--number", "1", COLUMNS="30")
        numbers = re.findall(r"\d+\.\d{3}(?!\d)", said)
        assert len(numbers) == 6 and "\u2026" not in said, said


class TestRun:
    def test_the_outputs_are_those_of_the_host(self, project: Place, platform: Place, tmp_path: Path) -> None:
        with np.load(platform.path / "models/digits_test.npz") as data:
            image, expected = data["images"][3:4], data["expected"][3]
        outputs = tmp_path / "outputs"
        file = saved(tmp_path / "image.npy", image)
        for place, model in ((project, ()), (platform, (DIGITS,))):
            said = place.run("run", *model, "--input", file, "--output", str(outputs))
            assert "output 0: int32 [1, 10]" in said and f"written to {outputs}" in said
            with np.load(outputs) as written:
                assert written.files == ["output_0"]
                np.testing.assert_array_equal(written["output_0"].ravel(), expected.ravel())

    @pytest.mark.slow
    def test_inputs_by_name_and_from_an_npz(self, platform: Place, tmp_path: Path) -> None:
        archive = ARCHIVES / "aot_c_many.tar"
        with np.load(archive.with_suffix(".npz")) as data:
            recorded = dict(data)
        inputs = {name[6:]: array for name, array in recorded.items() if name.startswith("input_")}
        assert len(inputs) > 1
        by_name = [f"{name}={saved(tmp_path / f'{name}.npy', array)}" for name, array in inputs.items()]
        arguments = [word for text in by_name for word in ("-i", text)]
        for given in (arguments, ["-i", str(archive.with_suffix(".npz"))]):
            platform.run("run", str(archive), *given, "--output", str(tmp_path / "out.npz"))
            with np.load(tmp_path / "out.npz") as written:
                for name in written.files:
                    np.testing.assert_allclose(
                        written[name].ravel(), recorded[name].ravel(), rtol=1e-5, atol=1e-5
                    )
        said = platform.fail("run", str(archive), "-i", by_name[0].partition("=")[2])
        assert "has no input name" in said and ", ".join(inputs) in said

    def test_an_input_that_is_left_out_is_named(self, platform: Place, tmp_path: Path) -> None:
        """Leave out one of the inputs z:0 and a:0; the model computes z - 2a."""
        archive = str(CASES / "input_left_out_is_counted" / "model.tar")
        given = saved(tmp_path / "z.npy", np.zeros(4, "float32"))
        said = platform.fail("run", archive, "-i", f"z:0={given}")
        assert "No file contains input 'a:0' of the model." in said and "--fill" in said
        said = platform.run("run", archive, "-i", f"z:0={given}", "--fill")
        assert "[ 0. -2. -4. -6.]" in said
        assert "input a:0: no file" in said and "input z:0: no file" not in said
        said = platform.run("run", archive)
        assert "[ 0. -1. -2. -3.]" in said
        assert "input a:0: no file" in said and "input z:0: no file" in said

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros((1, 1, 8, 8), "float32"), "expected int8 [1, 1, 8, 8], 64 bytes, got float32"),
            (np.zeros((1, 1, 8, 9), "int8"), "got int8 [1, 1, 8, 9], 72 bytes"),
            (np.zeros((8, 8), "int8"), "got int8 [8, 8], 64 bytes"),
            (np.array([{}]), "is not a .npy or .npz file"),
        ],
        ids=["type", "size", "shape", "object"],
    )
    def test_an_array_that_does_not_fit(
        self, project: Place, tmp_path: Path, array: object, words: str
    ) -> None:
        assert words in project.fail("run", "-i", saved(tmp_path / "x.npy", array))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("nosuch.npy", "nosuch.npy cannot be read: No such file"),
            ("README.md", "README.md is damaged, or is not a .npy or .npz file"),
            ("cut.npz", "cut.npz is damaged"),
            ("nosuch={good}", "The model has no input 'nosuch'."),
        ],
    )
    def test_a_file_that_is_no_input(self, own_project: Place, tmp_path: Path, text: str, words: str) -> None:
        good = saved(tmp_path / "good.npy", np.zeros((1, 1, 8, 8), "int8"))
        np.savez(own_project.path / "whole.npz", a=np.zeros(100))
        (own_project.path / "cut.npz").write_bytes((own_project.path / "whole.npz").read_bytes()[:300])
        assert words in own_project.fail("run", "-i", text.format(good=good))

    def test_an_input_given_twice(self, project: Place, tmp_path: Path) -> None:
        good = saved(tmp_path / "good.npy", np.zeros((1, 1, 8, 8), "int8"))
        assert "has more than one file" in project.fail("run", "-i", good, "-i", good)

    def test_an_output_does_not_overwrite_what_the_command_reads(
        self, own_platform: Place, tmp_path: Path
    ) -> None:
        file = saved(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), "int8"))
        before = (own_platform.path / DIGITS).read_bytes()
        for output in (DIGITS, file):
            said = own_platform.fail("run", DIGITS, "-i", f"image={file}", "--output", output)
            assert f"--output would overwrite {output}" in said
        assert (own_platform.path / DIGITS).read_bytes() == before and np.load(file).shape == (1, 1, 8, 8)

    def test_an_output_that_cannot_be_written(self, project: Place) -> None:
        assert "cannot be written" in project.fail("run", "--output", f"{os.devnull}/out.npz")

    @pytest.mark.slow
    def test_a_standalone_project_reports(self, platform: Place, tmp_path: Path) -> None:
        options = (DIGITS, "-o", "project_type=standalone")
        assert "int32" in platform.run("run", *options)
        assert "-o standalone_input=FILE" in platform.fail("run", *options, "-i", "x.npy")
        assert "--output does not apply" in platform.fail("run", *options, "--output", "x.npz")
        assert "standalone" in platform.fail("bench", *options)

    @pytest.mark.parametrize("project_type", ["host_driven", "standalone"])
    def test_a_device_that_crashes_is_named_with_its_signal(
        self, platform: Place, tmp_path: Path, project_type: str
    ) -> None:
        place = ("--project-dir", str(tmp_path / "p"), "-o", f"project_type={project_type}")
        platform.run("flash", SMALL, "--dry-run", *place)
        config = tmp_path / "p" / "src" / "model_config.c"
        config.write_text(config.read_text() + CRASHES)
        said = Place(tmp_path / "p").fail("run")
        assert "by SIGABRT" in said and "debugger" in said


class TestFlash:
    def test_a_process_is_not_flashed(self, project: Place) -> None:
        assert project.run("flash").startswith("Nothing to flash")
        assert project.run("flash", "--dry-run").startswith("Nothing to flash")

    def test_a_dry_run_prints_the_command_and_builds_nothing(self, own_platform: Place) -> None:
        flash_with(own_platform, "openocd", "-c", "program {firmware} verify", "-s", "{serial_number}")
        said = own_platform.run("flash", DIGITS, "--dry-run", "--serial-number", "E0 1")
        (name,) = own_platform.projects()
        firmware = own_platform.path / "projects" / name / "build" / "firmware"
        assert said.splitlines() == [
            f"cd {own_platform.path / 'projects' / name}",
            f"openocd -c 'program {firmware} verify' -s 'E0 1'",
        ]
        assert not firmware.parent.exists()

    def test_check_fails_where_only_a_process_answered_for_a_real_board(self, own_platform: Place) -> None:
        own_platform.edit("microtvm_api_server.py", "flash_command=None", "flash_command=['true']")
        own_platform.edit("microtvm_api_server.py", "port=None", "port='/dev/nosuch'")
        said = own_platform.fail("check")
        assert "reached: host, a process on this machine" in said
        assert "not reached: flash_command of microtvm_api_server.py (not run)" in said
        assert "not reached: port /dev/nosuch of microtvm_api_server.py (not opened)" in said
        assert "The real board was not checked." in said and "Everything works" not in said
        said = own_platform.run("check", "--board", "host")
        assert said.endswith("The board that was named works.\n")

    def test_the_command_is_run_before_the_model_is(self, own_platform: Place, tmp_path: Path) -> None:
        note = tmp_path / "flashed"
        flash_with(own_platform, "sh", "-c", f"test -x {{firmware}} && echo {{serial_number}} >> {note}")
        said = own_platform.run("flash", DIGITS, "--serial-number", "17")
        assert "Flashed " in said and note.read_text() == "17\n"
        own_platform.run("run", DIGITS)
        assert note.read_text() == "17\n\n"

    def test_a_command_that_fails_is_shown_with_its_exit_code_and_output(self, own_platform: Place) -> None:
        flash_with(own_platform, "sh", "-c", "echo no device found; exit 7")
        for command in ("flash", "run", "bench"):
            said = own_platform.fail(command, DIGITS)
            assert "The flash command exited with status 7: sh -c 'echo no device found; exit 7'" in said
            assert "\nno device found\n" in said and "flash_command in microtvm_api_server.py" in said

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (("no-such-flasher", "{firmware}"), "no-such-flasher is not installed"),
            (("extra/flash.sh",), "extra/flash.sh is missing or not executable"),
            (("echo", "{frimware}"), "Use only the fields {firmware}, {project}, {serial_number}"),
            (("echo", "{"), "Double a brace"),
            (("echo", "{}"), "Use only the fields"),
            (("echo", "{firmware.x}"), "Use only the fields"),
        ],
    )
    def test_a_command_that_cannot_be_run(
        self, own_platform: Place, command: Tuple[str, ...], words: str
    ) -> None:
        flash_with(own_platform, *command)
        assert words in own_platform.fail("flash", DIGITS)

    def test_a_script_of_the_platform_goes_along_with_the_project(self, own_platform: Place) -> None:
        script = own_platform.path / "extra" / "flash.sh"
        script.parent.mkdir()
        script.write_text("#!/bin/sh\npwd > flashed\n")
        script.chmod(0o755)
        flash_with(own_platform, "extra/flash.sh")
        own_platform.run("flash", DIGITS)
        (name,) = own_platform.projects()
        place = own_platform.path / "projects" / name
        assert (place / "flashed").read_text() == f"{place}\n"


@pytest.mark.slow
class TestStopping:
    @pytest.fixture
    def fifo(self, tmp_path: Path) -> Iterator[Tuple[Path, int]]:
        """Yield a named pipe, and its reading end."""
        path = tmp_path / "alive"
        os.mkfifo(path)
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reading, True)
        yield path, reading
        os.close(reading)

    @pytest.mark.parametrize(
        ("busy", "number", "status"),
        [
            ("compiler", signal.SIGINT, 130),
            ("host_driven", signal.SIGINT, 130),
            ("standalone", signal.SIGINT, 130),
            ("host_driven", signal.SIGTERM, 143),
            ("host_driven", signal.SIGHUP, 129),
        ],
    )
    def test_no_child_is_left(
        self,
        platform: Place,
        tmp_path: Path,
        fifo: Tuple[Path, int],
        busy: str,
        number: signal.Signals,
        status: int,
    ) -> None:
        path, reading = fifo
        project = Place(tmp_path / "project")
        project_type = "standalone" if busy == "standalone" else "host_driven"
        arguments = ("--project-dir", str(project.path), "-o", f"project_type={project_type}")
        platform.run("flash", SMALL, "--dry-run", *arguments)
        config = project.path / "src" / "model_config.c"
        config.write_text(config.read_text() + HANGS.format(fifo=path))
        environment: Dict[str, Any] = {}
        if busy == "compiler":
            compiler = tmp_path / "cc"
            compiler.write_text(
                f'#!/bin/sh\ntest "$1" = --version && exit\nexec >{path}; echo x; sleep 100; echo y\n'
            )
            compiler.chmod(0o755)
            environment["CC"] = str(compiler)
        with project.start("run", **environment) as process:
            assert read_some(reading).startswith(b"x")
            process.send_signal(number)
            said, complaint = process.communicate(timeout=30)
        assert process.returncode == status, said + complaint
        assert "Traceback" not in complaint
        wait_for_end(reading, within_sec=10.0)


class TestWithoutPackages:
    def lend(self, directory: Path, *names: str) -> str:
        """Return a folder with only these packages."""
        for name in names:
            for file in metadata.files(name) or ():
                top = file.parts[0]
                if top not in ("..", "__pycache__") and not (directory / top).exists():
                    (directory / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
        return str(directory)

    @pytest.mark.parametrize(
        ("lent", "missing"),
        [
            ((), "click"),
            (("click",), "rich"),
            (("click", "rich", "markdown-it-py", "mdurl", "pygments"), "numpy"),
        ],
    )
    def test_the_missing_one_is_named_with_what_installs_it(
        self, project: Place, tmp_path: Path, lent: Tuple[str, ...], missing: str
    ) -> None:
        packages = self.lend(tmp_path, *lent)
        for command in ("run", "bench", "check"):
            said = project.fail(command, python=(sys.executable, "-S"), PYTHONPATH=packages)
            assert f"The Python package {missing} is not installed" in said
            assert "-m pip install" in said
