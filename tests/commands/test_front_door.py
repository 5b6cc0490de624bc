# SPDX-License-Identifier: Apache-2.0
"""mtvm.py from any directory: -C, --json and its schema, named settings, options, shell completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import jsonschema
import numpy as np
import pytest

from runtime.host.commands.app import COMMANDS
from runtime.host.commands.app import main as command_line
from tests.conftest import TEMPLATE, Baker, Platform

DIGITS = "models/digits_aot.tar"
VERSION = (TEMPLATE / "runtime" / "VERSION").read_text(encoding="utf-8").strip()
SCHEMA = json.loads((TEMPLATE / "runtime/host/commands/output.schema.json").read_text(encoding="utf-8"))
JSON_COMMANDS = ("check", "boards", "ports", "size", "bench", "run", "compile", "inspect", "verify")
ON_A_MODEL = ("size", "bench", "run", "compile", "inspect", "verify")


class CommandLine:
    """mtvm.py of a platform or project, started in another directory."""

    def __init__(self, program: Path, cwd: Path) -> None:
        self.program = program
        self.cwd = cwd

    def __call__(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Return standard output of a command that exits with this status."""
        return self.both(*arguments, status=status, **environment)[0]

    def both(self, *arguments: str, status: int = 0, **environment: str) -> Tuple[str, str]:
        """Return standard output and standard error."""
        done = subprocess.run(
            [sys.executable, str(self.program), *arguments],
            cwd=self.cwd,
            env={**os.environ, "COLUMNS": "80", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def json(self, *arguments: str, status: int = 0) -> Dict[str, Any]:
        """Return the document that a command prints with --json, validated against the schema."""
        printed = self(*arguments, "--json", status=status)
        assert printed.count("\n") == 1, "one object on one line"
        document: Dict[str, Any] = json.loads(printed, parse_constant=pytest.fail)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document


@pytest.fixture(scope="module")
def platform(default_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform in which the tests of this file generate projects, in a directory with a space."""
    path = tmp_path_factory.mktemp("front door") / "platform"
    return Platform(shutil.copytree(default_platform.path, path))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A directory that has nothing to do with the platform."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    return path


@pytest.fixture
def mtvm(platform: Platform, elsewhere: Path) -> CommandLine:
    """The platform's command line, started elsewhere."""
    return CommandLine(platform.path / "mtvm.py", elsewhere)


@pytest.fixture
def own(default_platform: Platform, elsewhere: Path, tmp_path: Path) -> CommandLine:
    """The command line of a platform that a test may change, started elsewhere."""
    path = shutil.copytree(default_platform.path, tmp_path / "own")
    return CommandLine(path / "mtvm.py", elsewhere)


def digits(mtvm: CommandLine) -> str:
    """Path of the bundled model, relative to the directory in which the command line starts."""
    return os.path.relpath(mtvm.program.parent / DIGITS, mtvm.cwd)


class TestFromAnyDirectory:
    @pytest.mark.slow
    def test_every_command_works(self, mtvm: CommandLine) -> None:
        model = digits(mtvm)
        lines: Dict[str, List[str]] = {
            "bench": ["bench", model, "--number", "1"],
            "boards": ["boards"],
            "build": ["build", model],
            "check": ["check"],
            "clean": ["clean", "--dry-run"],
            "compile": ["compile", "--help"],  # tests/commands/test_models_cli.py runs it and verify
            "completion": ["completion", "bash"],
            "flash": ["flash", model],
            "inspect": ["inspect", model],
            "monitor": ["monitor", model, "--seconds", "0.2"],
            "ports": ["ports"],
            "run": ["run", model],
            "serve": ["serve", "--help"],  # tests/serve runs it to its end
            "size": ["size", model],
            "tvmc": [],  # tests/tvm runs it, in a Python with TVM
            "verify": ["verify", "--help"],
        }
        assert set(lines) == set(COMMANDS)
        for line in filter(None, lines.values()):
            assert mtvm(*line), line
        assert list(mtvm.cwd.iterdir()) == []

    def test_the_list_of_commands_has_the_summary_of_each(self) -> None:
        for name, entry in COMMANDS.items():
            command = command_line.get_command(None, name)  # type: ignore[arg-type]  # not used
            assert command is not None and command.get_short_help_str(limit=200) == entry.summary, name

    def test_paths_are_relative_to_the_current_directory(self, mtvm: CommandLine) -> None:
        np.save(mtvm.cwd / "x.npy", np.ones((1, 1, 8, 8), "int8"))
        mtvm("run", digits(mtvm), "--input", "x.npy", "--output", "out.npz")
        assert (mtvm.cwd / "out.npz").is_file()

    def test_the_model_to_try_has_a_path_from_here(self, mtvm: CommandLine) -> None:
        for line in (("run",), ("run", "nosuch.tar")):
            _, complaint = mtvm.both(*line, status=1)
            example = digits(mtvm).replace("digits_aot.tar", "digits_int8.onnx")
            assert example in complaint

    def test_a_link_to_it_works(self, mtvm: CommandLine) -> None:
        link = mtvm.cwd / "mtvm"
        link.symlink_to(mtvm.program)
        assert "host" in CommandLine(link, mtvm.cwd)("boards")

    def test_it_starts_as_a_program(self, mtvm: CommandLine) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run([str(mtvm.program), "--version"], env={**os.environ, "PATH": path}, check=False)
        assert done.returncode == 0

    def test_the_version_is_that_of_the_template(self, mtvm: CommandLine) -> None:
        assert mtvm("--version") == f"microtvm-template {VERSION}\n"

    def test_the_module_works_on_the_current_directory(self, platform: Platform) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "runtime.host", "boards"],
            cwd=platform.path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("host (default)")


class TestAnotherDirectory:
    @pytest.fixture
    def project(self, mtvm: CommandLine) -> Path:
        """A project that the platform generated."""
        mtvm("build", digits(mtvm), "--project-dir", "project")
        return mtvm.cwd / "project"

    def test_a_project_continues_in_its_own_host_tools(self, mtvm: CommandLine, project: Path) -> None:
        (project / "runtime" / "VERSION").write_text("99.0.0\n")
        assert mtvm.json("-C", "project", "boards")["template_version"] == "99.0.0"
        np.save(mtvm.cwd / "x.npy", np.ones((1, 1, 8, 8), "int8"))
        assert "output 0" in mtvm("-C", "project", "run", "-i", "x.npy")

    def test_another_platform(self, mtvm: CommandLine, own: CommandLine) -> None:
        boards = own.program.parent / "boards.json"
        boards.write_text(boards.read_text().replace('"host": {', '"other": {', 1))
        assert mtvm("-C", str(own.program.parent), "boards").startswith("other (default)")

    def test_a_directory_that_is_neither(self, mtvm: CommandLine) -> None:
        _, complaint = mtvm.both("-C", ".", "boards", status=1)
        assert "is neither a platform nor a project" in complaint and "next:" in complaint
        _, complaint = mtvm.both("-C", "nosuch", "boards", status=1)
        assert "There is no directory nosuch." in complaint

    def test_a_failure_before_the_command_is_a_document_too(self, mtvm: CommandLine) -> None:
        for directory in ("nosuch", "."):
            said = mtvm("-C", directory, "run", "--json", status=1)
            jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(said))

    def test_an_older_platform_is_refused(self, mtvm: CommandLine, own: CommandLine) -> None:
        own.program.unlink()
        _, complaint = mtvm.both("-C", str(own.program.parent), "boards", status=1)
        assert "has no mtvm.py" in complaint and "cruft update" in complaint

    def test_a_failure_there_has_its_exit_status(self, mtvm: CommandLine, project: Path) -> None:
        mtvm("-C", str(project), "run", "nosuch.tar", status=1)
        mtvm("-C", str(project), "nosuch", status=2)


class TestJson:
    @pytest.mark.slow
    @pytest.mark.parametrize("command", [name for name in JSON_COMMANDS if name not in ("compile", "verify")])
    def test_a_result_follows_the_schema(self, mtvm: CommandLine, command: str) -> None:
        models = [digits(mtvm)] if command in ("size", "bench", "run", "inspect") else []
        number = ["--number", "2"] if command == "bench" else []
        document = mtvm.json(command, *models, *number)
        assert (document["command"], document["template_version"]) == (command, VERSION)

    @pytest.mark.parametrize("command", JSON_COMMANDS)
    def test_a_failure_follows_the_schema(self, own: CommandLine, command: str) -> None:
        (own.program.parent / "boards.json").write_text("{")
        document = own.json(command, *(["x.tar"] if command in ON_A_MODEL else []), status=1)
        error = (
            next(step["error"] for step in document["steps"] if step["error"])
            if command == "check"
            else document["error"]
        )
        assert error["problem"] and error["next"]

    def test_no_other_command_has_it(self, mtvm: CommandLine) -> None:
        for name in COMMANDS:
            command = command_line.get_command(None, name)  # type: ignore[arg-type]  # not used
            assert command is not None
            has_json = any("--json" in parameter.opts for parameter in command.params)
            assert has_json == (name in JSON_COMMANDS), name

    def test_run_has_the_values_of_the_outputs(self, mtvm: CommandLine, platform: Platform) -> None:
        with np.load(platform.path / "models/digits_test.npz") as data:
            np.save(mtvm.cwd / "x.npy", data["images"][3:4])
            expected = data["expected"][3].ravel().tolist()
        document = mtvm.json("run", digits(mtvm), "-i", "x.npy", "--output", "out.npz")
        (output,) = document["outputs"]
        assert (output["dtype"], output["shape"], output["values"]) == ("int32", [1, 10], [expected])
        assert [(each["name"], each["is_given"]) for each in document["inputs"]] == [("image", True)]
        assert document["output_file"] == "out.npz"

    def test_numbers_that_json_cannot_write_are_strings(self, capsys: pytest.CaptureFixture[str]) -> None:
        from runtime.host.commands.json_output import tensor_fields

        values = np.array([np.nan, np.inf, -np.inf, 0.1], "float32")
        fields = tensor_fields("x", values)
        assert fields["values"][:3] == ["NaN", "Infinity", "-Infinity"]
        assert np.float32(fields["values"][3]) == values[3], "to the last bit"

    @pytest.mark.slow
    def test_a_standalone_firmware_has_its_report(self, mtvm: CommandLine) -> None:
        document = mtvm.json("run", digits(mtvm), "-o", "project_type=standalone")
        assert "int32" in document["text"]

    def test_a_check_names_the_system_and_the_packages(self, mtvm: CommandLine) -> None:
        document = mtvm.json("check")
        assert document["ok"] and document["machine"]["packages"]["click"]

    def test_the_schema_is_valid_and_strict(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        head = {"schema_version": 1, "template_version": "1.0.0", "command": "boards"}
        refused: List[Dict[str, Any]] = [
            {},
            {"boards": [], "other": 1},
            {"boards": [{}]},
            {"error": {"problem": "x"}},
        ]
        for wrong in refused:
            assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors({**head, **wrong})), wrong


class TestOptions:
    """--board, --runner, --port, --serial-number and --baud-rate mean what -o NAME=VALUE means."""

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("board", "hots", "expected one of host"),
            ("port", "/dev/nosuch", "--port does not apply"),
            ("serial_number", "17", "--serial-number does not apply"),
            ("baud_rate", "9600", "--baud-rate does not apply"),
            ("port", "", "The value of port is empty."),
            ("baud_rate", "0", "expected at least 1"),
            ("baud_rate", "fast", 'Set "baud_rate" to an integer'),
            ("runner", "qemu", "Board 'host' cannot be flashed with 'qemu'."),
        ],
    )
    def test_both_spellings_mean_the_same(self, mtvm: CommandLine, name: str, value: str, words: str) -> None:
        switch = f"--{name.replace('_', '-')}"
        spellings = ([switch, value], ["-o", f"{name}={value}"])
        said = [mtvm.both("run", digits(mtvm), *words_, status=1)[1] for words_ in spellings]
        assert said[0] == said[1]
        assert words in said[0]

    @pytest.mark.parametrize("command", ["bench", "check", "flash", "monitor", "run", "size", "verify"])
    def test_each_command_on_a_board_has_them(self, mtvm: CommandLine, command: str) -> None:
        said = mtvm(command, "--help")
        for switch in ("--board", "--runner", "--port", "--serial-number", "--baud-rate", "--env", "-o,"):
            assert f" {switch} " in said, switch

    def test_a_command_refuses_an_option_that_it_does_not_use(self, mtvm: CommandLine) -> None:
        _, complaint = mtvm.both("build", digits(mtvm), "-o", "port=/dev/x", status=1)
        assert "The command build does not use the project option port." in complaint


class TestNamedSettings:
    def write(self, own: CommandLine, text: str) -> None:
        (own.program.parent / "mtvm.toml").write_text(text, encoding="utf-8")

    def test_are_taken_by_name(self, own: CommandLine) -> None:
        self.write(own, '[env.small]\noptimization = "Os"\nworkspace_size_bytes = 9000\n')
        document = own.json("run", digits(own), "--env", "small")
        assert '"-Os"' in (Path(document["project"]) / "project.json").read_text()
        assert document["used"]["workspace"]["available_bytes"] == 9000

    def test_the_command_line_precedes(self, own: CommandLine) -> None:
        self.write(own, "[env.small]\nworkspace_size_bytes = 9000\n")
        document = own.json("run", digits(own), "--env", "small", "-o", "workspace_size_bytes=8000")
        assert document["used"]["workspace"]["available_bytes"] == 8000

    def test_a_command_takes_what_it_uses(self, own: CommandLine) -> None:
        self.write(own, '[env.lab]\nboard = "host"\nport = "/dev/ttyACM0"\n')
        own("build", digits(own), "--env", "lab")
        _, complaint = own.both("run", digits(own), "--env", "lab", status=1)
        assert "--port does not apply" in complaint

    def test_a_path_is_relative_to_the_file(self, own: CommandLine) -> None:
        place = own.program.parent
        np.save(place / "models" / "x.npy", np.ones((1, 1, 8, 8), "int8"))
        self.write(own, '[env.once]\nproject_type = "standalone"\nstandalone_input = "models/x.npy"\n')
        assert own("run", digits(own), "--env", "once") != own(
            "run", digits(own), "-o", "project_type=standalone"
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "has no table [env.lab]"),
            ("[env.lav]\n", 'Did you mean "lav"?'),
            ("[env.lab]\nbord = 'host'\n", 'bord is not a project option.\nnext:  Did you mean "board"?'),
            ("[env.lab]\nboard = 'hots'\n", "expected one of host"),
            ("[env.lab]\nboard = 1.5\n", "[env.lab]"),
            ("[env.lab]\nrunner = 7\n", "runner is not a string"),
            ("[env.lab\n", "is not valid TOML"),
            ("[lab]\nboard = 'host'\n", "lab is not a setting"),
            ("env = 3\n", "not in a named table"),
            ("[env]\nboard = 'host'\n", "not in a named table"),
            ("[env.lab]\nboard = " + "[" * 3000, "is not valid TOML"),
            ("\udcff", "is not valid TOML"),
        ],
    )
    def test_a_mistake_is_named(self, own: CommandLine, text: str, words: str) -> None:
        (own.program.parent / "mtvm.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
        _, complaint = own.both("run", digits(own), "--env", "lab", status=1)
        assert words in complaint and "mtvm.toml" in complaint

    def test_a_missing_file_is_named(self, own: CommandLine) -> None:
        (own.program.parent / "mtvm.toml").unlink()
        _, complaint = own.both("run", digits(own), "--env", "lab", status=1)
        assert "There is no file" in complaint and "mtvm.toml" in complaint

    def test_those_of_another_board_are_refused(self, bake: Baker, elsewhere: Path) -> None:
        path = bake(board_family="cortex_m").path
        (path / "mtvm.toml").write_text('[env.lab]\nboard = "mps2_an386"\nport = "/dev/ttyACM0"\n')
        mtvm = CommandLine(path / "mtvm.py", elsewhere)
        _, complaint = mtvm.both("run", digits(mtvm), "--env", "lab", "--board", "mps2_an385", status=1)
        assert "--env lab is for the board mps2_an386" in complaint

    def test_a_project_has_none(self, mtvm: CommandLine) -> None:
        mtvm("build", digits(mtvm), "--project-dir", "project")
        _, complaint = mtvm.both("-C", "project", "run", "--env", "lab", status=1)
        assert "this directory is a generated project" in complaint


@pytest.fixture(scope="module")
def cortex_m(bake_shared: Baker) -> Platform:
    """A platform with many boards."""
    return bake_shared(board_family="cortex_m", platform_name="many boards")


class TestBoards:
    def test_the_table_fits_a_screen(self, cortex_m: Platform, elsewhere: Path) -> None:
        lines = CommandLine(cortex_m.path / "mtvm.py", elsewhere)("boards").splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 80
        assert any(line.startswith("mps2_an385 (default)") for line in lines)

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["an38"], ["mps2_an385", "mps2_an386"]),
            (["CORTEX-M4F", "emulated"], ["mps2_an386", "netduinoplus2", "olimex_stm32_h405"]),
            (["nucleo", "746"], ["nucleo_f746zg"]),
        ],
    )
    def test_a_filter_takes_every_word(
        self, cortex_m: Platform, elsewhere: Path, words: List[str], found: List[str]
    ) -> None:
        document = CommandLine(cortex_m.path / "mtvm.py", elsewhere).json("boards", *words)
        assert [board["name"] for board in document["boards"]] == found

    def test_a_filter_without_a_board_is_an_error(self, mtvm: CommandLine) -> None:
        assert "error" in mtvm.json("boards", "nosuch", status=1)
        _, complaint = mtvm.both("boards", "nosuch", status=1)
        assert "No board of this platform contains 'nosuch'." in complaint


class TestCompletion:
    """Each shell loads the script with the line of the README, and completes a word."""

    def complete(self, mtvm: CommandLine, words: str) -> List[str]:
        """Return the completions of the last word, as the scripts request them."""
        typed = words.split(" ")
        said = mtvm(
            _MTVM_COMPLETE="bash_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(len(typed) - 1),
        )
        return [line.partition(",")[2] for line in said.splitlines() if line]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("mtvm bo", ["boards"]),
            ("mtvm run --ser", ["--serial-number"]),
            ("mtvm run --board h", ["host"]),
            ("mtvm run -o optim", ["optimization="]),
            (
                "mtvm run -o optimization=O",
                [f"optimization={level}" for level in ("O0", "O1", "O2", "O3", "Os")],
            ),
            ("mtvm completion ", ["bash", "zsh", "fish"]),
        ],
    )
    def test_of_commands_options_and_values(self, mtvm: CommandLine, words: str, expected: List[str]) -> None:
        assert self.complete(mtvm, words) == expected

    def test_a_value_after_the_equals_sign_in_bash(self, mtvm: CommandLine) -> None:
        """Check the splitting of bash at the sign: it replaces only the last part of the word."""
        line = "mtvm run -o optimization=O"
        script = f"{mtvm('completion', 'bash')}\nCOMP_LINE='{line}' COMP_POINT={len(line)}; _mtvm_complete\n"
        done = subprocess.run(
            ["bash", "--norc", "-c", script + 'echo "${COMPREPLY[@]}"'],
            cwd=mtvm.cwd,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["O0", "O1", "O2", "O3", "Os"], done.stderr

    def test_of_files(self, mtvm: CommandLine) -> None:
        said = mtvm(_MTVM_COMPLETE="bash_complete", COMP_WORDS="mtvm run -i ./", COMP_CWORD="3")
        assert said.startswith("file,")

    def test_of_named_settings(self, own: CommandLine) -> None:
        (own.program.parent / "mtvm.toml").write_text("[env.lab]\n[env.desk]\n")
        assert self.complete(own, "mtvm run --env ") == ["lab", "desk"]

    def test_of_a_broken_platform_offers_nothing(self, own: CommandLine) -> None:
        (own.program.parent / "boards.json").write_text("{")
        (own.program.parent / "mtvm.toml").write_text("[")
        assert self.complete(own, "mtvm run --board ") == []
        assert self.complete(own, "mtvm run --env ") == []

    @pytest.mark.parametrize(
        ("shell", "line"),
        [
            (
                "bash",
                'COMP_LINE="mtvm bo" COMP_POINT=7; _mtvm_complete; echo "${COMPREPLY[@]}"',
            ),
            ("zsh", "compadd() {{ shift 1; echo ${{(P)1}}; }}; words=(mtvm bo) CURRENT=2; _mtvm_complete"),
            ("fish", "complete -C 'mtvm bo'"),
        ],
    )
    def test_the_script_works_in_its_shell(self, mtvm: CommandLine, shell: str, line: str) -> None:
        script = mtvm("completion", shell)
        lines = f"{script}\n{line.replace('{{', '{').replace('}}', '}')}\nmtvm --version\n"
        argv = [shell, *({"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]), "-c", lines]
        done = subprocess.run(argv, cwd=mtvm.cwd, capture_output=True, text=True, check=False, timeout=60)
        completed, version = done.stdout.splitlines()
        # fish shows the first line of the help, after a tab.
        assert completed.partition("\t")[0] == "boards", done.stdout + done.stderr
        assert version == f"microtvm-template {VERSION}"
