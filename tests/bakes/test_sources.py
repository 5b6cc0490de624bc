# SPDX-License-Identifier: Apache-2.0
"""Sources of the template and supported Cookiecutter versions: all produce the same platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Optional, Tuple
from zipfile import ZipFile

import pytest

from tests.conftest import TEMPLATE, Baker
from tests.support.repositories import commit, content, copy_template, git, run

SUPPORTED = ("2.6.0", "2.7.1")
# Unsupported versions: version, packages that newer versions do not import, and the error message.
UPGRADE = 'Upgrade with: python -m pip install --upgrade "cookiecutter>=2.6"'
TOO_OLD = (
    ("2.5.0", (), f"This template needs Cookiecutter 2.6 or newer, got 2.5.0. {UPGRADE}"),
    ("1.7.3", ("poyo", "jinja2-time", "six"), "No module named 'needs_cookiecutter_2_6'"),
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository with the current template. Tests must not change it."""
    path = tmp_path_factory.mktemp("repository") / "template"
    copy_template(path)
    git("init", "--quiet", "--initial-branch", "main", cwd=path)
    commit(path, "First version")
    return path


def bake_from(
    template: str, config: Path, *, cwd: Path, version: Optional[Path] = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Bake into cwd with the command line.

    pytest-cookies supports neither other sources than a directory nor another Cookiecutter.

    Args:
        template: Source of the template, in any form that Cookiecutter accepts.
        config: Cookiecutter configuration file.
        cwd: Parent directory of the platform.
        version: Directory with another version of Cookiecutter. Default: the installed version.
        check: Assert exit status 0.
    """
    return run(
        *(sys.executable, "-m", "cookiecutter", template, "--no-input"),
        *("--config-file", str(config), "build_system=cmake"),
        cwd=cwd,
        check=check,
        PYTHONPATH=str(version or ""),
    )


@pytest.fixture(scope="module")
def expected(repository: Path, bake_shared: Baker) -> Dict[str, bytes]:
    """Return the files of a platform baked in this process from an absolute path."""
    return content(bake_shared(template=repository, build_system="cmake").path)


def test_local_relative_path(repository: Path, config: Path, out: Path, expected: Dict[str, bytes]) -> None:
    bake_from(os.path.relpath(repository, out), config, cwd=out)
    assert content(out / "my_microtvm_platform") == expected


def test_git_clone(repository: Path, config: Path, out: Path, expected: Dict[str, bytes]) -> None:
    """Bake from a file:// URL, which Cookiecutter clones as any other URL, with only committed files."""
    bake_from(f"git+file://{repository}", config, cwd=out)
    assert content(out / "my_microtvm_platform") == expected


def test_zip(repository: Path, config: Path, out: Path, expected: Dict[str, bytes], tmp_path: Path) -> None:
    archive = tmp_path / "template.zip"
    git("archive", "--format=zip", "--prefix=template-main/", f"--output={archive}", "HEAD", cwd=repository)
    with ZipFile(archive) as unpacked:
        assert unpacked.namelist()[0] == "template-main/"
    bake_from(str(archive), config, cwd=out)
    assert content(out / "my_microtvm_platform") == expected


@pytest.mark.slow
def test_cruft_create_and_update(
    repository: Path, config: Path, out: Path, expected: Dict[str, bytes]
) -> None:
    """Check that an update replaces runtime/ and keeps the owner's edits."""
    template = config.parent / "template"
    git("clone", "--quiet", str(repository), str(template), cwd=out)
    cruft = (sys.executable, "-m", "cruft")
    answers = '{"build_system": "cmake"}'
    run(
        *(*cruft, "create", str(template), "--no-input", "--extra-context", answers),
        *("--output-dir", str(out), "--config-file", str(config)),
        cwd=out,
    )
    platform = out / "my_microtvm_platform"
    assert content(platform) == expected

    git("init", "--quiet", cwd=platform)
    server = platform / "microtvm_api_server.py"
    server.write_text(server.read_text() + "\n# The owner's own line.\n")
    commit(platform, "The platform, and an edit of its owner")

    (template / "runtime" / "host" / "new_part.py").write_text("NEW = True\n")
    errors = template / "runtime" / "host" / "errors.py"
    errors.write_text(errors.read_text() + "# new in the second version\n")
    model = template / "examples" / "digits" / "digits_test.npz"
    model.write_bytes(model.read_bytes() + b"\0new")
    commit(template, "Second version")

    assert run(*cruft, "check", cwd=platform, check=False).returncode == 1
    run(*cruft, "update", "--skip-apply-ask", cwd=platform)
    assert run(*cruft, "check", cwd=platform).returncode == 0
    updated = content(platform)
    assert updated["runtime/host/new_part.py"] == b"NEW = True\n"
    assert updated["runtime/host/errors.py"].endswith(b"# new in the second version\n")
    assert updated["models/digits_test.npz"] == model.read_bytes()
    assert updated["microtvm_api_server.py"].endswith(b"# The owner's own line.\n")
    assert set(updated) == {*expected, "runtime/host/new_part.py"}


@pytest.mark.slow
def test_cruft_update_keeps_the_c_of_the_owner(repository: Path, config: Path, out: Path) -> None:
    """Check that a change of the template in port/board.c is merged with the owner's changes."""
    template = config.parent / "template"
    git("clone", "--quiet", str(repository), str(template), cwd=out)
    cruft = (sys.executable, "-m", "cruft")
    run(
        *(*cruft, "create", str(template), "--no-input", "--extra-context", '{"board_family": "custom"}'),
        *("--output-dir", str(out), "--config-file", str(config)),
        cwd=out,
    )
    platform = out / "my_microtvm_platform"
    git("init", "--quiet", cwd=platform)
    port = platform / "port" / "board.c"
    body = "  (void)code;\n  abort();\n"
    assert body in port.read_text()
    port.write_text(port.read_text().replace(body, "  reset_my_chip(code);\n"))
    commit(platform, "The platform, and the C of its owner")

    (theirs,) = template.glob("*/families/custom/port/board.c")
    first, rest = theirs.read_text().split("\n", 1)
    theirs.write_text(f"{first}\n/* New in the second version. */\n{rest}")
    commit(template, "Second version")
    run(*cruft, "update", "--skip-apply-ask", cwd=platform)
    updated = port.read_text()
    assert "/* New in the second version. */" in updated
    assert "  reset_my_chip(code);\n" in updated and "abort();" not in updated


def cookiecutter_version(version: str, *imports: str) -> Path:
    """Return a directory in .cache/ with only this Cookiecutter; its imports come from this interpreter."""
    place = TEMPLATE / ".cache" / f"cookiecutter-{version}"
    if not place.exists():
        staging = place.with_name(f"{place.name}.{os.getpid()}")
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(staging))
        done = run(*pip, f"cookiecutter=={version}", *imports, cwd=TEMPLATE, check=False)
        if done.returncode != 0:
            pytest.skip(
                f"needs Cookiecutter {version} in {place.relative_to(TEMPLATE)}/, and pip failed to get it "
                f"(check the network): {done.stderr.strip()[-300:]}"
            )
        try:
            staging.rename(place)
        except OSError:  # another test process created the directory first
            shutil.rmtree(staging)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("version", SUPPORTED)
def test_supported_cookiecutter(
    version: str, repository: Path, config: Path, out: Path, expected: Dict[str, bytes]
) -> None:
    bake_from(str(repository), config, cwd=out, version=cookiecutter_version(version))
    assert content(out / "my_microtvm_platform") == expected


@pytest.mark.slow
@pytest.mark.parametrize(("version", "imports", "sentence"), TOO_OLD)
def test_old_cookiecutter_is_told_so_before_any_question(
    version: str, imports: Tuple[str, ...], sentence: str, repository: Path, config: Path, out: Path
) -> None:
    place = cookiecutter_version(version, *imports)
    done = bake_from(str(repository), config, cwd=out, version=place, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"Unable to load extension: {sentence}\n"
    assert list(out.iterdir()) == []
