# SPDX-License-Identifier: Apache-2.0
"""Parts of a firmware: its libraries, and the files that a build creates."""

from __future__ import annotations

from pathlib import Path
from typing import Final, List, Mapping, Optional, Tuple

from runtime.host.project.project import BUILD_DIRECTORY, Project

COMPILE_STAGES: Final[Mapping[str, Tuple[str, ...]]] = {
    "runtime": ("runtime", "platform"),
    "cmsis": ("cmsis",),
    "model": ("model",),
}
"""Stage -> the libraries that it builds in parallel: runtime and platform do not depend on the model."""

LINK_MAP: Final = "firmware.map"  # in <project>/build, next to the firmware
PREBUILT: Final = "prebuilt"  # in <project>/build: libraries from the cache


def libraries_of(project: Project) -> List[str]:
    """Return the libraries of a firmware, without cmsis if the model does not use it."""
    names = [name for names in COMPILE_STAGES.values() for name in names]
    return [name for name in names if name != "cmsis" or project.settings.config.cmsis_sources]


def linked_files(project: Project) -> Tuple[str, str]:
    """Return the files that the link creates in <project>/build: the firmware and its link map."""
    return project.firmware.name, LINK_MAP


def link_map(project: Project) -> Optional[Path]:
    """Return the link map of the firmware, or None if the owner's build command did not create one."""
    path = project.directory / BUILD_DIRECTORY / LINK_MAP
    return path if path.is_file() or project.platform.build_command is None else None
