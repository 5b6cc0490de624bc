# SPDX-License-Identifier: Apache-2.0
"""Build of a project's firmware: its libraries (device runtime, platform, CMSIS, model), then the link.

The cache stores each library and the firmware under the compiler, flags and sources that they depend on. The
device runtime is therefore compiled only once, and a model only after a change. Make and CMake are driven in
the same way, one target after another, so that each failure and each time belongs to a named stage.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Dict, Final, Iterator, List, NamedTuple, Optional

from runtime.host.errors import BuildError
from runtime.host.firmware.build_systems import BUILD_SYSTEMS, BuildSystem
from runtime.host.firmware.compilers import find_compiler
from runtime.host.firmware.fingerprint import cache_names
from runtime.host.firmware.memory_check import check_memory
from runtime.host.firmware.owner_build import owner_build_argv
from runtime.host.firmware.parts import COMPILE_STAGES, PREBUILT, libraries_of, linked_files
from runtime.host.firmware.stages import STAGE_TIMEOUT_SEC, run_stage
from runtime.host.project.extra_files import check_names, code_files
from runtime.host.project.platform import API_SERVER, EXTRA_DIRECTORY
from runtime.host.project.project import BUILD_DIRECTORY, Project
from runtime.host.system.cache import Cache
from runtime.host.system.locks import exclusive

REPORT_FILE: Final = "build.json"
LOCK_FILE: Final = ".build.lock"
INCOMING: Final = ".build.new"  # of a project: files from the cache before they replace those of build/
TOO_LARGE: Final = "overflowed by"  # printed by GNU ld, which still writes the link map


class Stage(NamedTuple):
    """One step of a build.

    Attributes:
        name: Key of STAGE_WORDS, or "firmware" if the whole firmware came from the cache.
        seconds: Wall time.
        cached: The results came from the cache.
    """

    name: str
    seconds: float
    cached: bool


class BuildReport(NamedTuple):
    """Result of a build.

    Attributes:
        firmware: File to flash.
        stages: Steps of the build, in order.
        note: Note about the cache for the user; empty if there is none.
    """

    firmware: Path
    stages: List[Stage]
    note: str = ""


def build(project: Project, *, cache: Optional[Cache] = None) -> BuildReport:
    """Build <project>/build/firmware.

    The build directory holds only files of this build, since unchanged parts come from the cache. Two
    builds of one project run one after the other. A firmware from the cache replaces its file in one step,
    because another process may run the one that is there.

    Args:
        project: Project to build.
        cache: Cache of libraries and firmwares; None uses the user's cache.

    Raises:
        BuildError: A step failed. The log has the failing command and the end of its output.
        ToolMissing: A program is not installed.
    """
    cache = cache if cache is not None else Cache()
    with exclusive(
        project.directory / LOCK_FILE, STAGE_TIMEOUT_SEC, "Another build of this project has been running"
    ):
        check_names(code_files(project.directory / EXTRA_DIRECTORY, f"{EXTRA_DIRECTORY}/"), "The project")
        if project.platform.build_command is not None:
            return _build_with_owner_command(project)
        compiler = find_compiler(project.settings.config.cross)
        names = cache_names(project, compiler)
        directory = project.directory / BUILD_DIRECTORY
        if _fetch_firmware(project, cache, names):
            stages = [Stage("firmware", 0.0, True)]
        else:
            _make_empty(directory)
            stages = list(_run_stages(project, compiler, cache, names))
        if not project.settings.config.is_bare_metal:  # a bare-metal linker script already has the limits
            check_memory(project)
        _write_report(directory, stages)
    return BuildReport(project.firmware, stages, cache.note)


def _fetch_firmware(project: Project, cache: Cache, names: Dict[str, str]) -> bool:
    """Take the firmware and its link map from the cache. Return False if the cache does not have both."""
    directory, incoming = project.directory / BUILD_DIRECTORY, project.directory / INCOMING
    files = linked_files(project)
    _make_empty(incoming)
    is_complete = all(cache.fetch(names[file], incoming / file) for file in files)
    if is_complete:
        (incoming / project.firmware.name).chmod(0o777 & ~_umask())
        if directory.is_symlink() or not directory.is_dir():
            _make_empty(directory)
        for file in files:
            (incoming / file).replace(directory / file)
        for path in directory.iterdir():
            if path.name not in files:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.rmtree(incoming)
    return is_complete


def _build_with_owner_command(project: Project) -> BuildReport:
    """Build with build_command. Its other files in the build directory stay for incremental builds."""
    directory = project.directory / BUILD_DIRECTORY
    directory.mkdir(exist_ok=True)
    for file in linked_files(project):
        (directory / file).unlink(missing_ok=True)
    seconds = run_stage("build_command", owner_build_argv(project), project.directory)
    if not project.firmware.is_file():
        raise BuildError(
            f"build_command succeeded but did not create {project.firmware}.",
            f"Make build_command in {API_SERVER} write its output to {{firmware}}.",
        )
    stages = [Stage("build_command", seconds, False)]
    check_memory(project)
    _write_report(directory, stages)
    return BuildReport(project.firmware, stages)


def _make_empty(directory: Path) -> None:
    if directory.is_symlink():
        directory.unlink()
    elif directory.is_dir():
        shutil.rmtree(directory)
    elif directory.exists():
        directory.unlink()
    directory.mkdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _run_stages(project: Project, compiler: str, cache: Cache, names: Dict[str, str]) -> Iterator[Stage]:
    """Run the stages whose results are not in the cache, and store the results in the cache."""
    directory = project.directory / BUILD_DIRECTORY
    (directory / PREBUILT).mkdir()
    prebuilt = {}
    for part in libraries_of(project):
        library = f"{PREBUILT}/libmicrotvm_{part}.a"
        if cache.fetch(names[part], directory / library):
            # A path relative to the project: the path of the cache may contain special characters.
            prebuilt[part] = f"{BUILD_DIRECTORY}/{library}"
    builder = BUILD_SYSTEMS[project.platform.build_system](project, compiler)
    seconds = builder.configure(prebuilt)
    if seconds is not None:
        yield Stage("configure", seconds, False)
    for stage, of_stage in COMPILE_STAGES.items():
        parts = [part for part in of_stage if part in libraries_of(project)]
        if not parts:
            continue
        missing = [part for part in parts if part not in prebuilt]
        seconds = builder.make(stage, missing) if missing else 0.0
        yield Stage(stage, seconds, not missing)
        for part in missing:
            cache.publish(names[part], directory / f"libmicrotvm_{part}.a")
    yield _link(project, builder)
    builder.finish()
    for file in linked_files(project):
        if not (directory / file).is_file():
            raise BuildError(
                f"The build succeeded but did not create {directory / file}.",
                "Make the build file of the project write its output to the build directory.",
            )
        cache.publish(names[file], directory / file)


def _link(project: Project, builder: BuildSystem) -> Stage:
    """Run the last stage. If the firmware is too large, report the memory of the board."""
    try:
        return Stage("link", builder.make("link", ["firmware"]), False)
    except BuildError as error:
        if TOO_LARGE in error.log:
            check_memory(project)
        raise


def _write_report(directory: Path, stages: List[Stage]) -> None:
    document = {"stages": [stage._asdict() for stage in stages]}
    (directory / REPORT_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
