# SPDX-License-Identifier: Apache-2.0
"""Where templates come from, and where platforms go to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A Cookiecutter configuration that keeps its clones and replays in this test's directory."""
    path = tmp_path / "cookiecutter.yaml"
    places = {"cookiecutters_dir": str(tmp_path / "clones"), "replay_dir": str(tmp_path / "replay")}
    path.write_text(json.dumps(places), encoding="utf-8")  # which is YAML too
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path
