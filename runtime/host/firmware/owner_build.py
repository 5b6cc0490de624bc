# SPDX-License-Identifier: Apache-2.0
"""The owner's build command: build_command in microtvm_api_server.py replaces the build files.

    {project}     directory of the project, in which the command runs
    {firmware}    file that the command must create
    {sources}     C files and objects of the firmware, relative to the project
    {flags}       compiler flags: optimization, include directories, definitions

{sources} and {flags} are lists. If one of them is a whole argument, every item becomes an argument. Inside of
an argument, the items are joined by spaces.
"""

from __future__ import annotations

import os
from typing import Dict, Final, List

from runtime.host.errors import BuildError
from runtime.host.project.extra_files import SOURCE, code_files, include_folders
from runtime.host.project.platform import API_SERVER, EXTRA_DIRECTORY
from runtime.host.project.project import Project
from runtime.host.system.programs import find_tool

DEVICE: Final = "runtime/device"
# Files of a project that are compiled and linked, in addition to the device port and the applications.
SOURCES: Final = (
    f"{DEVICE}/src/*.c",
    "model/codegen/*/src/**/*.c",
    "model/codegen/*/lib/**/*.o",
    "src/*.c",
)
INCLUDES: Final = (f"{DEVICE}/include", "src", "model/codegen/*/include")
# Generated code has casts that break the aliasing rules. The sections let the linker drop unused functions.
ALWAYS: Final = ("-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections")


def owner_build_argv(project: Project) -> List[str]:
    """Return build_command with its fields filled in.

    A program with a relative path is a file of the project.

    Raises:
        BuildError: build_command is empty or has an invalid field, or the project has crt=tvm.
        ToolMissing: The program is not installed.
    """
    if project.settings.config.uses_tvm_crt:
        raise BuildError(
            "build_command supports only the bundled device runtime, but this project has crt=tvm.",
            f"Generate the project without crt=tvm, or set build_command in {API_SERVER} to None.",
        )
    lists = {"{sources}": _sources(project), "{flags}": _flags(project)}
    fields = {"project": str(project.directory), "firmware": str(project.firmware)}
    fields.update({name.strip("{}"): " ".join(items) for name, items in lists.items()})
    argv: List[str] = []
    for part in project.platform.build_command or ():
        argv += lists[part] if part in lists else [_fill_in(part, fields)]
    if not argv:
        raise BuildError(
            f"build_command in {API_SERVER} is empty.",
            "Set build_command to the program and its arguments, or to None for the usual build.",
        )
    if os.sep in argv[0]:
        argv[0] = str(project.directory / argv[0])
    if not os.access(argv[0], os.X_OK):
        argv[0] = find_tool(argv[0], f"build the firmware with build_command in {API_SERVER}")
    return argv


def _fill_in(part: str, fields: Dict[str, str]) -> str:
    try:
        return part.format(**fields)
    except (LookupError, ValueError, AttributeError) as error:
        raise BuildError(
            f"build_command in {API_SERVER} has an invalid field: {error}.",
            f"Use only the fields {', '.join('{' + name + '}' for name in fields)}. "
            "Double a brace that is not part of a field.",
        ) from error


def _sources(project: Project) -> List[str]:
    config = project.settings.config
    found = [*config.port_sources, *(f"{DEVICE}/apps/{app}.c" for app in config.apps)]
    for pattern in SOURCES:
        paths = sorted(project.directory.glob(pattern))
        found += [path.relative_to(project.directory).as_posix() for path in paths]
    return [
        *found,
        *(name for name in _extra(project) if name.endswith(SOURCE)),
        *config.cmsis_sources,
    ]


def _extra(project: Project) -> List[str]:
    return code_files(project.directory / EXTRA_DIRECTORY, f"{EXTRA_DIRECTORY}/")


def _flags(project: Project) -> List[str]:
    config = project.settings.config
    found = [path for pattern in INCLUDES for path in sorted(project.directory.glob(pattern))]
    folders = [path.relative_to(project.directory).as_posix() for path in found]
    if (project.directory / EXTRA_DIRECTORY).is_dir():
        folders += include_folders(_extra(project))
    folders += config.cmsis_folders
    includes = [f"-I{folder}" for folder in folders]
    return [config.optimization, *ALWAYS, *config.cpu_flags, *includes, *config.definitions]
