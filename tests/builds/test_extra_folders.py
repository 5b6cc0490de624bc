# SPDX-License-Identifier: Apache-2.0
"""Extra files in folders, and the part of CMSIS that a model needs, as parts of the firmware.

The model calls one function of a small stand-in for CMSIS-NN, which exists in two layouts.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Dict, List

import pytest

from runtime.host.errors import ArchiveError, PlatformError
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform, load_platform
from runtime.host.project.project import Project, load_project
from runtime.host.system.cache import Cache
from tests.builds.fabricated_crt import fabricate_crt
from tests.conftest import Baker
from tests.conftest import Platform as Baked
from tests.support.archives import archive_bytes, member

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits/digits_aot.tar"
CASE = ROOT / "tests/data/cases/cmsis_path_ignored"
MODEL = CASE / "cmsisnn.tar"
LAYOUTS = ("extra", "flat")
BUILD_SYSTEMS = ["make", "cmake"]
BY_HAND = {"make": [["make"]], "cmake": [["cmake", "-S", ".", "-B", "build"], ["cmake", "--build", "build"]]}


def tar_of(path: Path, files: Dict[str, str]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def stand_in(folder: Path, layout: str = "extra") -> str:
    """Unpack the stand-in for CMSIS-NN into a folder."""
    with tarfile.open(CASE / f"{layout}.tar") as tar:
        for info in tar.getmembers():
            file = tar.extractfile(info)
            if file is not None:
                place = folder / info.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read())
    return str(folder)


def write(folder: Path, files: Dict[str, str]) -> None:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def copied(project: Project) -> List[str]:
    """Return the files of CMSIS in a project."""
    files = (project.directory / "cmsis").rglob("*")
    return sorted(path.relative_to(project.directory).as_posix() for path in files if path.is_file())


def defines(project: Project, name: str) -> bool:
    """Return whether a firmware, or a library linked into it, defines a function.

    The libraries are included because the linker drops functions that the model's entry does not reach.
    """
    files = [project.firmware, *project.directory.glob("build/**/*.a")]
    listings = (
        subprocess.run(["nm", "-A", str(file)], capture_output=True, text=True, check=True).stdout
        for file in files
    )
    return any(re.search(rf" T {name}$", listing, re.MULTILINE) for listing in listings)


def build_by_hand(project: Project, build_system: str) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(project.directory / "build", ignore_errors=True)
    for command in BY_HAND[build_system]:
        done = subprocess.run(command, cwd=project.directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            break
    return done


@pytest.fixture
def platform(default_platform: Baked) -> Platform:
    return load_platform(default_platform.path)


@pytest.mark.slow
@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("option", ["extra_files_tar", "cmsis_path"])
def test_a_model_that_calls_cmsis_runs(
    default_platforms: Dict[str, Baked], build_system: str, layout: str, option: str, tmp_path: Path
) -> None:
    value = str(CASE / f"{layout}.tar")
    if option == "cmsis_path":
        value = stand_in(tmp_path / "cmsis", layout)
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, MODEL, tmp_path / "here", {option: value})
    shutil.rmtree(tmp_path / "cmsis", ignore_errors=True)  # the project has copies of all files that it needs
    project.directory.rename(tmp_path / "there")
    project = load_project(load_platform(tmp_path / "there"))
    build(project, cache=Cache(tmp_path / "cache"))
    assert defines(project, "arm_fake")
    with running_model(project) as executor:
        assert len(executor.outputs) == 1
    assert build_by_hand(project, build_system).returncode == 0
    assert defines(project, "arm_fake")


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
@pytest.mark.parametrize("family", ["cortex_m", "riscv", "custom"])
def test_every_family_builds_both_ways(bake: Baker, build_system: str, family: str, tmp_path: Path) -> None:
    platform = load_platform(bake(board_family=family, build_system=build_system).path)
    ways = {"extra_files_tar": str(CASE / "extra.tar"), "cmsis_path": stand_in(tmp_path / "cmsis")}
    for option, value in ways.items():
        project = generate(platform, MODEL, tmp_path / option, {option: value, "warning_as_error": True})
        build(project, cache=Cache(tmp_path / f"{option}_cache"))
        assert defines(project, "arm_fake")
        with running_model(project) as executor:
            assert len(executor.outputs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_the_runtime_of_tvm_builds_both_ways(
    default_platforms: Dict[str, Baked], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    crt = {"crt": "standalone", "standalone_crt_dir": str(fabricate_crt(tmp_path / "crt"))}
    ways = {"extra_files_tar": str(CASE / "extra.tar"), "cmsis_path": stand_in(tmp_path / "cmsis")}
    for option, value in ways.items():
        project = generate(platform, MODEL, tmp_path / option, {option: value, **crt})
        build(project, cache=Cache(tmp_path / f"{option}_cache"))
        assert defines(project, "arm_fake")


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("option", ["extra_files_tar", "cmsis_path"])
def test_a_build_command_gets_sources_and_folders(
    bake: Baker, layout: str, option: str, tmp_path: Path
) -> None:
    custom = load_platform(bake(board_family="custom").path)
    command = ("cc", "-w", "{flags}", "{sources}", "-lm", "-o", "{firmware}")
    platform = Platform(custom.directory, custom.name, custom.build_system, build_command=command)
    value = str(CASE / f"{layout}.tar")
    if option == "cmsis_path":
        value = stand_in(tmp_path / "cmsis", layout)
    project = generate(platform, MODEL, tmp_path / "project", {option: value})
    build(project)
    assert defines(project, "arm_fake")


@pytest.mark.slow
def test_a_build_command_may_have_a_cmsis_of_its_own(bake: Baker, tmp_path: Path) -> None:
    custom = load_platform(bake(board_family="custom").path)
    sdk = stand_in(tmp_path / "sdk")
    sources = (f"-I{sdk}/Include", "{sources}", f"{sdk}/Source/Deep/arm_fake.c")
    command = ("cc", "-w", "{flags}", *sources, "-lm", "-o", "{firmware}")
    platform = Platform(custom.directory, custom.name, custom.build_system, build_command=command)
    project = generate(platform, MODEL, tmp_path / "project", {})
    build(project)
    assert defines(project, "arm_fake")


class TestTheProjectTakes:
    @pytest.mark.parametrize("above", ["", "CMSIS/NN/", "NN/", "CMSIS-NN/", "modules/hal/deep/cmsis-nn/"])
    def test_the_needed_files_wherever_a_user_points(
        self, platform: Platform, above: str, tmp_path: Path
    ) -> None:
        stand_in(tmp_path / "cmsis" / above)
        project = generate(platform, MODEL, tmp_path / "project", {"cmsis_path": str(tmp_path / "cmsis")})
        assert copied(project) == [
            "cmsis/NN/Include/Internal/arm_nn_types.h",
            "cmsis/NN/Include/arm_nnfunctions.h",
            "cmsis/NN/Source/Deep/arm_fake.c",
        ]

    def test_the_needed_files_of_a_folder_inside(self, platform: Platform, tmp_path: Path) -> None:
        stand_in(tmp_path / "CMSIS/NN")
        write(
            tmp_path / "CMSIS",
            {
                "Core/Include/cmsis_compiler.h": "#define TWO 2\n",
                "NN/Include/Internal/arm_nn_types.h": "#include <cmsis_compiler.h>\ntypedef int arm_t;\n",
            },
        )
        for folder in ("CMSIS/NN", "CMSIS/NN/Include"):
            options = {"cmsis_path": str(tmp_path / folder)}
            project = generate(platform, MODEL, tmp_path / f"{folder}_project", options)
            assert "cmsis/Core/Include/cmsis_compiler.h" in copied(project)

    def test_what_its_sources_call_and_nothing_else(self, platform: Platform, tmp_path: Path) -> None:
        folder = stand_in(tmp_path / "cmsis")
        write(
            tmp_path / "cmsis",
            {
                "Include/arm_nnsupportfunctions.h": "int arm_inner(int);\nint arm_unused(int);\n"
                "extern const int arm_table[2];\n"
                "static inline int twice(int x) { return arm_table[x] + arm_inner(x); }\n",
                "Source/Deep/arm_fake.c": '#include "arm_nnfunctions.h"\n'
                '#include "arm_nnsupportfunctions.h"\n'
                "static int compute(int x) { return x; }\n"
                "int arm_fake(arm_t x)\n{\n    return twice(compute(x)); /* arm_unused(x) */\n}\n",
                "Source/inner.c": "int arm_inner(int x)\n{\n    if (x) {\n        return x;\n    }\n"
                "    return 1;\n}\n",
                "Source/tables.c": "const int arm_table[2] = {1, 2};\n",
                "Source/unused.c": "#error not needed\nint arm_unused(int x) { if (x) { return x; } }\n",
                "Source/other.c": "#error not needed\nstatic int compute(int x) { return x; }\n",
                "Tests/arm_fake.c": "#error not needed\nint arm_fake(int x) { return x; }\n",
                "Include/unused.h": "#error not needed\n",
            },
        )
        project = generate(platform, MODEL, tmp_path / "project", {"cmsis_path": folder})
        assert copied(project) == [
            "cmsis/NN/Include/Internal/arm_nn_types.h",
            "cmsis/NN/Include/arm_nnfunctions.h",
            "cmsis/NN/Include/arm_nnsupportfunctions.h",
            "cmsis/NN/Source/Deep/arm_fake.c",
            "cmsis/NN/Source/inner.c",
            "cmsis/NN/Source/tables.c",
        ]
        build(project)

    def test_a_source_whose_macro_defines_the_function(self, platform: Platform, tmp_path: Path) -> None:
        folder = stand_in(tmp_path / "cmsis")
        write(
            tmp_path / "cmsis",
            {
                "Source/Deep/arm_fake.c": "",
                "Source/made.c": '#include "arm_nnfunctions.h"\n'
                "#define MAKE(name) int name(arm_t x) { return x; }\nMAKE(arm_fake)\n",
            },
        )
        build(generate(platform, MODEL, tmp_path / "project", {"cmsis_path": folder}))

    def test_nothing_for_a_model_that_needs_nothing(self, platform: Platform, tmp_path: Path) -> None:
        for path in (stand_in(tmp_path / "cmsis"), str(tmp_path / "nowhere")):
            place = tmp_path / f"{Path(path).name}_project"
            project = generate(platform, DIGITS, place, {"cmsis_path": path})
            assert copied(project) == []
            assert not any("CMSIS" in name for name in project.settings.config.variables())


class TestRefusals:
    def refused(self, platform: Platform, tmp_path: Path, **options: object) -> str:
        with pytest.raises(PlatformError) as caught:
            generate(platform, MODEL, tmp_path / "project", options)
        assert not (tmp_path / "project").exists()
        return f"{caught.value} {caught.value.next_step}"

    def test_of_a_model_without_cmsis_name_the_options(self, platform: Platform, tmp_path: Path) -> None:
        words = self.refused(platform, tmp_path)
        assert "includes arm_nnfunctions.h" in words
        assert "-o cmsis_path=DIRECTORY" in words
        assert "-o extra_files_tar=FILE.tar" in words

    def test_of_a_folder_without_the_header(self, platform: Platform, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        words = self.refused(platform, tmp_path, cmsis_path=str(tmp_path / "empty"))
        assert f"cmsis_path={tmp_path / 'empty'} has no arm_nnfunctions.h" in words

    def test_of_several_copies(self, platform: Platform, tmp_path: Path) -> None:
        for copy in ("one/old", "two/new"):
            stand_in(tmp_path / "cmsis" / copy)
        words = self.refused(platform, tmp_path, cmsis_path=str(tmp_path / "cmsis"))
        assert "one/old/Include" in words
        assert "two/new/Include" in words

    def test_of_no_folder(self, platform: Platform, tmp_path: Path) -> None:
        assert "is not a folder" in self.refused(platform, tmp_path, cmsis_path=str(tmp_path / "nowhere"))

    def test_of_extra_files_without_the_header(self, platform: Platform, tmp_path: Path) -> None:
        tar = tar_of(tmp_path / "other.tar", {"a/b.h": "", "a/b.c": "int b;\n"})
        assert "includes arm_nnfunctions.h" in self.refused(platform, tmp_path, extra_files_tar=tar)

    def test_of_a_function_that_is_not_there(self, platform: Platform, tmp_path: Path) -> None:
        folder = stand_in(tmp_path / "cmsis")
        shutil.rmtree(tmp_path / "cmsis/Source")
        words = self.refused(platform, tmp_path, cmsis_path=folder)
        assert "calls arm_fake" in words
        assert "Use the release of CMSIS-NN" in words

    def test_of_cmsis_nn_without_the_core_that_it_needs(self, platform: Platform, tmp_path: Path) -> None:
        folder = stand_in(tmp_path / "cmsis")
        types = "#if defined(_MSC_VER)\n#else\n#include <cmsis_compiler.h>\n#endif\ntypedef int arm_t;\n"
        write(tmp_path / "cmsis", {"Include/Internal/arm_nn_types.h": types})
        words = self.refused(platform, tmp_path, cmsis_path=folder)
        assert "includes cmsis_compiler.h" in words
        core = {"core/cmsis_compiler.h": "#define CORE 1\n"}  # in the extra files
        tar = tar_of(tmp_path / "core.tar", core)
        build(generate(platform, MODEL, tmp_path / "b", {"cmsis_path": folder, "extra_files_tar": tar}))

    def test_of_a_file_of_cmsis_that_a_shell_would_run(self, platform: Platform, tmp_path: Path) -> None:
        folder = stand_in(tmp_path / "cmsis")
        inner = tmp_path / "cmsis/Source/Deep"
        (inner / "arm_fake.c").rename(inner / "a$(touch OWNED).c")
        words = self.refused(platform, tmp_path, cmsis_path=folder)
        assert "cmsis/NN/Source/Deep/a$(touch OWNED).c" in words
        assert "Rename the file." in words


@pytest.mark.slow
@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
def test_cmsis_is_compiled_once_for_a_model_that_changes(
    default_platforms: Dict[str, Baked], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    cache = Cache(tmp_path / "cache")
    options = {"cmsis_path": stand_in(tmp_path / "cmsis")}
    first = build(generate(platform, MODEL, tmp_path / "first", options), cache=cache)
    assert "cmsis" in [stage.name for stage in first.stages]
    changed = generate(platform, MODEL, tmp_path / "changed", options)
    source = next((changed.directory / "model/codegen/host/src").glob("*lib2.c"))
    source.write_text(f"{source.read_text()}\nint changed;\n")
    again = build(changed, cache=cache)
    assert [stage.name for stage in again.stages if stage.cached] == ["runtime", "cmsis"]
    header = changed.directory / "cmsis/NN/Include/Internal/arm_nn_types.h"
    header.write_text("#pragma once\ntypedef long arm_t;\n")
    last = build(changed, cache=cache)
    assert [stage.name for stage in last.stages if stage.cached] == ["runtime"]


TWINS = {
    "one/twin.c": '#include "where.h"\nint first_twin = WHERE;\n',
    "one/where.h": "#define WHERE 1\n",
    "two/deep/twin.c": '#include "deep/only.h"\n#include <inner/far.h>\nint second_twin = ONLY + FAR;\n',
    "two/deep/only.h": "#define ONLY 2\n",
    "three/outer/inner/far.h": "#define FAR 3\n",
    "twin.c": "int third_twin = 3;\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
def test_files_of_one_name_in_several_folders_are_all_there(
    default_platforms: Dict[str, Baked], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    options = {"extra_files_tar": tar_of(tmp_path / "twins.tar", TWINS)}
    project = generate(platform, DIGITS, tmp_path / "project", options)
    write(project.directory / "extra", {"by/hand/twin.c": '#include "mine.h"\nint fourth_twin = MINE;\n'})
    write(project.directory / "extra", {"by/mine.h": "#define MINE 4\n", ".hidden/no.c": "#error hidden\n"})
    build(project, cache=Cache(tmp_path / "cache"))
    assert build_by_hand(project, build_system).returncode == 0
    library = project.directory / "build/libmicrotvm_model.a"
    done = subprocess.run(["nm", str(library)], capture_output=True, text=True, check=True)
    assert {f"{count}_twin" for count in ("first", "second", "third", "fourth")} <= set(
        re.findall(r"\w+_twin", done.stdout)
    )


def test_a_folder_of_the_platform_that_is_a_link_counts(bake: Baker, tmp_path: Path) -> None:
    stand_in(tmp_path / "elsewhere")
    path = bake().path
    (path / "extra").mkdir()
    (path / "extra/nn").symlink_to(tmp_path / "elsewhere")
    project = generate(load_platform(path), MODEL, tmp_path / "project", {})
    assert (project.directory / "extra/nn/Include/arm_nnfunctions.h").is_file()
    build(project)


@pytest.mark.slow
def test_both_build_systems_search_folders_in_one_order(
    default_platforms: Dict[str, Baked], tmp_path: Path
) -> None:
    files = {
        f"{folder}/same.h": f'#define SAME "from {folder}"\n' for folder in ("b", "a-b", "a/z", "a+", "B")
    }
    files["c.c"] = "#include <same.h>\nconst char which[] = SAME;\n"
    options = {"extra_files_tar": tar_of(tmp_path / "order.tar", files)}
    for build_system, platform in default_platforms.items():
        project = generate(load_platform(platform.path), DIGITS, tmp_path / build_system, options)
        build(project)
        assert b"from B\0" in (project.directory / "build/libmicrotvm_model.a").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
def test_code_of_every_target_of_an_archive_is_built(
    default_platforms: Dict[str, Baked], build_system: str, tmp_path: Path
) -> None:
    with tarfile.open(DIGITS) as tar:
        opened = {info.name[2:]: tar.extractfile(info) for info in tar.getmembers()}
        files = {name: file.read() for name, file in opened.items() if file is not None}
    moved = {
        name.replace("codegen/host/src/default_lib1.c", "codegen/other/src/deep/default_lib0.c"): data
        for name, data in files.items()
    }
    assert moved.keys() != files.keys()
    path = tmp_path / "moved.tar"
    path.write_bytes(archive_bytes(moved))
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, path, tmp_path / "project", {})
    build(project)
    with running_model(project) as executor:
        assert len(executor.outputs) == 1


ODD_NAMES = [
    "a$(touch OWNED).c",
    "a$(touch${IFS}OWNED).c",
    "a`touch OWNED`.c",
    "a b.c",
    "a;b.c",
    "-a.c",
    "x/.a.c",
]
ODD_NAMES += [
    "$(shell touch OWNED)/a.c",
    "a'b.c",
    'a"b.c',
    "\u00e9.c",
    "a#b.h",
    "a,b.h",
    "a&b/c.h",
    "notes (1).txt",
]


@pytest.mark.parametrize("name", ODD_NAMES)
class TestAName:
    def test_of_an_extra_file_is_refused(self, platform: Platform, name: str, tmp_path: Path) -> None:
        tar = tar_of(tmp_path / "odd.tar", {f"folder/{name}": "int x;\n"})
        with pytest.raises(PlatformError, match="letters, digits") as caught:
            generate(platform, DIGITS, tmp_path / "project", {"extra_files_tar": tar})
        assert f"folder/{name}" in str(caught.value)
        assert caught.value.next_step == "Rename the file."
        assert not (tmp_path / "project").exists()

    def test_of_a_model_archives_code_is_refused(self, name: str, platform: Platform, tmp_path: Path) -> None:
        path = tmp_path / "odd.tar"
        with tarfile.open(DIGITS) as tar:
            opened = {info.name: tar.extractfile(info) for info in tar.getmembers()}
            files = {name: file.read() for name, file in opened.items() if file is not None}
        path.write_bytes(archive_bytes(files, member(f"./codegen/host/src/{name}", "int x;\n")))
        with pytest.raises(ArchiveError, match="letters, digits"):
            generate(platform, path, tmp_path / "project", {})


@pytest.mark.slow
@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.parametrize("name", [name for name in ODD_NAMES if name.endswith(".c")])
def test_no_name_that_was_added_by_hand_runs_a_command(
    default_platforms: Dict[str, Baked], build_system: str, name: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, DIGITS, tmp_path / "project", {})
    write(project.directory / "extra", {f"folder/{name}": "int x;\n"})
    if name != "x/.a.c":
        with pytest.raises(PlatformError, match="letters, digits"):
            build(project)
    build_by_hand(project, build_system)
    found = [file for _, _, files in os.walk(tmp_path) for file in files]
    assert "OWNED" not in found
