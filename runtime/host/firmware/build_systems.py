# SPDX-License-Identifier: Apache-2.0
"""The build systems that make a firmware, a stage at a time.

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

CMAKE_CANNOT: Final = '#:;[]"\\'  # letters in a path on which its makefiles fail


class BuildSystem(Protocol):
    """Drives the build file of one project."""

    def __init__(self, project: Project, compiler: str) -> None:
        """compiler: the C compiler as a command. Raises ToolMissing, BuildError."""

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        """Prepare the build; return its seconds, or None where there is nothing to prepare.

        prebuilt: library -> file that need not be made, relative to the project.
        """

    def make(self, stage: str, targets: List[str]) -> float:
        """Make libraries, or "firmware" from all of them; return the seconds. Raises BuildError."""

    def finish(self) -> None:
        """Leave the project as one that builds by hand, wherever it is moved to."""


class Make:
    """Drives the Makefile. Prebuilt libraries are variables; nothing is to be configured."""

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
        self._variables += [f"{part.upper()}_LIB={path}" for part, path in prebuilt.items()]
        return None

    def make(self, stage: str, targets: List[str]) -> float:
        argv = [self._program, f"-j{os.cpu_count() or 1}", "--output-sync=target", *self._variables, *targets]
        return run_stage(stage, argv, self._directory)

    def finish(self) -> None:
        pass


class CMake:
    """Drives CMakeLists.txt through CMake's own makefiles."""

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
                f"CMake cannot build in {project.directory}: it fails on {' '.join(bad)} in a path.",
                "Move the project to a path without it, or bake the platform with Make.",
            )

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        argv = [self._program, "-S", ".", "-B", BUILD_DIRECTORY, "-G", "Unix Makefiles"]
        # CMake's own trial builds cost more than ours; a compiler that does not work fails in the next stage.
        argv += [f"-DCMAKE_{language}_COMPILER_FORCED=1" for language in ("C", "CXX")]
        argv.append("-DCMAKE_BUILD_TYPE=")
        argv += [f"-D{part.upper()}_LIB={prebuilt.get(part, '')}" for part in self._libraries]
        return run_stage("configure", argv, self._directory, **self._compilers)

    def make(self, stage: str, targets: List[str]) -> float:
        # CMake's makefiles directly, and each target without looking through those before it, which the
        # stages have made: `cmake --build` takes three times as long to find that out.
        names = [target if target == "firmware" else f"microtvm_{target}" for target in targets]
        argv = [self._make, "-C", BUILD_DIRECTORY, f"-j{os.cpu_count() or 1}", "--output-sync=target"]
        argv += ["VERBOSE=1", *(f"{name}/fast" for name in names)]
        return run_stage(stage, argv, self._directory)

    def finish(self) -> None:
        """Forget the configuration: CMake by hand starts anew, with its own libraries, wherever the project
        is moved to."""
        (self._directory / BUILD_DIRECTORY / "CMakeCache.txt").unlink()


BUILD_SYSTEMS: Final[Mapping[str, Type[BuildSystem]]] = {"make": Make, "cmake": CMake}
