# SPDX-License-Identifier: Apache-2.0
"""The trees of CMSIS in the folder that a user names, or around it; see cmsis.py."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Dict, Final, Iterator, List, NamedTuple, Optional, Tuple

from runtime.host.errors import PlatformError
from runtime.host.project.extra_files import CMSIS_DIRECTORY, HEADER, SOURCE

MAX_FOLDERS: Final = 20_000  # that a search looks into; all of CMSIS_5 has some 1,000


class Tree(NamedTuple):
    """name: of its folder in a project. marker: a header that tells it. places: where that header usually is,
    below the folder that a user names, or below one around it. has_sources: C files belong to it."""

    name: str
    marker: str
    places: Tuple[str, ...]
    has_sources: bool = True


TREES: Final = (
    Tree(
        "NN",
        "arm_nnfunctions.h",
        ("Include", ".", "NN/Include", "CMSIS/NN/Include", "CMSIS-NN/Include", "CMSIS/CMSIS-NN/Include"),
    ),
    Tree("DSP", "arm_math.h", ("DSP/Include", "CMSIS/DSP/Include", "CMSIS-DSP/Include", "Include", ".")),
    Tree("Core", "cmsis_compiler.h", ("Core/Include", "CMSIS/Core/Include", "Include", "."), False),
)
_INCLUDE_FOLDERS: Final = ("include", "inc")
_SOURCE_FOLDERS: Final = ("Source", "Src", "source", "src")
_NOT_CODE: Final = frozenset(("Tests", "Testing", "Examples", "Documentation", "DoxyGen", "Bindings"))


class Found(NamedTuple):
    """A tree that is there. headers, sources: below root, the outermost first."""

    root: Path
    headers: List[str]
    sources: List[str]


class Folder:
    """The folder that a user names, and what of CMSIS is in it or around it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._trees: Dict[str, Optional[Found]] = {}

    def tree(self, tree: Tree) -> Optional[Found]:
        if tree.name not in self._trees:
            place = self._place(tree)
            self._trees[tree.name] = None if place is None else _found(tree, place)
        return self._trees[tree.name]

    def _place(self, tree: Tree) -> Optional[Path]:
        """The folder of the header that tells a tree."""
        around = [self.directory, *list(self.directory.parents)[:3]] if self._is_inner else [self.directory]
        for base in around:
            for place in tree.places:
                if (base / place / tree.marker).is_file():
                    return base / place
        found = [folder for folder, files in self._walk if tree.marker in files]
        outermost = [folder for folder in found if len(folder.parts) == len(found[0].parts)]
        if len(outermost) > 1 and tree.name == "NN":
            raise PlatformError(
                f"cmsis_path={self.directory} holds several copies of CMSIS-NN: {found[0]}, {found[1]}.",
                "Name the folder of one of them.",
            )
        return found[0] if found else None

    @cached_property
    def _is_inner(self) -> bool:
        """Whether it is a part of CMSIS, so that the others may be beside it."""
        names = {self.directory.name, self.directory.parent.name}
        return bool(names & {"NN", "CMSIS-NN", "CMSIS_NN", "DSP", "CMSIS"})

    @cached_property
    def _walk(self) -> List[Tuple[Path, List[str]]]:
        """Each folder below and its files, the outermost first."""
        return list(_folders(self.directory))


def _folders(directory: Path) -> Iterator[Tuple[Path, List[str]]]:
    """Folders and the names of their files, the outermost first, each level sorted. What is hidden and what
    holds tests and documents does not count."""
    level = [directory]
    count = 0
    while level and count < MAX_FOLDERS:
        inner = []
        for folder in level[: MAX_FOLDERS - count]:
            count += 1
            try:
                with os.scandir(folder) as entries:
                    visible = sorted(
                        (entry for entry in entries if entry.name[0] != "."), key=lambda e: e.name
                    )
            except OSError:
                continue
            yield folder, [entry.name for entry in visible if entry.is_file()]
            inner += [
                folder / entry.name
                for entry in visible
                if entry.is_dir(follow_symlinks=False) and entry.name not in _NOT_CODE
            ]
        level = inner


def _found(tree: Tree, place: Path) -> Found:
    """The files of a tree whose header is in `place`."""
    place = place.resolve()
    root = place.parent if place.name.lower() in _INCLUDE_FOLDERS else place
    if root == place:
        folders = [place]
    else:
        private = root / "PrivateInclude"
        sources = next((root / name for name in _SOURCE_FOLDERS if (root / name).is_dir()), None)
        folders = [place, private, *([sources] if sources is not None and tree.has_sources else [])]
    names = [
        (folder / name).relative_to(root).as_posix()
        for start in folders
        for folder, files in _folders(start)
        for name in files
    ]
    return Found(
        root,
        [name for name in names if name.endswith(HEADER)],
        [name for name in names if name.endswith(SOURCE)] if tree.has_sources else [],
    )


def home(tree: Tree) -> str:
    """Where a project has the files of a tree."""
    return f"{CMSIS_DIRECTORY}/{tree.name}"
