# SPDX-License-Identifier: Apache-2.0
"""The build systems that build a firmware, one stage at a time.

To add one: a class with the methods of BuildSystem, an entry in BUILD_SYSTEMS, the name of its build file in
project/platform.py and of its configuration in project/config_files.py, and the build file in
families/common/ of the template.
"""

from __future__ import annotations

import os
from typing import Dict, Final, List, Mapping, Optional, Protocol, Type

from runtime.host.errors import BuildError
from runtime.host.firmware.compilers import find_cxx_compiler
from runtime.host.firmware.parts import libraries_of
from runtime.host.firmware.stages import run_stage
from runtime.host.project.project import BUILD_DIRECTORY, Project
from runtime.host.system.programs import find_tool

CMAKE_CANNOT: Final = '#:;[]"\\'  # characters in a path that its makefiles do not support


class BuildSystem(Protocol):
    """Interface to the build file of one project."""

    def __init__(self, project: Project, compiler: str) -> None:
        """Find the programs of the build system.

        Args:
            project: Project to build.
            compiler: C compiler as a command.

        Raises:
            ToolMissing: A program is not installed.
            BuildError: The build system does not support the path of the project.
        """

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        """Configure the build.

        Args:
            prebuilt: Libraries that came from the cache: name -> file, relative to the project.

        Returns:
            Duration in seconds, or None if this build system needs no configuration.
        """

    def make(self, stage: str, targets: List[str]) -> float:
        """Build the targets of a stage, and return the seconds.

        Args:
            stage: Key of STAGE_WORDS.
            targets: Names of libraries, or "firmware", which is linked from all libraries.

        Raises:
            BuildError: The stage failed.
        """

    def finish(self) -> None:
        """Remove generated configuration, so that a user can move the project and build it by hand."""


class Make:
    """Build with the Makefile, which receives prebuilt libraries as variables."""

    def __init__(self, project: Project, compiler: str) -> None:
        self._directory = project.directory
        self._program = find_tool("make", "build the firmware")
        self._variables = [f"CC={compiler}"]
        if project.settings.config.uses_tvm_crt:
            self._variables.append(f"CXX={find_cxx_compiler(project.settings.config.cross)}")
        if project.settings.config.cross:
            self._variables.append(
                f"AR={find_tool(f'{project.settings.config.cross}ar', 'build the firmware')}"
            )

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        """Store the variables for prebuilt libraries; Make needs no configuration."""
        self._variables += [f"{part.upper()}_LIB={path}" for part, path in prebuilt.items()]
        return None

    def make(self, stage: str, targets: List[str]) -> float:
        """Build the targets of a stage, and return the seconds."""
        argv = [self._program, f"-j{os.cpu_count() or 1}", "--output-sync=target", *self._variables, *targets]
        return run_stage(stage, argv, self._directory)

    def finish(self) -> None:
        """Do nothing: Make leaves no configuration."""


class CMake:
    """Build with CMakeLists.txt and the makefiles that CMake generates."""

    def __init__(self, project: Project, compiler: str) -> None:
        self._directory = project.directory
        self._libraries = libraries_of(project)
        self._compilers = {"CC": compiler}
        if project.settings.config.uses_tvm_crt:
            self._compilers["CXX"] = find_cxx_compiler(project.settings.config.cross)
        self._program = find_tool("cmake", "build the firmware")
        self._make = find_tool("make", "build the firmware")
        bad = [letter for letter in CMAKE_CANNOT if letter in str(project.directory)]
        if bad:
            raise BuildError(
                f"CMake does not support {' '.join(bad)} in the path {project.directory}.",
                "Move the project to a path without these characters, or bake the platform with Make.",
            )

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        """Run CMake, and return the seconds."""
        argv = [self._program, "-S", ".", "-B", BUILD_DIRECTORY, "-G", "Unix Makefiles"]
        # CMake's compiler checks take longer than the build; a broken compiler fails in the next stage.
        argv += [f"-DCMAKE_{language}_COMPILER_FORCED=1" for language in ("C", "CXX")]
        argv.append("-DCMAKE_BUILD_TYPE=")
        argv += [f"-D{part.upper()}_LIB={prebuilt.get(part, '')}" for part in self._libraries]
        return run_stage("configure", argv, self._directory, **self._compilers)

    def make(self, stage: str, targets: List[str]) -> float:
        """Build the targets of a stage, and return the seconds."""
        # NAME/fast skips the check of dependencies, which earlier stages have built. `cmake --build` takes
        # three times as long.
        names = [target if target == "firmware" else f"microtvm_{target}" for target in targets]
        argv = [self._make, "-C", BUILD_DIRECTORY, f"-j{os.cpu_count() or 1}", "--output-sync=target"]
        argv += ["VERBOSE=1", *(f"{name}/fast" for name in names)]
        return run_stage(stage, argv, self._directory)

    def finish(self) -> None:
        """Delete CMake's cache, so that a later run by hand does not use the libraries and paths in it."""
        (self._directory / BUILD_DIRECTORY / "CMakeCache.txt").unlink()


BUILD_SYSTEMS: Final[Mapping[str, Type[BuildSystem]]] = {"make": Make, "cmake": CMake}
