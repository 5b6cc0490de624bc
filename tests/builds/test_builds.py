# SPDX-License-Identifier: Apache-2.0
"""Real projects, generated, built and run: both build systems, every kind of archive, and failures."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import read_packed
from runtime.host.errors import ArchiveError, BoardError, BuildError, DeviceError, PlatformError
from runtime.host.execution.running_model import running_model
from runtime.host.firmware import stages
from runtime.host.firmware.build import build
from runtime.host.project import config_files
from runtime.host.project.generate import generate
from runtime.host.project.lookup import find_or_generate
from runtime.host.project.platform import BUILD_FILES, load_platform
from runtime.host.project.project import Project, load_project
from runtime.host.system.cache import Cache
from tests.conftest import Baker, Platform

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
DIGITS = ROOT / "examples/digits/digits_aot.tar"
BUILD_SYSTEMS = ["make", pytest.param("cmake", marks=pytest.mark.slow)]
ARCHIVES = {path.name.split(".")[0]: path for path in DATA.glob("*/*.tar*")}


def is_driven_from_the_host(path: Path) -> bool:
    """Return whether the host can drive the model of this archive on this machine.

    It cannot drive single operators (for tuning), a C interface without a system library (for standalone
    projects), objects for a Cortex-M4, and an archive without its weights.
    """
    try:
        model = ModelArchive.open(path)
    except ArchiveError:  # several modules; the tests of the reader check this error
        return False
    runs_here = path.name not in ("aot_llvm_weightless.tar", "graph_llvm_m4.tar", "graph_llvm_m4_hard.tar")
    return runs_here and model.style == "full-model" and model.has_system_library


MODELS = {name: path for name, path in ARCHIVES.items() if is_driven_from_the_host(path)}
IN_THE_FAST_RING = ("aot_c", "graph_llvm", "mlp_f32_aot")


@pytest.fixture
def project(default_platform: Platform, tmp_path: Path) -> Project:
    """Return a generated project of the digits model that is not built."""
    return generate(load_platform(default_platform.path), DIGITS, tmp_path / "project", {})


def answers_as_expected(project: Project, archive: Path) -> None:
    """Run the archive's recorded inputs on the device. Assert exact integers, and floats within 1e-5."""
    with np.load(archive.with_suffix("").with_suffix(".npz")) as data:
        inputs = {name[len("input_") :]: data[name] for name in data.files if name.startswith("input_")}
        expected = [data[name] for name in sorted(data.files) if name.startswith("output_")]
    with running_model(project) as executor:
        for name, array in inputs.items():
            executor.set_input(name, array)
        executor.run()
        for index, want in enumerate(expected):
            got = executor.get_output(index).reshape(want.shape)
            if want.dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.parametrize(
    "name",
    [name if name in IN_THE_FAST_RING else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)
def test_a_model_answers_as_tvm_did_on_the_host(
    default_platforms: Dict[str, Platform], build_system: str, name: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, MODELS[name], tmp_path / "project", {})
    build(project)
    answers_as_expected(project, MODELS[name])


@pytest.mark.slow
def test_both_build_systems_build_the_same_firmware(
    default_platforms: Dict[str, Platform], tmp_path: Path
) -> None:
    symbols = {}
    for build_system, platform in default_platforms.items():
        project = generate(load_platform(platform.path), DIGITS, tmp_path / build_system, {})
        build(project)
        listing = subprocess.run(
            ["nm", "--format=posix", str(project.firmware)], capture_output=True, text=True, check=True
        ).stdout
        symbols[build_system] = sorted(
            (name, kind, *size) for name, kind, _, *size in (line.split(" ") for line in listing.splitlines())
        )
    assert symbols["make"] == symbols["cmake"]


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_what_was_built_before_comes_from_the_cache(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    cache = Cache(tmp_path / "cache")
    first = build(generate(platform, DIGITS, tmp_path / "first", {}), cache=cache)
    again = build(generate(platform, DIGITS, tmp_path / "again", {}), cache=cache)
    other = build(generate(platform, DATA / "archives/aot_c.tar", tmp_path / "other", {}), cache=cache)
    edited = generate(platform, DIGITS, tmp_path / "edited", {})
    build_file = edited.directory / BUILD_FILES[build_system]
    build_file.write_text(build_file.read_text() + "\n# edited\n")
    edited_report = build(edited, cache=cache)
    assert [stage.name for stage in first.stages if stage.cached] == []
    assert [stage.name for stage in again.stages if stage.cached] == ["firmware"]
    assert [stage.name for stage in other.stages if stage.cached] == ["runtime"]
    assert [stage.name for stage in edited_report.stages if stage.cached] == []
    assert first.firmware.read_bytes() == again.firmware.read_bytes()
    with running_model(load_project(load_platform(tmp_path / "again"))) as executor:
        assert len(executor.outputs) == 1


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_concurrent_builds_share_an_empty_cache(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    cache = Cache(tmp_path / "cache")
    projects = [generate(platform, DIGITS, tmp_path / f"project{n}", {}) for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda project: build(project, cache=cache), projects))
    assert len({report.firmware.read_bytes() for report in reports}) == 1
    assert cache.directory is not None
    assert len(list(cache.directory.iterdir())) == 5, "three libraries, a firmware and its map"


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_a_project_moved_elsewhere_still_builds_with_and_without_the_host_tools(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    project = generate(load_platform(default_platforms[build_system].path), DIGITS, tmp_path / "here", {})
    build(project)
    moved = tmp_path / "with space" / "there"
    moved.parent.mkdir()
    project.directory.rename(moved)
    project = load_project(load_platform(moved))
    build(project)
    with running_model(project) as executor:
        assert len(executor.outputs) == 1
    shutil.rmtree(moved / "build")
    commands = {
        "make": [["make"]],
        "cmake": [["cmake", "-S", ".", "-B", "build"], ["cmake", "--build", "build"]],
    }
    for command in commands[build_system]:
        subprocess.run(command, cwd=moved, check=True, capture_output=True)
    with running_model(project) as executor:
        assert len(executor.outputs) == 1


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_what_a_broken_off_build_left_is_built_over(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    project = generate(load_platform(default_platforms[build_system].path), DIGITS, tmp_path / "project", {})
    build(project, cache=Cache(tmp_path / "cache"))
    for path in (project.directory / "build").rglob("*.[oa]"):
        path.write_bytes(b"half")
    project.firmware.write_bytes(b"half")
    build(project, cache=Cache(tmp_path / "another"))
    with running_model(project) as executor:
        assert len(executor.outputs) == 1


@pytest.mark.slow
def test_an_edit_is_built_even_when_its_file_looks_older(project: Project, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    build(project, cache=cache)
    source = project.directory / "src/model_config.c"
    source.write_text(source.read_text() + 'const char edited[] = "edited";\n')
    os.utime(source, (0, 0))
    build(project, cache=cache)
    assert b"edited" in (project.directory / "build/libmicrotvm_model.a").read_bytes()


@pytest.mark.slow
def test_two_builds_of_one_project_wait_for_each_other(project: Project, tmp_path: Path) -> None:
    caches = [Cache(tmp_path / f"cache{n}") for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda cache: build(project, cache=cache), caches))
    with running_model(project) as executor:
        assert len(executor.outputs) == 1


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.parametrize("odd", ["cache", "project"])
@pytest.mark.slow
def test_odd_letters_in_paths(
    default_platforms: Dict[str, Platform], build_system: str, odd: str, tmp_path: Path
) -> None:
    places = {"cache": tmp_path / "cache", "project": tmp_path / "project"}
    places[odd] = tmp_path / "Jane's $HOME (\u00e9) & co"
    platform = load_platform(default_platforms[build_system].path)
    for name in ("first", "second"):  # the second build gets libraries from the cache, but not its firmware
        options = {"workspace_size_bytes": {"first": 10000, "second": 20000}[name]}
        build(generate(platform, DIGITS, places["project"] / name, options), cache=Cache(places["cache"]))


@pytest.mark.slow
def test_a_path_that_cmake_cannot_have_is_told_at_once(
    default_platforms: Dict[str, Platform], tmp_path: Path
) -> None:
    project = generate(load_platform(default_platforms["cmake"].path), DIGITS, tmp_path / "a#b;c", {})
    with pytest.raises(BuildError, match="does not support # ; in the path"):
        build(project, cache=Cache(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("command", "words"),
    [("gcc 'x", "is not a valid command"), ("no-such-compiler -m32", "no-such-compiler is not installed")],
)
def test_a_compiler_that_is_no_command_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.setenv("CC", command)
    with pytest.raises(PlatformError, match=words):
        build(project)


@pytest.mark.slow
def test_a_build_from_the_cache_never_removes_the_firmware(project: Project, tmp_path: Path) -> None:
    """Check the files that another process may run or read while this one builds the same project again."""
    cache = Cache(tmp_path / "cache")
    build(project, cache=cache)
    (project.directory / "build" / "stale.o").write_bytes(b"")
    needed = [project.firmware, project.directory / "build" / "firmware.map"]
    missing: List[str] = []
    is_done = threading.Event()

    def watch() -> None:
        while not is_done.is_set():
            missing.extend(path.name for path in needed if not path.exists())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):
            assert build(project, cache=cache).stages[0].cached
    finally:
        is_done.set()
        watcher.join()
    assert missing == []
    assert not (project.directory / "build" / "stale.o").exists()


@pytest.mark.slow
def test_the_environment_does_not_move_the_build(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILD", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("RUNTIME_LIB", "/no/such/library.a")
    build(project, cache=Cache(tmp_path / "cache"))
    assert project.firmware.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_flags_of_the_user_win_and_no_other_firmware_is_taken(
    default_platforms: Dict[str, Platform], build_system: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    sizes = {}
    for variable, value in (("CFLAGS", ""), ("CFLAGS", "-O0"), ("CMAKE_BUILD_TYPE", "Debug")):
        place = tmp_path / f"{variable}{value}"
        project = generate(load_platform(default_platforms[build_system].path), DIGITS, place, {})
        with monkeypatch.context() as environment:
            environment.setenv(variable, value)
            build(project, cache=cache)
        sizes[variable, value] = project.firmware.stat().st_size
    assert sizes["CFLAGS", "-O0"] != sizes["CFLAGS", ""]
    assert sizes["CMAKE_BUILD_TYPE", "Debug"] == sizes["CFLAGS", ""]


@pytest.mark.slow
def test_a_runtime_is_compiled_once_for_both_types_of_project(
    default_platform: Platform, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    platform = load_platform(default_platform.path)
    for project_type in ("host_driven", "standalone"):
        build(
            generate(platform, DIGITS, tmp_path / project_type, {"project_type": project_type}), cache=cache
        )
    assert cache.directory is not None
    kinds = [path.name.split("-")[0] for path in cache.directory.iterdir()]
    assert kinds.count("libmicrotvm_runtime") == 1
    assert kinds.count("libmicrotvm_platform") == 2


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_a_hand_edited_configuration_is_built(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    project = generate(load_platform(default_platforms[build_system].path), DIGITS, tmp_path / "project", {})
    build(project, cache=cache)
    before = project.firmware.read_bytes()
    name, _ = config_files.CONFIGS[build_system]
    config = project.directory / name
    config.write_text(config.read_text().replace("-O2", "-O0"))
    build(project, cache=cache)
    assert project.firmware.read_bytes() != before


def test_a_compiler_in_colours_does_not_hide_the_first_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-fdiagnostics-color=always -no-such-flag")
    with pytest.raises(BuildError, match="no-such-flag"):
        build(project)


@pytest.mark.parametrize("size", [-5, 0, 255, 2**31])
def test_a_workspace_that_no_device_has_is_refused(
    default_platform: Platform, tmp_path: Path, size: int
) -> None:
    with pytest.raises(PlatformError, match=f"expected 256 to 1073741824, got {size}"):
        generate(
            load_platform(default_platform.path), DIGITS, tmp_path / "project", {"workspace_size_bytes": size}
        )


def test_a_project_inside_what_projects_copy_is_refused(bake: Baker) -> None:
    platform = load_platform(bake().path)
    with pytest.raises(PlatformError, match="which is copied into every project"):
        generate(platform, DIGITS, platform.directory / "runtime" / "mine", {})


def test_a_port_that_is_not_there_is_told_before_the_link(bake: Baker, tmp_path: Path) -> None:
    platform = bake()
    boards = platform.path / "boards.json"
    boards.write_text(boards.read_text().replace('"device_port": "host"', '"device_port": "../apps"'))
    with pytest.raises(BoardError, match=r"device port '\.\./apps' does not exist"):
        generate(load_platform(platform.path), DIGITS, tmp_path / "project", {})


@pytest.mark.parametrize(("memory", "kind"), [((1 << 20, 4000), "ram"), ((20000, 1 << 20), "flash")])
def test_a_firmware_that_the_board_cannot_hold_is_refused_with_both_numbers(
    bake: Baker, tmp_path: Path, memory: Tuple[int, int], kind: str
) -> None:
    platform = bake()
    boards = platform.path / "boards.json"
    sizes = f'{{"flash": {{"bytes": {memory[0]}}}, "ram": {{"bytes": {memory[1]}}}}}'
    boards.write_text(boards.read_text().replace('"memory": null', f'"memory": {sizes}'))
    project = generate(load_platform(platform.path), DIGITS, tmp_path / "project", {})
    with pytest.raises(BuildError) as caught:
        build(project)
    assert re.search(rf"needs [\d,]+ bytes of {kind}; host has {min(memory):,}", caught.value.what)
    assert re.search(r"model [\d,]+, runtime [\d,]+", caught.value.next_step)


def test_a_mistake_in_the_owners_own_file_does_not_blame_the_model(project: Project) -> None:
    source = project.directory / "src/model_config.c"
    source.write_text(source.read_text() + "int x = y;\n")
    with pytest.raises(BuildError, match=r"src/model_config\.c:\d+") as caught:
        build(project)
    assert "model archive" not in caught.value.next_step


@pytest.mark.parametrize("text", ["A B", "3X", "-UX", "A-B=1"])
def test_a_definition_that_is_none_is_refused(default_platform: Platform, text: str, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="expected NAME or NAME=VALUE"):
        generate(
            load_platform(default_platform.path),
            DIGITS,
            tmp_path / "project",
            {"compile_definitions": [text]},
        )


def test_a_model_archive_in_a_platform_leaves_it_a_platform(bake: Baker) -> None:
    platform = bake()
    shutil.copy(DIGITS, platform.path / "model.tar")
    assert not load_platform(platform.path).is_project


def test_projects_generated_at_once_at_one_place_are_one_project(
    default_platform: Platform, tmp_path: Path
) -> None:
    platform = load_platform(default_platform.path)
    place = tmp_path / "project"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: find_or_generate(platform, read_packed(DIGITS), place, {}), range(4)))
    build(load_project(load_platform(place)))
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_a_project_has_the_mode_that_the_user_asks_for(default_platform: Platform, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        project = generate(load_platform(default_platform.path), DIGITS, tmp_path / "project", {})
    finally:
        os.umask(mask)
    assert project.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_compiler_with_arguments(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cc -DTOLD_TO_THE_COMPILER")
    build(project)


@pytest.mark.slow
def test_a_make_that_started_us_does_not_meddle(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")
    build(project, cache=Cache(tmp_path / "cache"))
    assert project.firmware.is_file()


def test_the_first_compiler_error_reaches_the_user_and_the_log_has_the_command(project: Project) -> None:
    source = next((project.directory / "model/codegen/host/src").glob("*lib0.c"))
    source.write_text("int first = nonsense;\nint second = more_nonsense;\n" + source.read_text())
    with pytest.raises(BuildError) as caught:
        build(project)
    assert "while compiling the model" in caught.value.what
    assert "lib0.c:1:" in caught.value.what and "nonsense" in caught.value.what
    assert "more_nonsense" not in caught.value.what
    assert "-c model/codegen/host/src" in caught.value.log


def test_a_model_without_its_kernels_fails_at_the_link_with_the_missing_name(project: Project) -> None:
    for source in (project.directory / "model/codegen/host/src").glob("*lib[1-9].c"):
        source.write_text("")
    with pytest.raises(BuildError) as caught:
        build(project)
    assert "while linking the firmware" in caught.value.what
    assert "tvmgen_default" in caught.value.what


def test_a_compiler_that_is_not_there_is_named_with_what_installs_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(PlatformError, match="no-such-compiler is not installed"):
        build(project)


def test_a_build_that_hangs_is_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\ncase "$1" in --version) echo stuck 1.0;; *) sleep 100;; esac\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(stages, "STAGE_TIMEOUT_SEC", 0.5)
    with pytest.raises(BuildError, match="hung while compiling the device runtime"):
        build(project)


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_a_definition_reaches_c_as_it_was_written(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    values = ["plain", "with space", "quote's", 'double"quote', "dollar$HOME", "hash#tag", "back\\slash"]
    values += ["$(touch x)", "`touch x`", "[[x]==]y"]
    if build_system == "make":
        values += ["a;b;c", "]=]"]
    texts = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    probe = "#include <stdio.h>\nvoid probe(void) {\n"
    probe += "".join(f"  puts(PROBE{index});\n" for index in range(len(values))) + "}\n"
    options = {
        "compile_definitions": [f'PROBE{index}="{text}"' for index, text in enumerate(texts)],
        "extra_files_tar": tar_of(tmp_path, {"probe.c": probe.encode()}),
    }
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, DIGITS, tmp_path / "project", options)
    build(project)
    library = (project.directory / "build/libmicrotvm_model.a").read_bytes()
    for value in values:
        assert value.encode() + b"\0" in library
    assert not list(tmp_path.rglob("x"))


def tar_of(tmp_path: Path, files: Dict[str, bytes]) -> str:
    path = tmp_path / "extra.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize(
    ("build_system", "text", "words"),
    [
        ("cmake", 'A="b;c"', "which CMake's lists do not support"),
        ("cmake", 'A="]"', "which CMake's lists do not support"),
        ("make", "A=1\nB=2", "a line break"),
    ],
)
def test_a_definition_that_cannot_be_handed_on_is_refused(
    default_platforms: Dict[str, Platform], build_system: str, text: str, words: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    with pytest.raises(PlatformError, match=words):
        generate(platform, DIGITS, tmp_path / "project", {"compile_definitions": [text]})


def test_extra_files_are_compiled_and_their_headers_found(default_platform: Platform, tmp_path: Path) -> None:
    tar = tar_of(
        tmp_path, {"answer.h": b"#define ANSWER 42\n", "a.c": b'#include "answer.h"\nint answer = ANSWER;\n'}
    )
    project = generate(
        load_platform(default_platform.path), DIGITS, tmp_path / "project", {"extra_files_tar": tar}
    )
    build(project)


def test_hostile_extra_files_leave_no_project_behind(default_platform: Platform, tmp_path: Path) -> None:
    tar = tar_of(tmp_path, {"../outside.c": b"int x;\n"})
    with pytest.raises(ArchiveError, match="outside"):
        generate(load_platform(default_platform.path), DIGITS, tmp_path / "p" / "q", {"extra_files_tar": tar})
    assert not (tmp_path / "p").exists()
    assert not list(tmp_path.rglob("outside.c"))


@pytest.mark.slow
def test_a_warning_in_the_platform_stops_a_build_that_asks_for_it(
    default_platform: Platform, tmp_path: Path
) -> None:
    platform = load_platform(default_platform.path)
    for name, as_error in (("lenient", False), ("strict", True)):
        project = generate(platform, DIGITS, tmp_path / name, {"warning_as_error": as_error})
        source = next((project.directory / "runtime/device/src").glob("*.c"))
        source.write_text(source.read_text() + "\nstatic int never_used;\n")
        if as_error:
            with pytest.raises(BuildError, match="never_used"):
                build(project)
        else:
            build(project)


def test_a_workspace_that_is_too_small_is_an_answer_of_the_device(
    default_platform: Platform, tmp_path: Path
) -> None:
    project = generate(
        load_platform(default_platform.path), DIGITS, tmp_path / "project", {"workspace_size_bytes": 256}
    )
    build(project)
    with pytest.raises(DeviceError) as caught, running_model(project) as executor:
        executor.set_input(0, np.zeros((1, 1, 8, 8), "int8"))
        executor.run()
    assert re.search(r"out of workspace memory, bytes: expected \d+, got \d+", str(caught.value))


def test_an_existing_directory_is_never_written_over(default_platform: Platform, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "precious.txt").write_text("x")
    with pytest.raises(PlatformError, match="exists already and is not an empty directory"):
        generate(load_platform(default_platform.path), DIGITS, place, {})
    assert [path.name for path in place.iterdir()] == ["precious.txt"]


def test_an_unknown_board_is_refused_before_anything_is_written(
    default_platform: Platform, tmp_path: Path
) -> None:
    with pytest.raises(BoardError, match="Unknown board 'nrf'"):
        generate(load_platform(default_platform.path), DIGITS, tmp_path / "project", {"board": "nrf"})
    assert not (tmp_path / "project").exists()
