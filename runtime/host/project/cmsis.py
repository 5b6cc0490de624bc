# SPDX-License-Identifier: Apache-2.0
"""Selection of the part of Arm's CMSIS that a model needs, from the folder of the option cmsis_path.

TVM's CMSIS-NN code generator writes C that includes arm_nnfunctions.h and calls CMSIS-NN. Some of TVM's Arm
schedules include arm_math.h. These headers, their includes, the C files that define the called functions, and
the files that these call in turn are copied into the project. No other file of CMSIS is copied.

Three trees are supported. CMSIS_5 (up to 5.9) has all of them in CMSIS/. Later, CMSIS-NN moved to its own
repository, whose first releases still include headers of CMSIS-Core.

    NN      Include/arm_nnfunctions.h    Source/**/*.c
    DSP     Include/arm_math.h           Source/**/*.c
    Core    Include/cmsis_compiler.h
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Dict,
    Final,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
)

from runtime.host.archive import c_text
from runtime.host.errors import PlatformError
from runtime.host.project.cmsis_folder import TREES, Folder, Tree, home
from runtime.host.project.extra_files import SOURCE, check_names

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive

# Headers of CMSIS. Other headers with the prefix arm_, such as arm_acle.h and arm_mve.h, are the compiler's.
_NAME: Final = (
    r"(?:[\w.+-]+/)*(?:arm_(?:nn|math|common_tables|const_structs|helium_utils|vec_)\w*|cmsis_\w+|"
    r"core_(?:cm|armv|sc|starmc)\w+)\.h"
)
_HEADER: Final = re.compile(_NAME)
_INCLUDE: Final = re.compile(rb'#[ \t]*include[ \t]*[<"][ \t]*(' + _NAME.encode() + rb")")
# Some releases include it only in their preprocessor branch for GCC.
_NEEDED_BY_GCC: Final = ("cmsis_compiler.h",)
_FUNCTION: Final = re.compile(r"arm_\w+")

_NAME_IT: Final = (
    "Set cmsis_path to the folder of CMSIS-NN, which has Include/arm_nnfunctions.h, or of CMSIS 5, which has "
    "CMSIS/NN."
)
_NAME_CMSIS_5: Final = (
    "Set cmsis_path to the folder of CMSIS 5, which has CMSIS/DSP, CMSIS/Core and CMSIS/NN."
)


class Cmsis(NamedTuple):
    """The part of CMSIS that is copied into a project.

    Attributes:
        files: Name in the project -> file to copy.
        sources: Names in the project of the files to compile.
        folders: Folders in the project to search for headers, in this order.
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
    """Return the part of CMSIS that a model needs beyond the extra files; None if it needs nothing.

    Args:
        archive: Model archive.
        extra: Name -> content of the extra C files of the project.
        path: Value of the option cmsis_path.
        own_build: The project is built by build_command, which may bring its own CMSIS.

    Raises:
        PlatformError: The model needs CMSIS, and the files are missing.
    """
    code = _including(archive)
    own = [*extra, *archive.headers]
    missing = [name for names in code.values() for name in names if not _is_among(name, own)]
    if not path:
        if missing and not own_build:
            raise PlatformError(
                f"The model in {archive.path} includes {missing[0]}, a header of Arm's CMSIS, "
                "which the project does not have.",
                "Pass the folder of CMSIS with -o cmsis_path=DIRECTORY, or add the files of CMSIS with "
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
            f"cmsis_path={directory} is not a folder, but the model in {archive.path} needs CMSIS.",
            _NAME_IT,
        )
    selection = _Selection(Folder(directory), own)
    for name in missing:
        selection.demand(name, f"the model in {archive.path}")
    selection.follow(texts.values())
    unknown = _undefined(archive, {name: texts[name] for name in code}, extra, selection)
    if unknown:
        raise PlatformError(
            f"The model in {archive.path} calls {unknown[0]}, which CMSIS in {directory} does not define.",
            "Use the release of CMSIS-NN that matches the version of TVM with which the model was built.",
        )
    return selection.result()


def _undefined(
    archive: ModelArchive, code: Mapping[str, str], extra: Mapping[str, bytes], selection: _Selection
) -> List[str]:
    """Return the functions of CMSIS that the model's code calls and that no file defines."""
    called = {name for text in code.values() for name in c_text.called_names(text)}
    unknown = {name for name in called if _FUNCTION.fullmatch(name) and not selection.has(name)}
    if unknown:
        for text in map(_decoded, (*map(archive.read, archive.sources), *extra.values())):
            unknown -= c_text.defined_names(text)
    return [name for name in sorted(unknown) if not selection.add_mentions(name)]


def tree_key(path: str) -> str:
    """Return a string that changes with the C files of a CMSIS folder: their names, sizes and times."""
    folder = Folder(Path(path).absolute())
    entries = []
    for tree in TREES:
        with contextlib.suppress(PlatformError):  # needed_cmsis() raises it later, if the model needs CMSIS
            found = folder.tree(tree)
            for name in (*found.headers, *found.sources) if found is not None else ():
                assert found is not None
                status = (found.root / name).stat()
                entries.append((tree.name, name, status.st_size, status.st_mtime_ns))
    return repr(entries)


def _including(archive: ModelArchive) -> Dict[str, List[str]]:
    """Return C file of an archive -> names of the CMSIS headers that it includes, as written in the file."""
    found = {}
    for name in (*archive.sources, *archive.headers):
        included = _INCLUDE.findall(archive.read(name))
        if included:
            found[name] = [header.decode("ascii", "replace") for header in included]
    return found


def _lacks(texts: Mapping[str, str], own: Iterable[str]) -> bool:
    """Return whether one of these files includes a header of CMSIS that is not among `own`."""
    names = {include.name for text in texts.values() for include in c_text.includes_of(text)}
    return any(_HEADER.fullmatch(name) and not _is_among(name, own) for name in names)


def _is_among(name: str, files: Iterable[str]) -> bool:
    """Return whether an #include of this name finds one of the files."""
    return any(file == name or file.endswith(f"/{name}") for file in files)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Selection:
    """Headers and sources of CMSIS, selected by the code that includes and calls them."""

    def __init__(self, folder: Folder, own: Iterable[str]) -> None:
        self._folder = folder
        self._own = list(own)
        self._files: Dict[str, Path] = {}  # name in the project -> file
        self._folders: Set[str] = set()
        self._sources: List[str] = []
        self._names: Set[str] = set()  # used by the selected files
        self._provided: Set[str] = set()  # defined by the selected headers
        self._definers: Dict[str, Dict[str, List[str]]] = {}  # tree -> name -> its sources
        self._texts: Dict[Path, str] = {}

    def demand(self, header: str, by: str) -> None:
        """Add a header and its includes.

        Args:
            header: Name of the header.
            by: Clause that names the file with the #include, for the error.

        Raises:
            PlatformError: The folder of CMSIS has no such header.
        """
        if self._resolve(header) is None:
            raise PlatformError(
                f"cmsis_path={self._folder.directory} has no {header}, which {by} includes.",
                _NAME_IT if header.startswith("arm_nn") else _NAME_CMSIS_5,
            )

    def follow(self, texts: Iterable[str]) -> None:
        """Add all files that these C texts include and call, directly or indirectly."""
        for text in texts:
            for include in c_text.includes_of(text):
                if not _is_among(include.name, self._own):
                    self._resolve(include.name)
            self._names |= c_text.used_names(text)
        done: Set[str] = set()
        while self._names - done:
            fresh, done = self._names - done, set(self._names)
            for tree in TREES:
                if tree.has_sources and any(name.startswith(f"{home(tree)}/") for name in self._files):
                    # A tree that is new in this round may define names of earlier rounds.
                    names = fresh if tree.name in self._definers else done
                    definers = self._definers_of(tree)
                    for name in sorted(names & definers.keys()):
                        for source in definers[name]:
                            self._add(tree, source)

    def add_mentions(self, name: str) -> bool:
        """Add each source in which a name occurs, since a macro may define it.

        Returns:
            False if the name occurs in no source.
        """
        found = False
        for tree in TREES:
            files = self._folder.tree(tree) if tree.name in self._definers else None
            for source in files.sources if files is not None else ():
                assert files is not None
                if name in c_text.used_names(self._text(files.root / source)):
                    self._add(tree, source)
                    found = True
        self.follow(())
        return found

    def has(self, name: str) -> bool:
        """Return whether a selected header, or a source of a tree in use, defines this name."""
        return name in self._provided or any(name in definers for definers in self._definers.values())

    def result(self) -> Cmsis:
        """Return the selected files. Raise PlatformError for a file name that a build tool could misread."""
        check_names(self._files, f"cmsis_path={self._folder.directory}")
        order = [tree.name for tree in TREES]
        folders = sorted(
            self._folders, key=lambda name: (order.index(name.split("/")[1]), name.count("/"), name)
        )
        return Cmsis(self._files, sorted(self._sources), folders)

    def _resolve(self, header: str) -> Optional[str]:
        """Add a header, and return its name in the project; None if no tree has the header."""
        for tree in TREES:
            found = self._folder.tree(tree)
            for name in found.headers if found is not None else ():
                if name == header or name.endswith(f"/{header}"):
                    self._folders.add(f"{home(tree)}/{name[: -len(header)]}".rstrip("/"))
                    self._add(tree, name)
                    return f"{home(tree)}/{name}"
        return None

    def _add(self, tree: Tree, name: str) -> None:
        """Add one file of a tree, its includes, and the names that it uses."""
        in_project = f"{home(tree)}/{name}"
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
                    "Set cmsis_path to a folder with CMSIS/Core of CMSIS 5 in addition to CMSIS-NN, "
                    "or add this header with -o extra_files_tar=FILE.tar.",
                )

    def _definers_of(self, tree: Tree) -> Dict[str, List[str]]:
        """Return name -> the sources that define it. A file may define its own name with a macro."""
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
