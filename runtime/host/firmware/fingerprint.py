# SPDX-License-Identifier: Apache-2.0
"""Names of cache entries: digests of everything that the bytes of a build depend on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Final, List, Mapping

from runtime.host.firmware.compilers import COMPILER_ENVIRONMENT, compiler_identity, find_cxx_compiler
from runtime.host.firmware.parts import libraries_of, linked_files
from runtime.host.project.board_support import BOARD_DIRECTORY
from runtime.host.project.config_files import CONFIGS
from runtime.host.project.extra_files import CMSIS_DIRECTORY, SOURCE
from runtime.host.project.platform import BUILD_FILES, EXTRA_DIRECTORY, OWN_PORT
from runtime.host.project.project import Project
from runtime.host.project.tvm_crt import CRT_DIRECTORY
from runtime.host.system.cache import Digest
from runtime.host.system.regular_files import read_text

# Variables of the configuration that affect only one part of a firmware; all others affect every part.
_OF_A_PART: Final[Mapping[str, str]] = {
    "APPS": "platform",
    "PORT_SOURCES": "platform",
    "CMSIS_SOURCES": "cmsis",
    "CMSIS_FOLDERS": "cmsis",
    "LINKER_SCRIPT": "link",
    "FIRMWARE": "link",
}


def cache_names(project: Project, compiler: str) -> Dict[str, str]:
    """Return the name of the cache entry of each library and of each linked file.

    Args:
        project: Project to build.
        compiler: C compiler as a command.
    """
    root = project.directory
    common = Digest()
    common.add(*compiler_identity(compiler, root))
    config = project.settings.config
    if config.uses_tvm_crt:
        common.add(*compiler_identity(find_cxx_compiler(config.cross), root))
    common.add(*(os.environ.get(name, "") for name in COMPILER_ENVIRONMENT))
    common.add(_configuration(project, "all"), _edited_configuration(project))
    common.add_files(root, [root / BUILD_FILES[project.platform.build_system]])
    inputs = _inputs(root)
    common.add_files(root, inputs.pop("all"))
    names = {}
    for library in libraries_of(project):
        digest = Digest()
        digest.add(library, common.key(), _configuration(project, library))
        if library == "model":
            digest.add(_configuration(project, "cmsis"))  # a model includes headers of CMSIS
        digest.add_files(root, inputs[library])
        names[library] = (
            f"libmicrotvm_{library}-{digest.key()}.a"  # the link map must contain the name of the part
        )
    firmware = Digest()
    firmware.add(os.environ.get("LDFLAGS", ""), *names.values(), _configuration(project, "link"))
    for file in linked_files(project):
        names[file] = f"{firmware.key()}-{file}"
    return names


def _configuration(project: Project, part: str) -> str:
    """Return the configuration variables that affect one part of the firmware, or "all" parts."""
    variables = project.settings.config.variables().items()
    return repr([(name, value) for name, value in variables if _OF_A_PART.get(name, "all") == part])


def _edited_configuration(project: Project) -> str:
    """Return the build system, and config.mk or config.cmake if edited: all parts then depend on the file."""
    build_system = project.platform.build_system
    name, write = CONFIGS[build_system]
    text = read_text(project.directory / name)
    return build_system if text == write(project.settings.config) else build_system + text


def _inputs(root: Path) -> Dict[str, List[Path]]:
    """Return the input files of each library; "all" has the headers that every library includes."""
    device = root / "runtime" / "device"
    extra = _files(root / EXTRA_DIRECTORY)
    cmsis = _files(root / CMSIS_DIRECTORY)
    return {
        "all": [*_files(device / "include"), *_files(root / CRT_DIRECTORY / "include")],
        "runtime": [*_files(device / "src"), *_files(root / CRT_DIRECTORY), *_files(device / "crt")],
        "platform": [
            *_files(device / "ports"),
            *_files(device / "apps"),
            *_files(device / "crt"),
            *_files(root / BOARD_DIRECTORY),
            *_files(root / OWN_PORT),
        ],
        "cmsis": [*cmsis, *(file for file in extra if file.suffix != SOURCE)],
        "model": [
            *_files(root / "model" / "codegen"),
            *_files(root / "src"),
            *extra,
            *(file for file in cmsis if file.suffix != SOURCE),
        ],
    }


def _files(directory: Path) -> List[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
