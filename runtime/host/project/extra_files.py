# SPDX-License-Identifier: Apache-2.0
"""Files that an owner adds to a firmware: extra/ of a platform or a project, and the option extra_files_tar.

Every *.c below extra/ is compiled. Every folder with a header is searched for headers, and so are its parent
folders, so that both "arm_nn_types.h" and "Internal/arm_nn_types.h" are found. The build files repeat this
search when they run, so they also find files that the owner adds to a project later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Final, Iterable, List, Optional

from runtime.host.archive.file_names import NAME_RULE, is_plain
from runtime.host.errors import PlatformError
from runtime.host.project.platform import EXTRA_DIRECTORY
from runtime.host.system.regular_files import MAX_CONTENT_BYTES, read_bytes

CMSIS_DIRECTORY: Final = "cmsis"  # folder of a project with the files that cmsis.py selects
SOURCE: Final = ".c"
HEADER: Final = ".h"


class ExtraFiles:
    """The extra files of a project. The owner's files take precedence over the tar's."""

    def __init__(self, directory: Path, tar: Optional[str]) -> None:
        """Read the tar, and check the names of all files.

        Args:
            directory: extra/ of the platform.
            tar: Value of the option extra_files_tar.

        Raises:
            PlatformError: A build tool could misread the name of a file.
            ArchiveError: The tar cannot be unpacked.
        """
        from runtime.host.archive.tar import EXTRA_FILES, read_tar

        self._directory = directory
        self._owners = code_files(directory, "")
        check_names(self._owners, f"{EXTRA_DIRECTORY}/ of the platform")
        self._tar = read_tar(tar, EXTRA_FILES) if tar is not None else None
        if self._tar is not None:
            check_names(self._tar.names(), "extra_files_tar")

    def code(self) -> Dict[str, bytes]:
        """Return name below extra/ -> content of each C source and header.

        Raises:
            OSError: A path is not a regular file, or is larger than MAX_CONTENT_BYTES.
        """
        files = {}
        if self._tar is not None:
            names = (name for name in self._tar.names() if name.endswith((SOURCE, HEADER)))
            files = {name: self._tar.read(name) for name in names}
        files.update({name: read_bytes(self._directory / name, MAX_CONTENT_BYTES) for name in self._owners})
        return files

    def unpack(self, target: Path) -> None:
        """Write the files of the tar below target, which must not exist."""
        if self._tar is not None:
            from runtime.host.archive.tar import write_files

            write_files(self._tar, self._tar.names(), target)


def check_names(names: Iterable[str], where: str) -> None:
    """Raise PlatformError for a name that a shell, make or CMake could misread.

    Args:
        names: Paths with forward slashes.
        where: Place of the files, for the message.
    """
    for name in names:
        if not is_plain(name):
            raise PlatformError(f"{where} has a file {name[:120]!r}: {NAME_RULE}.", "Rename the file.")


def code_files(directory: Path, prefix: str) -> List[str]:
    """Return the names of the C sources and headers below a directory, sorted, each with a prefix.

    Hidden files and folders are omitted. Links to folders are followed, because a copy of the directory also
    follows them.
    """
    found = []
    seen = set()
    for folder, folders, files in os.walk(directory, followlinks=True):
        place = os.path.realpath(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and place not in seen]
        seen.add(place)
        below = Path(folder).relative_to(directory)
        found += [
            f"{prefix}{(below / name).as_posix()}"
            for name in files
            if name.endswith((SOURCE, HEADER)) and not name.startswith(".")
        ]
    return sorted(found)


def include_folders(files: Iterable[str]) -> List[str]:
    """Return the folders to search for headers: extra/, each folder with a header, and their parents.

    The order equals the order of the build files: by name, byte by byte.

    Args:
        files: Names that begin with extra/.
    """
    folders = {EXTRA_DIRECTORY}
    for name in files:
        if name.endswith(HEADER):
            parts = name.split("/")[:-1]
            folders.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return sorted(folders)
