# SPDX-License-Identifier: Apache-2.0
"""Random names of files in model archives and in tars of extra files: none runs a command."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path
from typing import Dict, List

import pytest

from runtime.host.archive.file_names import is_plain
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.errors import ArchiveError, PlatformError
from runtime.host.firmware.build import build
from runtime.host.project.extra_files import ExtraFiles
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform as HostPlatform
from runtime.host.project.platform import load_platform
from tests.conftest import Platform
from tests.support.archives import archive_bytes

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"
NAMES = 3_000  # for a longer run: 10,000
IN_ONE_ARCHIVE = 100
# Characters with a meaning in a shell, make, CMake, C or Python formats, mixed with plain letters.
PIECES = (
    *"abcXYZ012_+-.,;:!?@#%^&*()[]{}<>|~=$'\"`\\ \t\n\r",
    *(
        "$(touch OWNED)",
        "${IFS}",
        "`touch OWNED`",
        "$(shell touch OWNED)",
        "$$",
        "%.c",
        "../",
        "/",
        "--",
        "-o",
    ),
    *(
        "{0}",
        "{project}",
        "\u00e9",
        "\u202e",
        "\x1b[2J",
        "\x00",
        ";touch OWNED;",
        "&& touch OWNED",
        ".c",
        ".o",
        ".h",
    ),
)


def random_names(seed: int, count: int) -> List[str]:
    draw = random.Random(seed)
    return ["".join(draw.choice(PIECES) for _ in range(draw.randint(1, 9))) for _ in range(count)]


def plain_names(count: int) -> List[str]:
    """Return unusual names that are accepted: letters, digits and ._+- in any order."""
    draw = random.Random(7)
    names: Dict[str, str] = {}
    while len(names) < count:
        name = "".join(draw.choice("aA0_+-.") for _ in range(draw.randint(1, 9)))
        if is_plain(name):
            names.setdefault(name.lower(), name)
    return list(names.values())


def model_files() -> Dict[str, bytes]:
    """Return the files of a valid model archive."""
    with tarfile.open(ARCHIVES / "aot_c.tar") as tar:
        found = {member.name[2:]: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


@pytest.mark.parametrize("folder", ["src", "lib", "include"])
def test_names_in_a_model_archive_are_plain_or_refused(tmp_path: Path, folder: str) -> None:
    files = model_files()
    names = random_names(len(folder), NAMES // 3)
    refused = 0
    for start in range(0, len(names), IN_ONE_ARCHIVE):
        packed = names[start : start + IN_ONE_ARCHIVE]
        odd = {f"codegen/host/{folder}/{name}.c": b"int odd;\n" for name in packed}
        path = tmp_path / "model.tar"
        path.write_bytes(archive_bytes({**files, **odd}))
        try:
            archive = ModelArchive.open(path)
        except ArchiveError as error:
            refused += 1
            assert error.what.isprintable() and error.next_step
        else:
            assert all(map(is_plain, (*archive.sources, *archive.objects, *archive.headers)))
    assert refused == -(-len(names) // IN_ONE_ARCHIVE), "each of them holds a name that is not plain"


def test_names_of_extra_files_are_plain_or_refused(tmp_path: Path) -> None:
    refused = 0
    for name in random_names(99, NAMES // 10):
        path = tmp_path / "extra.tar"
        path.write_bytes(archive_bytes({f"{name}.c": "int odd;\n"}))
        try:
            files = ExtraFiles(tmp_path / "none", str(path))
        except PlatformError as error:
            refused += 1
            assert error.what.isprintable() and error.next_step
        else:
            assert all(map(is_plain, files.code()))
    assert refused > NAMES // 20


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake", "build_command"])
def test_every_name_that_is_taken_builds(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    names = plain_names(60)
    odd = {
        f"codegen/host/src/{name}.c": f"int model_{index}(void) {{ return {index}; }}\n"
        for index, name in enumerate(names)
    }
    (tmp_path / "model.tar").write_bytes(archive_bytes({**model_files(), **odd}))
    extra = {
        f"{name}/{name}.c": f'#include "{name}.h"\nint extra_{index}(void) {{ return {index}; }}\n'
        for index, name in enumerate(names)
    }
    headers = {f"{name}/{name}.h": "/* a header */\n" for name in names}
    (tmp_path / "extra.tar").write_bytes(archive_bytes({**extra, **headers}))
    platform = load_platform(default_platforms.get(build_system, default_platforms["make"]).path)
    if build_system == "build_command":
        command = ["gcc", "{flags}", "{sources}", "-lm", "-o", "{firmware}"]
        platform = HostPlatform(platform.directory, "p", "make", build_command=command)
    project = generate(
        platform,
        tmp_path / "model.tar",
        tmp_path / "project",
        {"extra_files_tar": str(tmp_path / "extra.tar")},
    )
    build(project)
    assert project.firmware.is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["extra.tar", "model.tar", "project"]
    assert not list(tmp_path.rglob("OWNED"))
