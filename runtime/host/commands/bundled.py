# SPDX-License-Identifier: Apache-2.0
"""Bundled models of a platform: the network for digits as a model file, and as archives."""

from __future__ import annotations

from typing import Final, NamedTuple

from runtime.host.compile.packages import check_packages
from runtime.host.errors import ToolMissing
from runtime.host.project.platform import Platform

IMAGES: Final = "models/digits_test.npz"
"""Arrays: images, and for each bundled model the answers of the host to them."""


class Bundle(NamedTuple):
    """A bundled model.

    Attributes:
        model: Model file or model archive, relative to the platform.
        expected: Array of IMAGES with the answers.
    """

    model: str
    expected: str


MODEL_FILE: Final = Bundle("models/digits_int8.onnx", "expected_int8")
ARCHIVE: Final = Bundle("models/digits_int8.tar", "expected_int8")
OLDER: Final = Bundle("models/digits_aot.tar", "expected")
"""Only bundled model of an older platform, whose runtime/ may be replaced alone."""


def bundled_model(platform: Platform) -> Bundle:
    """Return the model file if `compile` is installed, else the archive that was compiled from it."""
    if _has(platform, MODEL_FILE) and can_compile():
        return MODEL_FILE
    return bundled_archive(platform)


def bundled_archive(platform: Platform) -> Bundle:
    """Return the archive of the bundled model."""
    return OLDER if _has(platform, OLDER) and not _has(platform, ARCHIVE) else ARCHIVE


def _has(platform: Platform, bundle: Bundle) -> bool:
    return (platform.directory / bundle.model).is_file()


def can_compile() -> bool:
    """Return whether the packages of `compile` are installed in tested versions."""
    try:
        check_packages()
    except ToolMissing:
        return False
    return True
