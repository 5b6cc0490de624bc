# SPDX-License-Identifier: Apache-2.0
"""What a firmware is made of: its libraries, and the files that a build leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Final, List, Mapping, Optional, Tuple

from runtime.host.project.project import BUILD_DIRECTORY, Project

COMPILE_STAGES: Final[Mapping[str, Tuple[str, ...]]] = {
    "runtime": ("runtime", "platform"),
    "cmsis": ("cmsis",),
    "model": ("model",),
}
"""Stage -> the libraries that it makes at the same time: runtime and platform do not depend on the model."""

LINK_MAP: Final = "firmware.map"  # in <project>/build, beside the firmware
PREBUILT: Final = "prebuilt"  # in <project>/build: libraries that came from the cache


def libraries_of(project: Project) -> List[str]:
    """Return the libraries that a firmware is linked from; a model without CMSIS has no library of it."""
    names = [name for names in COMPILE_STAGES.values() for name in names]
    return [name for name in names if name != "cmsis" or project.settings.config.cmsis_sources]


def linked_files(project: Project) -> Tuple[str, str]:
    """Return what a link makes in <project>/build: the firmware and its link map."""
    return project.firmware.name, LINK_MAP


def link_map(project: Project) -> Optional[Path]:
    """Return the link map of the firmware; None where the owner's build command left none."""
    path = project.directory / BUILD_DIRECTORY / LINK_MAP
    return path if path.is_file() or project.platform.build_command is None else None
