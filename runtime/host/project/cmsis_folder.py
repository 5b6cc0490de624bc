# SPDX-License-Identifier: Apache-2.0
"""Search for the trees of CMSIS in the folder of the option cmsis_path and in its parent folders."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Dict, Final, Iterator, List, NamedTuple, Optional, Tuple

from runtime.host.errors import PlatformError
from runtime.host.project.extra_files import CMSIS_DIRECTORY, HEADER, SOURCE

MAX_FOLDERS: Final = 20_000  # limit of a search; CMSIS_5 has about 1,000 folders


class Tree(NamedTuple):
    """A tree of CMSIS.

    Attributes:
        name: Name of its folder in a project.
        marker: Header that identifies the tree.
        places: Usual folders of that header, relative to the user's folder or one of its parents.
        has_sources: The tree has C files.
    """

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
    """A tree that was found.

    Attributes:
        root: Folder of the tree.
        headers: Headers below root, the outermost first.
        sources: C files below root, the outermost first.
    """

    root: Path
    headers: List[str]
    sources: List[str]


class Folder:
    """The folder of the option cmsis_path, and the trees of CMSIS in it or in its parent folders."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._trees: Dict[str, Optional[Found]] = {}

    def tree(self, tree: Tree) -> Optional[Found]:
        """Return the files of a tree, or None if the tree was not found."""
        if tree.name not in self._trees:
            place = self._place(tree)
            self._trees[tree.name] = None if place is None else _found(tree, place)
        return self._trees[tree.name]

    def _place(self, tree: Tree) -> Optional[Path]:
        """Return the folder of the header that identifies a tree, or None."""
        around = [self.directory, *list(self.directory.parents)[:3]] if self._is_inner else [self.directory]
        for base in around:
            for place in tree.places:
                if (base / place / tree.marker).is_file():
                    return base / place
        found = [folder for folder, files in self._walk if tree.marker in files]
        outermost = [folder for folder in found if len(folder.parts) == len(found[0].parts)]
        if len(outermost) > 1 and tree.name == "NN":
            raise PlatformError(
                f"cmsis_path={self.directory} contains several copies of CMSIS-NN: {found[0]}, {found[1]}.",
                "Set cmsis_path to the folder of one copy.",
            )
        return found[0] if found else None

    @cached_property
    def _is_inner(self) -> bool:
        """True if the folder is a part of CMSIS; other trees may then be next to it."""
        names = {self.directory.name, self.directory.parent.name}
        return bool(names & {"NN", "CMSIS-NN", "CMSIS_NN", "DSP", "CMSIS"})

    @cached_property
    def _walk(self) -> List[Tuple[Path, List[str]]]:
        """Folders below, each with its files, the outermost first."""
        return list(_folders(self.directory))


def _folders(directory: Path) -> Iterator[Tuple[Path, List[str]]]:
    """Yield folders and the names of their files, the outermost first, each level sorted.

    Hidden files are omitted, and so are hidden folders and the folders of tests, examples and documents.
    """
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
    """Return the files of a tree whose identifying header is in `place`."""
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
    """Return the folder in a project for the files of a tree."""
    return f"{CMSIS_DIRECTORY}/{tree.name}"
