# SPDX-License-Identifier: Apache-2.0
"""Files that can be removed safely: generated projects, cache entries, leftovers of killed processes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from runtime.host.errors import reason_of
from runtime.host.project.platform import PROJECT_FILE
from runtime.host.system.cache import Cache
from runtime.host.system.leftovers import find_leftovers, is_unused, remove_unused, temporary_directory

PROJECTS: Final = "projects"  # folder of a platform
OWNERS: Final = ("src", "extra", "model", "board", "port", "Makefile", "CMakeLists.txt", "boards.json")
"""Files and folders that an owner edits in a project."""

GENERATED_WITHIN_SEC: Final = 10.0  # longest time between the first and the last file of a new project
IN_USE: Final = "a running process uses it"


class Item(NamedTuple):
    """One file or directory that can be removed.

    Attributes:
        kind: project, cache or leftover.
        path: The file or directory.
        size: Bytes of all its files.
        used: Time of its last use, in seconds since the epoch.
        is_edited: The owner edited files of this project.
        in_the_way: Reason to keep the item; None if it can be removed.
    """

    kind: str
    path: Path
    size: int
    used: float
    is_edited: bool = False
    in_the_way: Optional[str] = None


def find_items(platform_directory: Path, before: Optional[float] = None) -> List[Item]:
    """Return the files that the commands of a platform left behind, leftovers first.

    Args:
        platform_directory: Directory of the platform.
        before: Return only items that were last used before this time, in seconds since the epoch.
    """
    cache = Cache()
    items = [
        *_leftovers(platform_directory, cache),
        *_projects(platform_directory / PROJECTS),
        *(Item("cache", path, *_size_and_age(path)) for path in cache.entries()),
    ]
    return [item for item in items if before is None or item.used <= before]


def remove(items: Sequence[Item]) -> List[Tuple[Path, str]]:
    """Remove items, and return the path and the reason of each that could not be removed."""
    kept = []
    for item in items:
        if item.path.is_dir() and not item.path.is_symlink():
            if not remove_unused(item.path):
                kept.append((item.path, "the directory is in use, or cannot be removed"))
            continue
        try:
            item.path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            kept.append((item.path, reason_of(error)))
    return kept


def _leftovers(platform_directory: Path, cache: Cache) -> Iterator[Item]:
    here = platform_directory
    places = (temporary_directory(), here / PROJECTS, here, here.parent)
    found = [path for place in places for path in find_leftovers(place)]
    for path in dict.fromkeys((*found, *cache.leftovers())):
        yield Item("leftover", path, *_size_and_age(path))


def _projects(place: Path) -> Iterator[Item]:
    """Yield the generated projects in a directory; all other files in it are the owner's."""
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return
    for path in entries:
        if path.is_symlink() or not (path / PROJECT_FILE).is_file():
            continue
        in_the_way = None if is_unused(path) else IN_USE
        size, used = _size_and_age(path)
        yield Item("project", path, size, used, _is_edited(path), in_the_way)


def _is_edited(project: Path) -> bool:
    generated = (project / PROJECT_FILE).stat().st_mtime + GENERATED_WITHIN_SEC
    for name in OWNERS:
        for path in _files(project / name):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime > generated:
                    return True
    return False


def _size_and_age(path: Path) -> Tuple[int, float]:
    """Return size and last modification time of a file, or total and maximum over a directory's files."""
    size, used = 0, 0.0
    with contextlib.suppress(OSError):
        used = path.lstat().st_mtime
    for file in _files(path):
        with contextlib.suppress(OSError):
            status = file.lstat()
            size += status.st_size
            used = max(used, status.st_mtime)
    return size, used


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        yield path
        return
    for directory, _, names in os.walk(path):
        for name in names:
            yield Path(directory) / name
