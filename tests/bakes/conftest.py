# SPDX-License-Identifier: Apache-2.0
"""Where templates come from, and where platforms go to."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A Cookiecutter configuration that keeps its clones and replays in this test's directory."""
    path = tmp_path / "cookiecutter.yaml"
    places = {"cookiecutters_dir": str(tmp_path / "clones"), "replay_dir": str(tmp_path / "replay")}
    # Lines, not JSON, which is YAML too: the parser of Cookiecutter 1.7 reads no braces.
    path.write_text("".join(f'{name}: "{place}"\n' for name, place in places.items()), encoding="utf-8")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path
