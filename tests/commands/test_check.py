# SPDX-License-Identifier: Apache-2.0
"""Command `check` in broken platforms: the right step fails and has a helpful next step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from runtime.host.boards.attachment import Attachment
from runtime.host.commands import bundled, check_steps
from runtime.host.commands.check_steps import CheckResult, run_checks
from runtime.host.commands.open_items import open_items
from runtime.host.commands.target import ModelSource
from runtime.host.errors import PlatformError
from runtime.host.execution import standalone_run
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform as HostPlatform
from runtime.host.project.platform import load_platform
from tests.conftest import Baker, Platform

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"
TOOLS = ["Python packages", "compile", "board", "C compiler", "build system"]
TRIAL = ["project", "build", "flash", "answers"]


@pytest.fixture
def platform(default_platform: Platform, tmp_path: Path) -> HostPlatform:
    """Return a platform that a test may change."""
    return load_platform(shutil.copytree(default_platform.path, tmp_path / "platform"))


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the directory for a check's project. The check must leave it empty."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.fixture
def without_tvm(platform: HostPlatform, monkeypatch: pytest.MonkeyPatch) -> HostPlatform:
    """Return a platform on a machine without the packages of `compile`."""
    monkeypatch.setattr(bundled, "can_compile", lambda: False)
    return platform


def found_in(results: List[CheckResult], step: str) -> str:
    (result,) = (each for each in results if each.what == step)
    assert result.error is None, result.error
    return result.found


def results_of(platform: HostPlatform) -> List[CheckResult]:
    return list(run_checks(platform))


def failure(platform: HostPlatform, step: str) -> PlatformError:
    """Return the error of `step`, which must be the only step that fails."""
    errors: Dict[str, PlatformError] = {
        result.what: result.error for result in results_of(platform) if result.error is not None
    }
    assert list(errors) == [step], errors
    assert errors[step].next_step
    return errors[step]


def flash_with(platform: HostPlatform, *command: str) -> HostPlatform:
    return HostPlatform(platform.directory, platform.name, platform.build_system, {"host": command})


def tamper(platform: HostPlatform, **arrays: object) -> None:
    path = platform.directory / bundled.IMAGES
    with np.load(path) as data:
        changed = {**data, **arrays}
    np.savez(path, **changed)


class TestWholePlatform:
    @pytest.mark.parametrize("build_system", ["make", pytest.param("cmake", marks=pytest.mark.slow)])
    def test_passes_every_step_and_leaves_nothing(
        self, default_platforms: Dict[str, Platform], build_system: str, temporary_directory: Path
    ) -> None:
        results = results_of(load_platform(default_platforms[build_system].path))
        assert [result.what for result in results] == [*TOOLS, *TRIAL, "reached"]
        assert [result.error for result in results] == [None] * 10
        assert results[-2].found.startswith("32 of 32 bundled images")
        assert results[-1].found == "host, a process on this machine"
        assert list(temporary_directory.iterdir()) == []

    def test_flashes_where_the_owner_says_how(self, platform: HostPlatform, tmp_path: Path) -> None:
        results = results_of(flash_with(platform, "cp", "{firmware}", str(tmp_path / "flashed")))
        assert "done with cp" in [result.found for result in results]
        assert "flash_command" in [result.what for result in results]
        assert (tmp_path / "flashed").stat().st_size > 0

    def test_a_process_does_not_vouch_for_the_real_board(
        self, platform: HostPlatform, tmp_path: Path
    ) -> None:
        """Check a flash command and a port for a board that is a process and uses neither."""
        command = ("cp", "{firmware}", str(tmp_path / "flashed"))
        configured = HostPlatform(platform.directory, "p", "make", command, port="/dev/nosuch")
        results = results_of(configured)
        assert [result.what for result in results] == [*TOOLS, *TRIAL, "reached", *["not reached"] * 2]
        assert [result.found for result in results if result.is_missed] == [
            "flash_command of microtvm_api_server.py (not run)",
            "port /dev/nosuch of microtvm_api_server.py (not opened)",
        ]
        assert not (tmp_path / "flashed").exists()

    def test_a_flash_command_of_a_board_that_is_none(self, platform: HostPlatform) -> None:
        configured = HostPlatform(platform.directory, "p", "make", {"hots": ["true"]})
        assert "'hots', which is not in boards.json" in str(failure(configured, "board"))


class TestModels:
    def test_the_bundled_model_file_is_compiled(self, platform: HostPlatform) -> None:
        results = results_of(platform)
        assert found_in(results, "project") == "generated from models/digits_int8.onnx"

    def test_its_archive_serves_without_tvm(self, without_tvm: HostPlatform) -> None:
        results = results_of(without_tvm)
        assert found_in(results, "project") == "generated from models/digits_int8.tar"
        assert found_in(results, "answers").startswith("32 of 32 bundled images")

    def test_an_older_platform_has_another_archive(self, platform: HostPlatform) -> None:
        for bundle in (bundled.MODEL_FILE, bundled.ARCHIVE):
            (platform.directory / bundle.model).unlink()
        results = results_of(platform)
        assert found_in(results, "project") == "generated from models/digits_aot.tar"
        assert found_in(results, "answers").startswith("32 of 32 bundled images")

    def test_a_model_file_is_compared_with_its_reference(self, platform: HostPlatform) -> None:
        path = platform.directory / bundled.MODEL_FILE.model
        results = list(run_checks(platform, source=ModelSource(path)))
        assert found_in(results, "project") == f"generated from {path}"
        assert "agree with onnxruntime on 7 sets" in found_in(results, "answers")

    def test_an_archive_is_run(self, platform: HostPlatform) -> None:
        results = list(run_checks(platform, source=ModelSource(ARCHIVES / "aot_c.tar")))
        assert found_in(results, "answers") == "the model ran on the device"

    def test_an_archive_is_not_compiled(self, platform: HostPlatform) -> None:
        source = ModelSource(ARCHIVES / "aot_c.tar", {}, verify=False)
        (failed,) = (each.error for each in run_checks(platform, source=source) if each.error)
        assert "--no-verify do not apply" in failed.what


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
        monkeypatch.setattr(check_steps, "PACKAGES", {"click": "click", "no_such_package": "no_such_package"})
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


class TestOtherFamilies:
    """Requirements of the board that is checked, for other families."""

    @pytest.fixture
    def cortex_m(self, bake: Baker) -> HostPlatform:
        return load_platform(bake(board_family="cortex_m").path)

    @pytest.fixture
    def only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Return a function that installs scripts as the only programs in PATH."""

        def install(**scripts: str) -> None:
            place = tmp_path / "bin"
            place.mkdir()
            for name, script in scripts.items():
                path = place / name.replace("_", "-")
                path.write_text(f"#!/bin/sh\n{script}\n")
                path.chmod(0o755)
            monkeypatch.setenv("PATH", str(place))

        return install

    def missing(self, platform: HostPlatform, **options: Any) -> Dict[str, PlatformError]:
        results = list(run_checks(platform, **options))
        return {result.what: result.error for result in results if result.error is not None}

    def test_the_cross_compiler_and_the_emulator(
        self, cortex_m: HostPlatform, only: Callable[..., None]
    ) -> None:
        only(make="exit 0")
        missing = self.missing(cortex_m)
        assert list(missing) == ["C compiler", "emulator"]
        assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in str(missing["C compiler"])
        assert "apt-get install qemu-system-arm" in str(missing["emulator"])

    def test_a_cross_compiler_without_its_c_library(
        self, cortex_m: HostPlatform, only: Callable[..., None]
    ) -> None:
        only(make="exit 0", qemu_system_arm="exit 0", arm_none_eabi_gcc="echo nano.specs")
        missing = self.missing(cortex_m)
        assert list(missing) == ["C compiler"]
        assert "has no C library" in missing["C compiler"].what
        assert "apt-get install libnewlib-arm-none-eabi" in missing["C compiler"].next_step

    def test_the_flash_tool_of_a_real_board(self, cortex_m: HostPlatform, only: Callable[..., None]) -> None:
        only(make="exit 0", arm_none_eabi_gcc="echo /somewhere/nano.specs")
        missing = self.missing(
            cortex_m, options={"board": "nucleo_f446re"}, attachment=Attachment(runner="st-flash")
        )
        assert list(missing) == ["flash tool"]
        assert "st-flash is not installed; nucleo_f446re is flashed with it." in str(missing["flash tool"])

    @pytest.mark.parametrize("board", ["host", "nucleo_f446"])
    def test_a_board_that_is_not_there(self, cortex_m: HostPlatform, board: str) -> None:
        missing = self.missing(cortex_m, options={"board": board})
        assert list(missing) == ["board"]

    @pytest.mark.slow
    def test_an_emulated_board_passes_every_step(self, cortex_m: HostPlatform) -> None:
        results = results_of(cortex_m)
        assert [result.what for result in results] == [*TOOLS, "emulator", *TRIAL, "reached"]
        assert [result.error for result in results] == [None] * 11
        assert results[-3].found == "not needed: the emulator loads the firmware when it starts"


class TestOpenItems:
    @pytest.fixture
    def custom(self, bake: Baker) -> HostPlatform:
        return load_platform(bake(board_family="custom").path)

    def change(self, platform: HostPlatform, old: str, new: str) -> HostPlatform:
        path = platform.directory / "boards.json"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        return platform

    def where(self, platform: HostPlatform, **attached: Any) -> List[str]:
        (board,) = platform.boards().values()
        return [item.where.partition(":")[0] for item in open_items(platform, board, Attachment(**attached))]

    def test_there_are_none_where_the_firmware_is_a_process(self, platform: HostPlatform) -> None:
        assert self.where(platform) == []

    def test_each_has_its_place_in_order(self, custom: HostPlatform) -> None:
        (board,) = custom.boards().values()
        items = open_items(custom, board)
        lines = []
        for item in items:
            name, _, line = item.where.partition(":")
            lines.append((custom.directory / name).read_text().splitlines()[int(line) - 1])
        assert '"transport": "process"' in lines[0]
        assert lines[1].strip() == "build_command=None,"
        assert [line[:19] for line in lines[2:7]] == [f"/* FILL IN {n} of 5: " for n in range(1, 6)]
        assert [line.strip() for line in lines[7:]] == ["flash_command=None,", "port=None,"]
        assert len({item.what for item in items}) == len(items)

    def test_a_fresh_one_works_here_and_ends_with_them(self, custom: HostPlatform) -> None:
        results = results_of(custom)
        assert [result.what for result in results if not result.is_open] == [*TOOLS, *TRIAL, "reached"]
        assert [result.is_open for result in results] == [False] * 10 + [True] * 9

    def test_a_board_that_nothing_builds_for_is_not_built_here(self, custom: HostPlatform) -> None:
        self.change(custom, '"process"', '"serial"')
        results = results_of(custom)
        assert [result.what for result in results if not result.is_open] == TOOLS[:3]

    def test_the_command_line_closes_some(self, custom: HostPlatform) -> None:
        self.change(custom, '"process"', '"serial"')
        (port,) = custom.directory.glob("port/*.c")
        port.write_text("/* all done */\n")
        server = "microtvm_api_server.py"
        assert self.where(custom) == [server, server, server]
        assert self.where(custom, port="/dev/ttyUSB0") == [server, server]
        assert self.where(custom, port="/dev/ttyUSB0", runner="openocd") == [server]

    @pytest.mark.parametrize("field", ['"usb": ["0483:374b"]', '"address": "10.0.0.7:5000"'])
    def test_the_entry_closes_the_port(self, custom: HostPlatform, field: str) -> None:
        self.change(custom, '"process"', f'"serial", {field}')
        assert len(self.where(custom)) == 7

    def test_an_emulated_board_needs_no_port_and_no_flashing(self, custom: HostPlatform) -> None:
        qemu = '"runner": "qemu", "runners": {"qemu": {"program": "qemu-system-arm", "machine": "mine"}}'
        self.change(custom, '"process"', f'"serial", {qemu}')
        assert self.where(custom) == ["microtvm_api_server.py"] + ["port/board.c"] * 5


class TestBrokenFiles:
    def test_boards(self, platform: HostPlatform) -> None:
        (platform.directory / "boards.json").write_text('{"schema": 1, "boards": {}}')
        assert "boards.json" in failure(platform, "board").what

    @pytest.mark.parametrize("keep", [0, 100, 20_000])
    def test_an_archive_cut_short(self, without_tvm: HostPlatform, keep: int) -> None:
        archive = without_tvm.directory / bundled.ARCHIVE.model
        archive.write_bytes(archive.read_bytes()[:keep])
        assert str(archive) in failure(without_tvm, "project").what

    def test_a_model_file_cut_short(self, platform: HostPlatform) -> None:
        model = platform.directory / bundled.MODEL_FILE.model
        model.write_bytes(model.read_bytes()[:1000])
        assert str(model) in failure(platform, "project").what

    def test_missing_models(self, platform: HostPlatform) -> None:
        for bundle in (bundled.MODEL_FILE, bundled.ARCHIVE, bundled.OLDER):
            (platform.directory / bundle.model).unlink()
        assert str(platform.directory / bundled.ARCHIVE.model) in failure(platform, "project").what

    def test_a_missing_build_file(self, platform: HostPlatform) -> None:
        (platform.directory / "Makefile").unlink()
        assert "Makefile: No such file" in failure(platform, "build").what

    def test_a_damaged_device_runtime(self, platform: HostPlatform) -> None:
        source = platform.directory / "runtime/device/src/framing.c"
        source.write_text("#error half a file\n")
        error = failure(platform, "build")
        assert "framing.c:1:" in error.what and "half a file" in error.what

    def test_missing_images(self, platform: HostPlatform) -> None:
        images = platform.directory / bundled.IMAGES
        images.unlink()
        assert f"{images} cannot be read" in failure(platform, "answers").what

    def test_images_cut_short(self, platform: HostPlatform) -> None:
        images = platform.directory / bundled.IMAGES
        images.write_bytes(images.read_bytes()[:1000])
        assert f"{images} is damaged" in failure(platform, "answers").what

    def test_other_arrays_than_images(self, platform: HostPlatform) -> None:
        np.savez(platform.directory / bundled.IMAGES, pictures=np.zeros(3))
        assert "does not hold the arrays images and expected_int8" in failure(platform, "answers").what


class TestBadDevices:
    def test_one_that_is_not_flashed(self, platform: HostPlatform) -> None:
        error = failure(flash_with(platform, "sh", "-c", "echo no probe; exit 4"), "flash")
        assert "exited with status 4: sh -c" in error.what and "no probe" in error.log

    def test_one_that_answers_wrongly(self, platform: HostPlatform) -> None:
        with np.load(platform.directory / bundled.IMAGES) as data:
            expected = data["expected_int8"].copy()
        expected[5, 3] += 1
        tamper(platform, expected_int8=expected)
        error = failure(platform, "answers")
        assert "device and host differ on bundled image 5" in error.what
        assert "CC=" in error.next_step

    def test_images_of_another_shape(self, platform: HostPlatform) -> None:
        tamper(platform, images=np.zeros((40, 3), "int8"))
        assert "expected int8" in failure(platform, "answers").what

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
        assert [result.what for result in results] == [TOOLS[0], *TOOLS[2:], *TRIAL, "reached"]
        assert results[-2].error is None and found in results[-2].found

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
        monkeypatch.setattr(standalone_run, "STANDALONE_TIMEOUT_SEC", 0.2)
        assert "did not exit within" in failure(load_platform(tmp_path / "project"), "answers").what

    def test_a_broken_one_is_generated_again(self, platform: HostPlatform, tmp_path: Path) -> None:
        generate(platform, ARCHIVES / "aot_c.tar", tmp_path / "project", {})
        (tmp_path / "project" / "project.json").write_text("{")
        error = failure(load_platform(tmp_path / "project"), "board")
        assert "Generate the project again" in error.next_step
