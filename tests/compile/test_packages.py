# SPDX-License-Identifier: Apache-2.0
"""Packages of `compile`: their versions without an import, and messages about missing ones."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from runtime.host.compile import packages
from runtime.host.errors import ToolMissing

VERSIONS = {
    "apache_tvm": "0.26.0",
    "apache_tvm_ffi": "0.1.14",
    "onnx": "1.23.2",
    "onnxruntime": "1.32.0",
    "numpy": "2.4.6",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of packages, with all of `compile`."""
    for name, version in VERSIONS.items():
        (tmp_path / f"{name}-{version}.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nosuch"), str(tmp_path)])
    return tmp_path


def test_versions_are_those_that_python_reports() -> None:
    assert packages.installed_versions() == {name: metadata.version(name) for name in packages.PACKAGES}


def test_all_are_there(site: Path) -> None:
    assert dict(packages.check_packages()) == {
        name.replace("_", "-"): version for name, version in VERSIONS.items()
    }


def test_a_package_of_debian(site: Path) -> None:
    (site / "numpy-2.4.6.dist-info").rename(site / "numpy-1.24.2-py3.11.egg-info")
    assert packages.installed_versions()["numpy"] == "1.24.2"


def test_missing_ones_are_named(site: Path) -> None:
    for name in ("onnx", "numpy"):
        (site / f"{name}-{VERSIONS[name]}.dist-info").rmdir()
    with pytest.raises(ToolMissing) as caught:
        packages.check_packages()
    assert caught.value.what == "`compile` is not installed: onnx, numpy not found."
    assert caught.value.next_step.endswith("-m pip install -r requirements-compile.txt")


@pytest.mark.parametrize("version", ["0.24.0", "0.28.0", "0.2.50", "1.0"])
def test_another_tvm_is_refused(site: Path, version: str) -> None:
    (site / "apache_tvm-0.26.0.dist-info").rename(site / f"apache_tvm-{version}.dist-info")
    with pytest.raises(ToolMissing, match=r"was not tested: expected 0\.25 to 0\.27"):
        packages.check_packages()


def test_another_python_is_named(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "TESTED_PYTHON", ((3, 4), (3, 5)))
    packages.check_packages()
    (site / "onnx-1.23.2.dist-info").rmdir()
    with pytest.raises(ToolMissing) as caught:
        packages.check_packages()
    assert "with CPython 3.4 to 3.5; this is CPython 3." in caught.value.next_step
