# SPDX-License-Identifier: Apache-2.0
"""Python packages that the compilation of a model needs, and their tested versions.

The rest of the host tools works without them. Today's TVM changes names in every release, so that another
version than the tested ones is refused.
"""

from __future__ import annotations

import importlib.metadata
from typing import Dict, Final, Optional, Tuple

from runtime.host.errors import ToolMissing

REQUIREMENTS: Final = "requirements-compile.txt"  # of a platform
INSTALL: Final = f"Run `python -m pip install -r {REQUIREMENTS}` in the directory of the platform."
PACKAGES: Final = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
TESTED_TVM: Final = ("0.25", "0.26", "0.27")


def installed_versions() -> Dict[str, Optional[str]]:
    """Return package -> installed version, None for a missing package. Nothing is imported."""
    versions: Dict[str, Optional[str]] = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def check_packages() -> Tuple[Tuple[str, str], ...]:
    """Return (package, version) of all packages, without an import of any of them.

    Raises:
        ToolMissing: A package is missing, or TVM has a version that was not tested.
    """
    versions = installed_versions()
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        raise ToolMissing(f"`compile` is not installed: {', '.join(missing)} not found.", INSTALL)
    tvm = str(versions["apache-tvm"])
    if not tvm.startswith(tuple(f"{tested}." for tested in TESTED_TVM)):
        raise ToolMissing(
            f"Version {tvm} of apache-tvm was not tested: expected {TESTED_TVM[0]} to {TESTED_TVM[-1]}.",
            INSTALL,
        )
    return tuple((package, str(version)) for package, version in versions.items())
