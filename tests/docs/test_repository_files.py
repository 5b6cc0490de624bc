# SPDX-License-Identifier: Apache-2.0
"""Files for contributors: forms, workflow, hooks and attributes parse, and agree with the repository."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from tests.conftest import TEMPLATE
from tools.interpreters import SUPPORTED

GITHUB = TEMPLATE / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
KINDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
PAGES = sorted([*TEMPLATE.glob("*.md"), *GITHUB.glob("*.md")])
FOLDERS = (
    "benchmarks",
    "docs",
    "examples",
    "hooks",
    "runtime",
    "tests",
    "tools",
    "{{cookiecutter.platform_slug}}",
)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_the_forge_requires(path: Path) -> None:
    form = load(path)
    assert form["name"] and form["description"] and form["body"]
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert ids and len(set(ids)) == len(ids)
    for part in form["body"]:
        assert part["type"] in KINDS
        assert part["attributes"].get("value" if part["type"] == "markdown" else "label")
        assert part["type"] != "dropdown" or part["attributes"]["options"]


def test_the_bug_form_requires_the_output_of_check_and_a_family() -> None:
    parts = {part["id"]: part for part in load(GITHUB / "ISSUE_TEMPLATE/bug.yml")["body"] if "id" in part}
    assert "python mtvm.py check --json" in parts["check"]["attributes"]["description"]
    assert parts["check"]["validations"]["required"] is True
    families = [path.parent.name for path in TEMPLATE.glob("*cookiecutter*/families/*/boards.json")]
    assert sorted(parts["family"]["attributes"]["options"]) == sorted(families)


def steps(job: str) -> List[Dict[str, Any]]:
    workflow = load(GITHUB / "workflows/ci.yml")
    return list(workflow["jobs"][job]["steps"])


def test_the_workflow_runs_what_the_repository_says_ci_runs() -> None:
    assert [step["run"] for step in steps("test") if "run" in step] == [".ci/run"]
    assert [step["run"] for step in steps("docs") if "run" in step] == ["make docs"]


def test_the_workflow_has_every_interpreter() -> None:
    (setup,) = (step for step in steps("test") if step.get("uses", "").startswith("actions/setup-python@"))
    *servers, template = setup["with"]["python-version"].split()[: len(SUPPORTED) + 1]
    assert tuple(servers) == SUPPORTED and template == "${{"
    matrix = load(GITHUB / "workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    pins = (TEMPLATE / "requirements.txt").read_text(encoding="utf-8")
    assert min(matrix, key=lambda version: int(version.split(".")[1])) == "3.10"
    assert 'python_version < "3.11"' in pins  # so requirements.txt serves the oldest


def test_actions_are_pinned_by_version() -> None:
    used = [step["uses"] for job in ("test", "docs") for step in steps(job) if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", name)] == []


def test_dependabot_updates_actions_and_pins() -> None:
    config = load(GITHUB / "dependabot.yml")
    assert config["version"] == 2
    assert {update["package-ecosystem"] for update in config["updates"]} == {"github-actions", "pip"}


def test_hooks_are_the_pinned_programs() -> None:
    (repository,) = load(TEMPLATE / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    pins = (TEMPLATE / "requirements.txt").read_text(encoding="utf-8")
    for hook in repository["hooks"]:
        program, *words = hook["entry"].split()
        assert program.startswith(".venv/bin/") and hook["language"] == "system"
        if program.endswith("python"):
            assert words[0] == "-m" and importlib.util.find_spec(words[1]) is not None
        else:
            assert f"\n{Path(program).name}==" in pins
    names = [hook["name"] for hook in repository["hooks"]]
    assert names[:4] == ["ruff check", "ruff format --check", "clang-format", "prose"]


def test_every_binary_file_has_an_attribute() -> None:
    files = [path for folder in FOLDERS for path in (TEMPLATE / folder).rglob("*") if path.is_file()]
    sources = [path for path in files if "__pycache__" not in path.parts]
    contents = {path: path.read_bytes()[:8000] for path in sources}
    binary = {path.suffix for path, content in contents.items() if b"\0" in content}
    attributes = (TEMPLATE / ".gitattributes").read_text(encoding="utf-8")
    assert binary >= {".tar", ".npz", ".xz"}
    assert [suffix for suffix in sorted(binary) if f"\n*{suffix} binary\n" not in attributes] == []
    texts = {path for path, content in contents.items() if b"\0" not in content and path.suffix not in binary}
    assert [path for path in texts if b"\r\n" in contents[path]] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_to_files_are_valid(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_the_changelog_has_the_version_or_it_is_unreleased() -> None:
    changelog = (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8")
    version = (TEMPLATE / "runtime/VERSION").read_text(encoding="utf-8").strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert re.findall(r"^## (\w+)", changelog, re.MULTILINE)[0] == "Unreleased"
    assert not released or released[0] == version


def test_the_guide_names_every_command_of_make() -> None:
    guide = (TEMPLATE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (TEMPLATE / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([\w-]+)`", guide)) | set(
        re.findall(r"^make ([\w-]+)$", guide, re.MULTILINE)
    )
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert named <= set(phony.split())
    assert {"lint", "test", "test-fast", "docs", "coverage", "bench", "demo"} <= named
