# SPDX-License-Identifier: Apache-2.0
"""Hostile answers to the questions: each is refused with an error message, or is only text in the bake.

The tests type them at the prompts. Answers from a program (`extra_context`, NAME=VALUE) are Jinja by design:
Cookiecutter renders them before it runs any hook.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import keyword
from pathlib import Path
from types import ModuleType
from typing import Iterator, Set

import pytest
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException

from tests.conftest import TEMPLATE, Baker, Platform

DEFAULTS = ("", "", "")  # input for the questions after the slug: empty lines
ANSWERS = {
    "platform_name": "x",
    "platform_slug": "x",
    "server_python": "",
}  # choices need no rule

# Unusual valid names. No answer may create a file named canary.
GOOD_NAMES = (
    'It\'s "the" board',
    'ends with a quote"',
    '"""',
    "'''",
    '""" + __import__("pathlib").Path(r"canary").touch() + """',
    "'''); __import__('pathlib').Path(r'canary').touch() #",
    "\\",
    "C:\\new\\table\\",
    '\\" \\\\" \\u0022',
    "$(touch canary) `touch canary`; touch canary #",
    "$HOME ${HOME} %PATH% %s %(name)s",
    "{0} {name} } {",
    "--help",
    "-rf",
    "../../etc/passwd",
    "<b>&amp;</b> <script>",
    "[red]not markup[/]",
    "# not a heading",
    "Gerät für Überwachung, été",
    "実験 ボード",
    "плата",
    "\U0001f389\U0001f680",
    "null",
    "!!!",
    "a" * 80,
    "class",
)

# (name, part of the error message)
BAD_NAMES = (
    ("   x{{ 1 }}", "opens a Jinja tag"),
    ("{{ cookiecutter }}", "opens a Jinja tag"),
    ("{% raw %}", "opens a Jinja tag"),
    ("{# gone #}", "opens a Jinja tag"),
    ("{{ cycler.__init__.__globals__.os.system('touch canary') }}", "opens a Jinja tag"),
    ("a\tb", "control character"),
    ("a\x1b[31mb", "control character"),
    ("a\u202eb", "control character"),
    ("a\u2028b", "control character"),
    ("a\udc80b", "cannot be shown"),
    ("a" * 81, "is too long. Use at most 80 characters"),
)

PLAIN = "Use lower case letters a to z, digits and underscores, and start with a letter"
RESERVED = "is reserved by Python, by Windows or by this template"
# (slug, part of the error message)
BAD_SLUGS = (
    ("class", RESERVED),
    ("None", RESERVED),
    ("CON", RESERVED),
    ("lpt9", RESERVED),
    ("runtime", RESERVED),
    ("Acme", PLAIN),
    ("acme m4", PLAIN),
    ("acme-m4", PLAIN),
    ("acme.m4", PLAIN),
    ("4acme", PLAIN),
    ("_acme", PLAIN),
    (".acme", PLAIN),
    ("-acme", PLAIN),
    ("--help", PLAIN),
    ("~", PLAIN),
    ("gerät", PLAIN),
    ("٤", PLAIN),
    ("acme/m4", PLAIN),
    ("../acme", PLAIN),
    ("acme\\m4", PLAIN),
    ("acme;touch canary", PLAIN),
    ("$(touch canary)", PLAIN),
    ("{{ cycler.__init__.__globals__.os.system('touch canary') }}", PLAIN),
    ('""" + open(r"canary", "w").close() + """', PLAIN),
    ("a" * 41, "is too long. Use at most 40 characters"),
)


@pytest.fixture
def rules() -> ModuleType:
    """Return hooks/pre_gen_project.py, which is valid Python before it is rendered too."""
    spec = importlib.util.spec_from_file_location("rules", TEMPLATE / "hooks" / "pre_gen_project.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files_below(path: Path) -> Set[str]:
    """Return the files below path, except Cookiecutter's record of the answers."""
    files = (each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    return {name for name in files if not name.startswith("replay/")}


@pytest.fixture(autouse=True)
def no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no answer ran in the user's directory, the template or the platform (below tmp_path)."""
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path / "user")
    yield
    assert not (TEMPLATE / "canary").exists()
    assert "canary" not in {path.name for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_an_odd_name_is_only_text(bake: Baker, default_platform: Platform, tmp_path: Path, name: str) -> None:
    platform = bake(into=tmp_path / "out", typed=(name, "acme", *DEFAULTS))
    assert platform.path == tmp_path / "out" / "acme"
    assert platform.text("README.md").splitlines()[0] == f"# {name}"
    assert platform.files() == default_platform.files()
    for file in platform.rendered_files() - {"README.md"}:
        assert platform.text(file) == default_platform.text(file).replace("make_platform", "acme"), file
    ast.parse(platform.text("microtvm_api_server.py"))
    json.loads(platform.text("boards.json"))


@pytest.mark.parametrize("name", [name for name in GOOD_NAMES if name != "class"])
def test_the_directory_proposed_for_an_odd_name_is_good(bake: Baker, rules: ModuleType, name: str) -> None:
    platform = bake(typed=(name, "", *DEFAULTS))
    assert rules.broken_rules({**ANSWERS, "platform_slug": platform.path.name}) == []


@pytest.mark.parametrize(("name", "sentence"), BAD_NAMES)
def test_a_bad_name_is_refused(
    bake: Baker, capfd: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    before = files_below(bake.scratch)
    with pytest.raises(FailedHookException):
        bake(into=bake.scratch / "out", typed=(name, "acme", *DEFAULTS))
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("platform_name ")]
    assert len(said) == 1 and sentence in said[0] and said[0].isprintable()
    assert files_below(bake.scratch) == before


@pytest.mark.parametrize(("slug", "sentence"), BAD_SLUGS)
def test_a_bad_directory_is_refused(
    bake: Baker, capfd: pytest.CaptureFixture[str], slug: str, sentence: str
) -> None:
    """Check that no file remains: Cookiecutter creates the directory before it runs the rules."""
    before = files_below(bake.scratch)
    with pytest.raises(FailedHookException):
        bake(into=bake.scratch / "out", typed=("Acme", slug, *DEFAULTS))
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("platform_slug ")]
    assert any(sentence in line for line in said), said
    assert files_below(bake.scratch) == before


@pytest.mark.parametrize("slug", [".", "..", "../.."])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_that_exists_is_left_alone(bake: Baker, slug: str, overwrite: bool) -> None:
    into = bake.scratch / "one" / "two"
    into.mkdir(parents=True)
    (into / "precious.txt").write_text("mine")
    with pytest.raises(FailedHookException if overwrite else OutputDirExistsException):
        bake(into=into, typed=("Acme", slug, *DEFAULTS), overwrite=overwrite)
    assert files_below(bake.scratch) == {"cookiecutter.yaml", "one/two/precious.txt"}


def test_empty_answers_given_by_program_are_refused(rules: ModuleType) -> None:
    """Check empty answers: at the prompt they mean the default, but a program can give them."""
    assert rules.broken_rules({**ANSWERS, "platform_name": "", "platform_slug": ""}) == [
        "platform_name '' is empty. Give the platform a name.",
        f"platform_slug '' is not a plain name. {PLAIN}.",
    ]


def test_every_reserved_word_is_refused(rules: ModuleType) -> None:
    for word in (*keyword.kwlist, "con", "prn", "aux", "nul", "com1", "lpt1", "runtime"):
        broken = rules.broken_rules({**ANSWERS, "platform_slug": word})
        assert any(RESERVED in sentence for sentence in broken), word


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("python3", "is not an absolute path"),
        (".venv/bin/python", "is not an absolute path"),
        ('/opt/"quoted"/python', "invalid in a launch script"),
        ("/opt/%PATH%/python", "invalid in a launch script"),
        ("/opt/a\nb/python", "invalid in a launch script"),
    ],
)
def test_a_bad_interpreter_is_refused(rules: ModuleType, python: str, sentence: str) -> None:
    (said,) = rules.broken_rules({**ANSWERS, "server_python": python})
    assert sentence in said and said.isprintable()


@pytest.mark.parametrize(
    "python", ["/opt/o'clock $HOME/python", "C:\\Tools\\python.exe", "/opt/ä `ls`/python"]
)
def test_an_odd_interpreter_is_only_text(rules: ModuleType, python: str) -> None:
    assert rules.broken_rules({**ANSWERS, "server_python": python}) == []


def test_all_that_is_wrong_is_said_at_once(bake: Baker, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FailedHookException):
        bake(typed=("a\tb" + 80 * "c", "-" + 40 * "a", *DEFAULTS))
    assert capfd.readouterr().err.count("platform_") >= 4
