# SPDX-License-Identifier: Apache-2.0
"""Files that an owner adds to a firmware: extra/ of a platform or a project, and the option extra_files_tar.

Every *.c below extra/ is compiled. Every folder that holds a header is searched for headers, and so are the
folders around it, so that both "arm_nn_types.h" and "Internal/arm_nn_types.h" are found. The build files do
the same by themselves: files that are added to a project by hand count.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Final, Iterable, List, Optional

from runtime.host.archive.file_names import NAME_RULE, is_plain
from runtime.host.errors import PlatformError
from runtime.host.project.platform import EXTRA_DIRECTORY
from runtime.host.system.regular_files import MAX_CONTENT_BYTES, read_bytes

CMSIS_DIRECTORY: Final = "cmsis"  # of a project: what it has of CMSIS, see cmsis.py
SOURCE: Final = ".c"
HEADER: Final = ".h"


class ExtraFiles:
    """The extra files of a project that is being generated. The owner's files take precedence over the tar's.

    directory: extra/ of the platform. tar: the option extra_files_tar. Raises PlatformError where a name
    cannot be built, ArchiveError where the tar cannot be unpacked.
    """

    def __init__(self, directory: Path, tar: Optional[str]) -> None:
        from runtime.host.archive.tar import EXTRA_FILES, read_tar

        self._directory = directory
        self._owners = code_files(directory, "")
        check_names(self._owners, f"{EXTRA_DIRECTORY}/ of the platform")
        self._tar = read_tar(tar, EXTRA_FILES) if tar is not None else None
        if self._tar is not None:
            check_names(self._tar.names(), "extra_files_tar")

    def code(self) -> Dict[str, bytes]:
        """Name below extra/ -> content of each C source and header. Raises OSError for what is no regular
        file of a bounded size."""
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

    names: paths with forward slashes. where: what holds the files, for the message.
    """
    for name in names:
        if not is_plain(name):
            raise PlatformError(f"{where} has a file {name[:120]!r}: {NAME_RULE}.", "Rename it.")


def code_files(directory: Path, prefix: str) -> List[str]:
    """The C sources and headers below a directory, sorted: their names below it, each after prefix. What is
    hidden does not count. Links to folders are followed, as a copy of the directory follows them."""
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
    """The folders to search for headers: extra/ itself, each that holds a header, and those around it.

    files: names that begin with extra/. The order is that of the build files: by name, byte after byte.
    """
    folders = {EXTRA_DIRECTORY}
    for name in files:
        if name.endswith(HEADER):
            parts = name.split("/")[:-1]
            folders.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return sorted(folders)
