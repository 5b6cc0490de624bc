# SPDX-License-Identifier: Apache-2.0
"""Lookup of generated projects: the command line generates a project once and finds it again by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final, Iterator, Mapping, Tuple

from runtime.host.archive.tar import PackedTar
from runtime.host.errors import PlatformError
from runtime.host.project.platform import (
    BOARDS_FILE,
    BUILD_FILES,
    FROM_PLATFORM,
    PROJECT_FILE,
    RUNTIME,
    Platform,
    load_platform,
)
from runtime.host.project.project import Project, load_project
from runtime.host.project.tvm_crt import chosen_crt
from runtime.host.system.cache import Digest
from runtime.host.system.leftovers import hold

FILE_OPTIONS: Final = ("extra_files_tar", "standalone_input")
LONGEST_STEM: Final = 40  # characters of the model's name in the name of a project


def find_or_generate(
    platform: Platform, packed: PackedTar, project_dir: Path, options: Mapping[str, Any]
) -> Project:
    """Return the project in a directory. Generate it if the directory has no project.

    Another process may generate the project at the same time.

    Args:
        platform: Platform to generate the project from.
        packed: Model archive.
        project_dir: Directory of the project, with the name that project_name() returns for these arguments.
        options: Project options with all defaults.
    """
    if not (project_dir / PROJECT_FILE).exists():
        from runtime.host.project.generate import generate

        try:
            project = generate(platform, packed, project_dir, options)
            hold(project.directory)
            return project
        except PlatformError:
            if not (project_dir / PROJECT_FILE).exists():
                raise
    place = load_platform(project_dir)
    platform.share_boards(place)
    return load_project(place, packed)


def project_name(platform: Platform, packed: PackedTar, options: Mapping[str, Any]) -> str:
    """Return a directory name that depends only on the model, the options and the platform."""
    digest = Digest()
    digest.add(repr(sorted(options.items())))
    digest.add_content(packed.path.name, packed.data)
    for file in (Path(options[name]) for name in FILE_OPTIONS if options[name]):
        digest.add_files(file.parent, [file])  # reads a bounded size
    crt = chosen_crt(options["crt"], options["standalone_crt_dir"])
    if crt is not None:
        digest.add(crt.key())
    if options["cmsis_path"]:
        from runtime.host.project.cmsis import tree_key

        digest.add(tree_key(options["cmsis_path"]))
    digest.add(platform.board_table().text)
    digest.add(repr(list(_stamps(platform.directory / RUNTIME))))
    for name in (*FROM_PLATFORM, BUILD_FILES[platform.build_system]):
        path = platform.directory / name
        if name not in (RUNTIME, BOARDS_FILE):
            files = path.rglob("*") if path.is_dir() else [path]
            digest.add_files(platform.directory, [file for file in files if file.is_file()])
    stem = re.sub(r"[^A-Za-z0-9_]", "_", packed.path.name.split(".")[0])[:LONGEST_STEM]
    return f"{stem}-{digest.key()[:8]}"


def _stamps(directory: Path) -> Iterator[Tuple[str, int, int]]:
    """Yield name, size and time of each file of runtime/, without byte code.

    Owners do not edit these 250 files, and an update replaces them. Reading them took 60 ms per command.
    """
    for folder, folders, files in os.walk(directory):
        folders.sort()
        for name in sorted(files):
            if not name.endswith(".pyc"):
                path = os.path.join(folder, name)  # noqa: PTH118 (pathlib takes as long as the call of stat)
                status = os.lstat(path)
                yield path[len(str(directory)) :], status.st_size, status.st_mtime_ns
