# SPDX-License-Identifier: Apache-2.0
"""Building a project's firmware: its libraries (device runtime, platform, CMSIS, model), then the link.

Each library, and the firmware itself, comes from the cache when one with the same compiler, flags and sources
is there, and goes into it when it is not; so the device runtime is compiled once, and a model again only when
it changed. The build system is the owner's choice; both are driven the same way, one target after another, so
that a failure and its time belong to a stage with a name.
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
TOO_LARGE: Final = "overflowed by"  # printed by GNU ld, which writes the link map all the same


class Stage(NamedTuple):
    """One step of a build. seconds: wall time; cached: it came from the cache."""

    name: str
    seconds: float
    cached: bool


class BuildReport(NamedTuple):
    """What a build did. firmware: the file to put on the board."""

    firmware: Path
    stages: List[Stage]
    note: str = ""  # what to tell about the cache


def build(project: Project, *, cache: Optional[Cache] = None) -> BuildReport:
    """Build <project>/build/firmware, from an empty build directory: what did not change is in the cache.

    Two builds of one project wait for each other. Raises BuildError, whose log holds the failing command and
    the tail of its output; ToolMissing where a program is missing.
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
        _make_empty(directory)
        if all(cache.fetch(names[file], directory / file) for file in linked_files(project)):
            stages = [Stage("firmware", 0.0, True)]
            project.firmware.chmod(0o777 & ~_umask())
        else:
            stages = list(_run_stages(project, compiler, cache, names))
        if not project.settings.config.is_bare_metal:  # the linker holds its limits itself
            check_memory(project)
        _write_report(directory, stages)
    return BuildReport(project.firmware, stages, cache.note)


def _build_with_owner_command(project: Project) -> BuildReport:
    """Build with build_command. What else it leaves in the build directory stays: it may go on from there."""
    directory = project.directory / BUILD_DIRECTORY
    directory.mkdir(exist_ok=True)
    for file in linked_files(project):
        (directory / file).unlink(missing_ok=True)
    seconds = run_stage("build_command", owner_build_argv(project), project.directory)
    if not project.firmware.is_file():
        raise BuildError(
            f"build_command ended well, but made no {project.firmware}.",
            f"Let it write the firmware to {{firmware}}; it is in {API_SERVER}.",
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
    """Have the build system make what the cache lacks, a stage at a time, and give it to the cache."""
    directory = project.directory / BUILD_DIRECTORY
    (directory / PREBUILT).mkdir()
    prebuilt = {}
    for part in libraries_of(project):
        library = f"{PREBUILT}/libmicrotvm_{part}.a"
        if cache.fetch(names[part], directory / library):
            # Below the project and relative to it, so that no letter of the cache's own path can do harm.
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
                f"The build ended well, but made no {directory / file}.",
                "The build file of the project puts it elsewhere: let it write to the build directory.",
            )
        cache.publish(names[file], directory / file)


def _link(project: Project, builder: BuildSystem) -> Stage:
    """The last stage. A firmware that the linker finds too large is told in the terms of its board."""
    try:
        return Stage("link", builder.make("link", ["firmware"]), False)
    except BuildError as error:
        if TOO_LARGE in error.log:
            check_memory(project)
        raise


def _write_report(directory: Path, stages: List[Stage]) -> None:
    document = {"stages": [stage._asdict() for stage in stages]}
    (directory / REPORT_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
