# SPDX-License-Identifier: Apache-2.0
"""A project, which generate.py writes from a platform and a model archive.

    microtvm_api_server.py, boards.json, Makefile or CMakeLists.txt, runtime/, extra/    from the platform
    cmsis/                       part of CMSIS that the model needs, if any (cmsis.py)
    model.tar, model/            model archive, and its unpacked parts
    src/model_config.c ...       memory sized for this model (project_files.py)
    config.mk or config.cmake    settings for the build system (config_files.py)
    project.json                 settings for the host tools (settings.py)

A project refers to no file outside its directory: after a move it still builds.
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

BUILD_DIRECTORY: Final = "build"  # TVM builds only if this does not exist, and flashes only if it does


class Project:
    """A generated project.

    Attributes:
        platform: The owner's declarations, for the project's directory.
        directory: Directory of the project.
        settings: Settings with which the project was generated.
        board: Entry of boards.json, as it was when the project was loaded.
    """

    def __init__(
        self, platform: Platform, settings: ProjectSettings, board: Board, packed: Optional[PackedTar] = None
    ) -> None:
        """Create the project without reading files.

        Args:
            platform: The owner's declarations, for the project's directory.
            settings: Settings with which the project was generated.
            board: Entry of boards.json.
            packed: Content of the model archive, if it was already read.
        """
        self.platform = platform
        self.directory = platform.directory
        self.settings = settings
        self.board = board
        self._packed = packed

    @property
    def firmware(self) -> Path:
        """Path of the file to flash."""
        return self.directory / BUILD_DIRECTORY / self.settings.config.firmware

    @property
    def archive_path(self) -> Path:
        """Path of the model archive."""
        return Path(self.platform.model_archive)

    @cached_property
    def archive(self) -> ModelArchive:
        """The model archive, read once. Raises ArchiveError for a damaged one."""
        return ModelArchive.unpacked(self._packed or read_packed(self.archive_path, MODEL_ARCHIVE))


def load_project(platform: Platform, packed: Optional[PackedTar] = None) -> Project:
    """Return the project in the platform's directory.

    Args:
        platform: The owner's declarations in that directory.
        packed: Content of the model archive, if it was already read.

    Raises:
        PlatformError: The directory has no project, or project.json is invalid.
    """
    path = platform.directory / PROJECT_FILE
    try:
        document = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise PlatformError(
            f"{platform.directory} is a platform, not a generated project.",
            "Generate a project from a model archive first: python -m runtime.host build MODEL.tar",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise PlatformError(f"{path} cannot be read: {error}.", "Generate the project again.") from error
    try:
        settings = read_settings(document)
    except ValueError as error:
        raise PlatformError(f"{path} is invalid: {error}.", "Generate the project again.") from error
    hold(platform.directory)
    return Project(platform, settings, choose_board(platform.boards(), settings.board), packed)
