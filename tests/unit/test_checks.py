# SPDX-License-Identifier: Apache-2.0
"""`check` in broken platforms: the step that fails is the right one, and says what to do next."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Dict, List

import numpy as np
import pytest

from runtime.host import checks, link
from runtime.host.build import build
from runtime.host.checks import CheckResult, run_checks
from runtime.host.errors import PlatformError
from runtime.host.platform import Platform as HostPlatform
from runtime.host.platform import load_platform
from runtime.host.project import generate
from tests.conftest import Platform

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"
TOOLS = ["Python packages", "C compiler", "build system", "boards.json"]
TRIAL = ["project", "build", "flash", "answers"]


@pytest.fixture
def platform(default_platform: Platform, tmp_path: Path) -> HostPlatform:
    """A platform that a test may change."""
    return load_platform(shutil.copytree(default_platform.path, tmp_path / "platform"))


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a check puts its project; it must leave nothing there."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def results_of(platform: HostPlatform) -> List[CheckResult]:
    return list(run_checks(platform))


def failure(platform: HostPlatform, step: str) -> PlatformError:
    """The error of the only step that fails, which is this one."""
    errors: Dict[str, PlatformError] = {
        result.what: result.error for result in results_of(platform) if result.error is not None
    }
    assert list(errors) == [step], errors
    assert errors[step].next_step
    return errors[step]


def flash_with(platform: HostPlatform, *command: str) -> HostPlatform:
    return HostPlatform(platform.directory, platform.name, platform.build_system, command)


def tamper(platform: HostPlatform, **arrays: object) -> None:
    path = platform.directory / checks.BUNDLED_IMAGES
    with np.load(path) as data:
        changed = {**data, **arrays}
    np.savez(path, **changed)  # type: ignore[arg-type]


class TestWholePlatform:
    @pytest.mark.parametrize("build_system", ["make", pytest.param("cmake", marks=pytest.mark.slow)])
    def test_passes_every_step_and_leaves_nothing(
        self, default_platforms: Dict[str, Platform], build_system: str, temporary_directory: Path
    ) -> None:
        results = results_of(load_platform(default_platforms[build_system].path))
        assert [result.what for result in results] == TOOLS + TRIAL
        assert [result.error for result in results] == [None] * 8
        assert results[-1].found.startswith("32 of 32 bundled images")
        assert list(temporary_directory.iterdir()) == []

    def test_flashes_where_the_owner_says_how(self, platform: HostPlatform, tmp_path: Path) -> None:
        results = results_of(flash_with(platform, "cp", "{firmware}", str(tmp_path / "flashed")))
        assert results[-2].found == "done"
        assert (tmp_path / "flashed").stat().st_size > 0


class TestMissingTools:
    def test_all_are_named_at_once(self, platform: HostPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", os.devnull)
        results = results_of(platform)
        assert [result.what for result in results] == TOOLS
        missing = {result.what: result.error for result in results if result.error}
        assert list(missing) == ["C compiler", "build system"]
        assert "apt-get install gcc" in str(missing["C compiler"])
        assert "apt-get install make" in str(missing["build system"])

    def test_a_compiler_of_the_owner(self, platform: HostPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "no-such-cc")
        assert "no-such-cc is not installed" in str(failure(platform, "C compiler"))

    def test_a_python_package(self, platform: HostPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checks, "PACKAGES", ("click", "no_such_package"))
        error = failure(platform, "Python packages")
        assert "no_such_package is not installed" in error.what
        assert "pip install -r requirements.txt" in error.next_step

    def test_a_compiler_that_cannot_compile(
        self, platform: HostPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        compiler = tmp_path / "cc"
        compiler.write_text("#!/bin/sh\necho cc1: license expired >&2\nexit 1\n")
        compiler.chmod(0o755)
        monkeypatch.setenv("CC", str(compiler))
        error = failure(platform, "build")
        assert "while compiling the device runtime" in error.what
        assert "license expired" in error.log


class TestBrokenFiles:
    def test_boards(self, platform: HostPlatform) -> None:
        (platform.directory / "boards.json").write_text('{"schema": 1, "boards": {}}')
        assert "boards.json" in failure(platform, "boards.json").what

    @pytest.mark.parametrize("keep", [0, 100, 20_000])
    def test_a_model_cut_short(self, platform: HostPlatform, keep: int) -> None:
        archive = platform.directory / checks.BUNDLED_MODEL
        archive.write_bytes(archive.read_bytes()[:keep])
        assert str(archive) in failure(platform, "project").what

    def test_a_missing_model(self, platform: HostPlatform) -> None:
        archive = platform.directory / checks.BUNDLED_MODEL
        archive.unlink()
        assert str(archive) in failure(platform, "project").what

    def test_a_missing_build_file(self, platform: HostPlatform) -> None:
        (platform.directory / "Makefile").unlink()
        assert "Makefile: No such file" in failure(platform, "build").what

    def test_a_damaged_device_runtime(self, platform: HostPlatform) -> None:
        source = platform.directory / "runtime/device/src/framing.c"
        source.write_text("#error half a file\n")
        error = failure(platform, "build")
        assert "framing.c:1:" in error.what and "half a file" in error.what

    def test_missing_images(self, platform: HostPlatform) -> None:
        images = platform.directory / checks.BUNDLED_IMAGES
        images.unlink()
        assert f"{images} cannot be read" in failure(platform, "answers").what

    def test_images_cut_short(self, platform: HostPlatform) -> None:
        images = platform.directory / checks.BUNDLED_IMAGES
        images.write_bytes(images.read_bytes()[:1000])
        assert f"{images} is damaged" in failure(platform, "answers").what

    def test_other_arrays_than_images(self, platform: HostPlatform) -> None:
        np.savez(platform.directory / checks.BUNDLED_IMAGES, pictures=np.zeros(3))
        assert "does not hold the arrays images and expected" in failure(platform, "answers").what


class TestBadDevices:
    def test_one_that_is_not_flashed(self, platform: HostPlatform) -> None:
        error = failure(flash_with(platform, "sh", "-c", "echo no probe; exit 4"), "flash")
        assert "exit code 4: sh -c" in error.what and "no probe" in error.log

    def test_one_that_answers_wrongly(self, platform: HostPlatform) -> None:
        with np.load(platform.directory / checks.BUNDLED_IMAGES) as data:
            expected = data["expected"].copy()
        expected[5, 3] += 1
        tamper(platform, expected=expected)
        error = failure(platform, "answers")
        assert "differently from the host on bundled image 5" in error.what
        assert "CC=" in error.next_step

    def test_images_of_another_shape(self, platform: HostPlatform) -> None:
        tamper(platform, images=np.zeros((40, 3), "int8"))
        assert "takes int8" in failure(platform, "answers").what

    def test_one_that_crashes(self, platform: HostPlatform) -> None:
        port = platform.directory / "runtime/device/ports/host/platform.c"
        text = port.read_text()
        start = "tvm_crt_error_t TVMPlatformInitialize(void) {"
        assert start in text
        port.write_text("#include <stdlib.h>\n" + text.replace(start, f"{start}\n  abort();"))
        assert "SIGABRT" in failure(platform, "answers").what


class TestProjects:
    @pytest.mark.parametrize(
        ("project_type", "found"),
        [("host_driven", "the model ran on the device"), ("standalone", "the standalone firmware ran")],
    )
    def test_run_their_own_model(
        self, platform: HostPlatform, tmp_path: Path, project_type: str, found: str
    ) -> None:
        generate(platform, ARCHIVES / "aot_c.tar", tmp_path / "project", {"project_type": project_type})
        results = results_of(load_platform(tmp_path / "project"))
        assert [result.what for result in results] == TOOLS + TRIAL
        assert results[-1].error is None and found in results[-1].found

    def test_a_standalone_firmware_that_fails_shows_its_report(
        self, platform: HostPlatform, tmp_path: Path
    ) -> None:
        options = {"project_type": "standalone", "workspace_size_bytes": 256}
        generate(platform, ARCHIVES / "aot_c.tar", tmp_path / "project", options)
        error = failure(load_platform(tmp_path / "project"), "answers")
        assert "failed with exit status" in error.what and error.log

    def test_a_standalone_firmware_that_hangs_is_ended(
        self, platform: HostPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = {"project_type": "standalone"}
        project = generate(platform, ARCHIVES / "aot_c.tar", tmp_path / "project", options)
        config = tmp_path / "project" / "src" / "model_config.c"
        hang = "__attribute__((constructor)) static void hang(void) { for (;;) pause(); }\n"
        config.write_text(f"#include <unistd.h>\n{config.read_text()}{hang}")
        build(project)
        monkeypatch.setattr(link, "STANDALONE_TIMEOUT_SEC", 0.2)
        assert "did not end within" in failure(load_platform(tmp_path / "project"), "answers").what

    def test_a_broken_one_is_generated_again(self, platform: HostPlatform, tmp_path: Path) -> None:
        generate(platform, ARCHIVES / "aot_c.tar", tmp_path / "project", {})
        (tmp_path / "project" / "project.json").write_text("{")
        error = failure(load_platform(tmp_path / "project"), "project")
        assert "Generate the project again" in error.next_step
