# SPDX-License-Identifier: Apache-2.0
"""Configuration for templates and baked platforms."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a Cookiecutter configuration with clones and replays in this test's directory."""
    path = tmp_path / "cookiecutter.yaml"
    places = {"cookiecutters_dir": str(tmp_path / "clones"), "replay_dir": str(tmp_path / "replay")}
    # JSON is YAML too, but the parser of Cookiecutter 1.7 does not read braces.
    path.write_text("".join(f'{name}: "{place}"\n' for name, place in places.items()), encoding="utf-8")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path
