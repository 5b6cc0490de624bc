# SPDX-License-Identifier: Apache-2.0
"""Projects of the command line: one for each combination of model, options and platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import pytest

from runtime import server
from runtime.host.archive.tar import PackedTar, read_packed
from runtime.host.project.lookup import find_or_generate, project_name
from runtime.host.project.options import project_options
from runtime.host.project.platform import Platform, load_platform
from runtime.host.system.leftovers import is_unused
from tests.conftest import Baker

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"


@pytest.fixture
def platform(bake: Baker) -> Platform:
    return load_platform(bake().path)


@pytest.fixture
def packed() -> PackedTar:
    return read_packed(ARCHIVES / "aot_c.tar")


def options(platform: Platform, **given: Any) -> Dict[str, Any]:
    return server.coerce_options(project_options(platform.boards()), given)


def test_a_name_stands_for_what_a_project_is_made_of(platform: Platform, packed: PackedTar) -> None:
    name = project_name(platform, packed, options(platform))
    assert name.startswith("aot_c-")
    assert project_name(platform, packed, options(platform)) == name
    other_model = packed._replace(data=packed.data + bytes(512))
    names = {
        name,
        project_name(platform, other_model, options(platform)),
        project_name(platform, packed, options(platform, optimization="O3")),
    }
    for file in ("boards.json", "Makefile", "runtime/device/src/rpc.c", "runtime/host/errors.py"):
        path = platform.directory / file
        path.write_text(path.read_text() + "\n")
        names.add(project_name(platform, packed, options(platform)))
    extra = platform.directory / "extra" / "own.c"
    extra.parent.mkdir()
    for text in ("int own;\n", "int one;\n"):
        extra.write_text(text)
        os.utime(extra, (1, 1))
        names.add(project_name(platform, packed, options(platform)))
    assert len(names) == 3 + 4 + 2


def test_a_project_is_found_again_and_in_use_from_the_first(platform: Platform, packed: PackedTar) -> None:
    place = platform.directory / "projects" / "aot"
    first = find_or_generate(platform, packed, place, options(platform))
    assert not is_unused(place), "`clean` must keep this project."
    written = (place / "project.json").stat().st_mtime_ns
    again = find_or_generate(platform, packed, place, options(platform))
    assert (place / "project.json").stat().st_mtime_ns == written
    assert (again.settings, again.board) == (first.settings, first.board)
    assert again.archive.module == first.archive.module == "default"
