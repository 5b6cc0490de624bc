# SPDX-License-Identifier: Apache-2.0
"""The part of Arm's CMSIS that a model needs: found in the folder of the option cmsis_path, copied, compiled.

TVM's CMSIS-NN code generator writes C that includes arm_nnfunctions.h and calls CMSIS-NN; some of TVM's Arm
schedules include arm_math.h. A project gets those headers, what they include, the C files that define what
the model calls, and what these call in turn. Everything else of CMSIS stays where it is.

Three trees are known. CMSIS_5 (up to 5.9) holds all of them in CMSIS/; CMSIS-NN has a repository of its own
since then, whose first releases still include headers of CMSIS-Core.

    NN      Include/arm_nnfunctions.h    Source/**/*.c
    DSP     Include/arm_math.h           Source/**/*.c
    Core    Include/cmsis_compiler.h
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Dict,
    Final,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from runtime.host.archive import c_text
from runtime.host.errors import PlatformError
from runtime.host.project.extra_files import CMSIS_DIRECTORY, HEADER, SOURCE, check_names

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive

MAX_FOLDERS: Final = 20_000  # that a search looks into; all of CMSIS_5 has some 1,000

# Headers of CMSIS. The compiler has arm_acle.h, arm_mve.h and others of its own.
_NAME: Final = (
    r"(?:[\w.+-]+/)*(?:arm_(?:nn|math|common_tables|const_structs|helium_utils|vec_)\w*|cmsis_\w+|"
    r"core_(?:cm|armv|sc|starmc)\w+)\.h"
)
_HEADER: Final = re.compile(_NAME)
_INCLUDE: Final = re.compile(rb'#[ \t]*include[ \t]*[<"][ \t]*(' + _NAME.encode() + rb")")
# The branch of GCC in a release that includes it.
_NEEDED_BY_GCC: Final = ("cmsis_compiler.h",)
_FUNCTION: Final = re.compile(r"arm_\w+")

_NAME_IT: Final = (
    "Name the folder of CMSIS-NN (it has Include/arm_nnfunctions.h) or of CMSIS 5 (it has CMSIS/NN)."
)
_NAME_CMSIS_5: Final = "Name the folder of CMSIS 5: it has CMSIS/DSP and CMSIS/Core besides CMSIS/NN."


class _Tree(NamedTuple):
    """name: of its folder in a project. marker: a header that tells it. places: where that header usually is,
    below the folder that a user names, or below one around it. has_sources: C files belong to it."""

    name: str
    marker: str
    places: Tuple[str, ...]
    has_sources: bool = True


_TREES: Final = (
    _Tree(
        "NN",
        "arm_nnfunctions.h",
        ("Include", ".", "NN/Include", "CMSIS/NN/Include", "CMSIS-NN/Include", "CMSIS/CMSIS-NN/Include"),
    ),
    _Tree("DSP", "arm_math.h", ("DSP/Include", "CMSIS/DSP/Include", "CMSIS-DSP/Include", "Include", ".")),
    _Tree("Core", "cmsis_compiler.h", ("Core/Include", "CMSIS/Core/Include", "Include", "."), False),
)
_INCLUDE_FOLDERS: Final = ("include", "inc")
_SOURCE_FOLDERS: Final = ("Source", "Src", "source", "src")
_NOT_CODE: Final = frozenset(("Tests", "Testing", "Examples", "Documentation", "DoxyGen", "Bindings"))


class Cmsis(NamedTuple):
    """What a project takes of CMSIS.

    files: name in the project -> file. sources: those that are compiled. folders: those of headers, in the
    order of the search.
    """

    files: Mapping[str, Path]
    sources: List[str]
    folders: List[str]

    def copy(self, project_dir: Path) -> None:
        """Copy the files into a project."""
        for name, file in self.files.items():
            target = project_dir / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def needed_cmsis(
    archive: ModelArchive, extra: Mapping[str, bytes], path: Optional[str], *, own_build: bool
) -> Optional[Cmsis]:
    """The part of CMSIS that a model needs; None where it needs nothing that the extra files do not have.

    Args:
        extra: the extra C files of the project by name.
        path: the option cmsis_path.
        own_build: the project is built by build_command, which may bring a CMSIS of its own.

    Raises:
        PlatformError: the model needs CMSIS, and it is not there.
    """
    code = _including(archive)
    own = [*extra, *archive.headers]
    missing = [name for names in code.values() for name in names if not _is_among(name, own)]
    if not path:
        if missing and not own_build:
            raise PlatformError(
                f"The model in {archive.path} includes {missing[0]}, a header of Arm's CMSIS, "
                "which the project does not have.",
                "Name the folder of CMSIS with -o cmsis_path=DIRECTORY, or add its files with "
                "-o extra_files_tar=FILE.tar.",
            )
        return None
    texts = {name: _decoded(archive.read(name)) for name in code}
    texts.update({name: _decoded(data) for name, data in extra.items() if _INCLUDE.search(data)})
    if not texts or not (missing or _lacks(texts, own)):
        return None
    directory = Path(path).absolute()
    if not directory.is_dir():
        raise PlatformError(
            f"cmsis_path names {directory}, which is not a folder; the model in {archive.path} needs CMSIS.",
            _NAME_IT,
        )
    selection = _Selection(_Folder(directory), own)
    for name in missing:
        selection.demand(name, f"the model in {archive.path}")
    selection.follow(texts.values())
    unknown = _undefined(archive, {name: texts[name] for name in code}, extra, selection)
    if unknown:
        raise PlatformError(
            f"The model in {archive.path} calls {unknown[0]}, which CMSIS in {directory} does not define.",
            "Use the release of CMSIS-NN for which the TVM that made the model generates code.",
        )
    return selection.result()


def _undefined(
    archive: ModelArchive, code: Mapping[str, str], extra: Mapping[str, bytes], selection: _Selection
) -> List[str]:
    """The functions of CMSIS that the model's code calls and that nothing defines."""
    called = {name for text in code.values() for name in c_text.called_names(text)}
    unknown = {name for name in called if _FUNCTION.fullmatch(name) and not selection.has(name)}
    if unknown:
        for text in map(_decoded, (*map(archive.read, archive.sources), *extra.values())):
            unknown -= c_text.defined_names(text)
    return [name for name in sorted(unknown) if not selection.add_mentions(name)]


def tree_key(path: str) -> str:
    """Text that changes with the files of a CMSIS folder: names, sizes and times of the C files it has."""
    folder = _Folder(Path(path).absolute())
    entries = []
    for tree in _TREES:
        with contextlib.suppress(PlatformError):  # which a model that needs CMSIS meets later
            found = folder.tree(tree)
            for name in (*found.headers, *found.sources) if found is not None else ():
                assert found is not None
                status = (found.root / name).stat()
                entries.append((tree.name, name, status.st_size, status.st_mtime_ns))
    return repr(entries)


def _including(archive: ModelArchive) -> Dict[str, List[str]]:
    """Each C file of an archive that includes headers of CMSIS -> their names, as written there."""
    found = {}
    for name in (*archive.sources, *archive.headers):
        included = _INCLUDE.findall(archive.read(name))
        if included:
            found[name] = [header.decode("ascii", "replace") for header in included]
    return found


def _lacks(texts: Mapping[str, str], own: Iterable[str]) -> bool:
    """Whether one of these files includes a header of CMSIS that is not among `own`."""
    names = {include.name for text in texts.values() for include in c_text.includes_of(text)}
    return any(_HEADER.fullmatch(name) and not _is_among(name, own) for name in names)


def _is_among(name: str, files: Iterable[str]) -> bool:
    """Whether an #include of this name finds one of the files."""
    return any(file == name or file.endswith(f"/{name}") for file in files)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Found(NamedTuple):
    """A tree that is there. headers, sources: below root, the outermost first."""

    root: Path
    headers: List[str]
    sources: List[str]


class _Folder:
    """The folder that a user names, and what of CMSIS is in it or around it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._trees: Dict[str, Optional[_Found]] = {}

    def tree(self, tree: _Tree) -> Optional[_Found]:
        if tree.name not in self._trees:
            place = self._place(tree)
            self._trees[tree.name] = None if place is None else _found(tree, place)
        return self._trees[tree.name]

    def _place(self, tree: _Tree) -> Optional[Path]:
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


def _found(tree: _Tree, place: Path) -> _Found:
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
    return _Found(
        root,
        [name for name in names if name.endswith(HEADER)],
        [name for name in names if name.endswith(SOURCE)] if tree.has_sources else [],
    )


class _Selection:
    """Headers and sources of CMSIS, gathered from what includes and calls them."""

    def __init__(self, folder: _Folder, own: Iterable[str]) -> None:
        self._folder = folder
        self._own = list(own)
        self._files: Dict[str, Path] = {}  # name in the project -> file
        self._folders: Set[str] = set()
        self._sources: List[str] = []
        self._names: Set[str] = set()  # used so far
        self._provided: Set[str] = set()  # by headers
        self._definers: Dict[str, Dict[str, List[str]]] = {}  # tree -> name -> its sources
        self._texts: Dict[Path, str] = {}

    def demand(self, header: str, by: str) -> None:
        """Add a header and what it includes. Raises PlatformError where there is none."""
        if self._resolve(header) is None:
            raise PlatformError(
                f"cmsis_path={self._folder.directory} has no {header}, which {by} includes.",
                _NAME_IT if header.startswith("arm_nn") else _NAME_CMSIS_5,
            )

    def follow(self, texts: Iterable[str]) -> None:
        """Add what these texts include and call, and what that includes and calls."""
        for text in texts:
            for include in c_text.includes_of(text):
                if not _is_among(include.name, self._own):
                    self._resolve(include.name)
            self._names |= c_text.used_names(text)
        done: Set[str] = set()
        while self._names - done:
            fresh, done = self._names - done, set(self._names)
            for tree in _TREES:
                if tree.has_sources and any(name.startswith(f"{_home(tree)}/") for name in self._files):
                    # A tree that has just come into use may define what was asked for before.
                    names = fresh if tree.name in self._definers else done
                    definers = self._definers_of(tree)
                    for name in sorted(names & definers.keys()):
                        for source in definers[name]:
                            self._add(tree, source)

    def add_mentions(self, name: str) -> bool:
        """Add each source in which a name occurs, of which one may define it by a macro. False where there is
        none."""
        found = False
        for tree in _TREES:
            files = self._folder.tree(tree) if tree.name in self._definers else None
            for source in files.sources if files is not None else ():
                assert files is not None
                if name in c_text.used_names(self._text(files.root / source)):
                    self._add(tree, source)
                    found = True
        self.follow(())
        return found

    def has(self, name: str) -> bool:
        """Whether a header or a source that was found defines this name."""
        return name in self._provided or any(name in definers for definers in self._definers.values())

    def result(self) -> Cmsis:
        check_names(self._files, f"cmsis_path={self._folder.directory}")
        order = [tree.name for tree in _TREES]
        folders = sorted(
            self._folders, key=lambda name: (order.index(name.split("/")[1]), name.count("/"), name)
        )
        return Cmsis(self._files, sorted(self._sources), folders)

    def _resolve(self, header: str) -> Optional[str]:
        """The name in the project of a header that is searched for; None where no tree has it."""
        for tree in _TREES:
            found = self._folder.tree(tree)
            for name in found.headers if found is not None else ():
                if name == header or name.endswith(f"/{header}"):
                    self._folders.add(f"{_home(tree)}/{name[: -len(header)]}".rstrip("/"))
                    self._add(tree, name)
                    return f"{_home(tree)}/{name}"
        return None

    def _add(self, tree: _Tree, name: str) -> None:
        """Add one file of a tree, what it includes, and the names that it uses."""
        in_project = f"{_home(tree)}/{name}"
        found = self._folder.tree(tree)
        if in_project in self._files or found is None:
            return
        path = found.root / name
        self._files[in_project] = path
        text = self._text(path)
        if name.endswith(SOURCE):
            self._sources.append(in_project)
            self._names |= c_text.used_names(text)
        else:
            self._names |= c_text.used_in_bodies(text)
            self._provided |= c_text.defined_names(text) | c_text.macro_names(text)
        for include in c_text.includes_of(text):
            beside = os.path.normpath(os.path.join(os.path.dirname(name), include.name))  # noqa: PTH118, PTH120
            if include.quoted and beside in found.headers:
                self._add(tree, beside)
            elif (
                self._resolve(include.name) is None
                and (include.always or include.name in _NEEDED_BY_GCC)
                and _HEADER.fullmatch(include.name)
                and not _is_among(include.name, self._own)
            ):
                raise PlatformError(
                    f"{path} includes {include.name}, which {self._folder.directory} does not have.",
                    "Name a folder that holds CMSIS/Core of CMSIS 5 besides CMSIS-NN, "
                    "or add that header with -o extra_files_tar=FILE.tar.",
                )

    def _definers_of(self, tree: _Tree) -> Dict[str, List[str]]:
        """Name -> the sources that define it. A file may define its own name by a macro."""
        if tree.name not in self._definers:
            definers: Dict[str, List[str]] = {}
            found = self._folder.tree(tree)
            for source in found.sources if found is not None else ():
                assert found is not None
                stem = source.rpartition("/")[2][: -len(SOURCE)]
                for name in {stem, *c_text.shared_names(self._text(found.root / source))}:
                    definers.setdefault(name, []).append(source)
            self._definers[tree.name] = definers
        return self._definers[tree.name]

    def _text(self, path: Path) -> str:
        if path not in self._texts:
            self._texts[path] = _decoded(path.read_bytes())
        return self._texts[path]


def _home(tree: _Tree) -> str:
    """Where a project has the files of a tree."""
    return f"{CMSIS_DIRECTORY}/{tree.name}"
