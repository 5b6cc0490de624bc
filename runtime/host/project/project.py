# SPDX-License-Identifier: Apache-2.0
"""A project: what generate.py writes from a platform and a model archive.

    microtvm_api_server.py, boards.json, Makefile or CMakeLists.txt, runtime/, extra/    from the platform
    cmsis/                       what the model needs of CMSIS, if anything (see cmsis.py)
    model.tar, model/            the archive, and its unpacked parts
    src/model_config.c ...       memory sized for this model (see project_files.py)
    config.mk or config.cmake    what was chosen, for the build system (see config_files.py)
    project.json                 the same for the host tools (see settings.py)

A project needs nothing outside itself: moved elsewhere, it still builds.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Final, Optional

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import MODEL_ARCHIVE, PackedTar, read_packed
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.errors import PlatformError
from runtime.host.project.platform import PROJECT_FILE, Platform
from runtime.host.project.settings import ProjectSettings, read_settings
from runtime.host.system.leftovers import hold
from runtime.host.system.regular_files import read_text

BUILD_DIRECTORY: Final = "build"  # TVM refuses to build where it exists and to flash where it does not


class Project:
    """A generated project.

    settings: what it was generated with. board: of boards.json, as it was when the project was loaded.
    packed: the content of its model archive where that has been read already.
    """

    def __init__(
        self, platform: Platform, settings: ProjectSettings, board: Board, packed: Optional[PackedTar] = None
    ) -> None:
        self.platform = platform
        self.directory = platform.directory
        self.settings = settings
        self.board = board
        self._packed = packed

    @property
    def firmware(self) -> Path:
        """The file to put on the board."""
        return self.directory / BUILD_DIRECTORY / self.settings.config.firmware

    @property
    def archive_path(self) -> Path:
        """Where its model archive lies."""
        return Path(self.platform.model_archive)

    @cached_property
    def archive(self) -> ModelArchive:
        """Its model archive, read once. Raises ArchiveError."""
        return ModelArchive.unpacked(self._packed or read_packed(self.archive_path, MODEL_ARCHIVE))


def load_project(platform: Platform, packed: Optional[PackedTar] = None) -> Project:
    """Return the project in the platform's directory. Raises PlatformError where it is a platform only.

    packed: the content of its model archive where that is known.
    """
    path = platform.directory / PROJECT_FILE
    try:
        document = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise PlatformError(
            f"{platform.directory} is a platform, not a project: nothing was generated there.",
            "Generate a project from a model archive first: python -m runtime.host build MODEL.tar",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise PlatformError(f"{path} cannot be read: {error}.", "Generate the project again.") from error
    try:
        settings = read_settings(document)
    except ValueError as error:
        raise PlatformError(
            f"{path} is not what this platform writes: {error}.", "Generate the project again."
        ) from error
    hold(platform.directory)
    return Project(platform, settings, choose_board(platform.boards(), settings.board), packed)
