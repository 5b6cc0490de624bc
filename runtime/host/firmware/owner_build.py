# SPDX-License-Identifier: Apache-2.0
"""The owner's own build: build_command in microtvm_api_server.py, in place of the build files.

    {project}     the project's directory, in which the command runs
    {firmware}    the file that it has to leave
    {sources}     the C files and objects that the firmware is made of, relative to the project
    {flags}       what the compiler is told of them: optimization, folders of headers, definitions

{sources} and {flags} are lists: alone in an argument they become as many arguments as they have items, inside
of one they are joined by spaces.
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
# Below a project: what is compiled and linked besides the port and the applications.
SOURCES: Final = (
    f"{DEVICE}/src/*.c",
    "model/codegen/*/src/**/*.c",
    "model/codegen/*/lib/**/*.o",
    "src/*.c",
)
INCLUDES: Final = (f"{DEVICE}/include", "src", "model/codegen/*/include")
# Generated code has casts that break the aliasing rules; unused functions are for the linker to drop.
ALWAYS: Final = ("-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections")


def owner_build_argv(project: Project) -> List[str]:
    """build_command with its fields filled in. A program that is named by a relative path is one of the
    project's files. Raises BuildError for a field that does not exist, ToolMissing."""
    if project.settings.config.uses_tvm_crt:
        raise BuildError(
            "This project has crt=tvm, and build_command builds the bundled runtime only.",
            f"Generate it without that option, or set build_command in {API_SERVER} to None.",
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
            "Write the program and its arguments, or None for the usual build.",
        )
    if os.sep in argv[0]:
        argv[0] = str(project.directory / argv[0])
    if not os.access(argv[0], os.X_OK):
        argv[0] = find_tool(argv[0], f"build the firmware: build_command in {API_SERVER} names it")
    return argv


def _fill_in(part: str, fields: Dict[str, str]) -> str:
    try:
        return part.format(**fields)
    except (LookupError, ValueError, AttributeError) as error:
        raise BuildError(
            f"build_command in {API_SERVER} has a field that does not exist or is not whole: {error}.",
            f"Fields are {', '.join('{' + name + '}' for name in fields)}; write a plain brace twice.",
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
