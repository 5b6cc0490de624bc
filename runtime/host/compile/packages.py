# SPDX-License-Identifier: Apache-2.0
"""Python packages that the compilation of a model needs, and their tested versions.

The rest of the host tools works without them. Today's TVM changes names in every release, so that another
version than the tested ones is refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Dict, Final, List, Optional, Tuple

from runtime.host.errors import ToolMissing
from runtime.host.system.packages import how_to_install_requirements

REQUIREMENTS: Final = "requirements-compile.txt"  # of a platform
PACKAGES: Final = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "numpy")
METADATA: Final = (".dist-info", ".egg-info")  # the latter of packages of Debian
TESTED_TVM: Final = ("0.25", "0.26", "0.27")
TESTED_PYTHON: Final = ((3, 10), (3, 13))
PLATFORM: Final = Path(__file__).resolve().parents[3]  # that has this runtime/


def installed_versions() -> Dict[str, Optional[str]]:
    """Return package -> installed version, None for a missing package. Nothing is imported."""
    found: Dict[str, str] = {}
    for place in sys.path:
        for directory in _metadata_directories(place):
            name, _, rest = directory.rpartition(".")[0].partition("-")
            found.setdefault(_normal(name), rest.partition("-")[0])
    return {package: found.get(_normal(package)) for package in PACKAGES}


def _metadata_directories(place: str) -> List[str]:
    """Return NAME-VERSION.dist-info or .egg-info of each package in a folder.

    importlib.metadata parses a file of each package, which takes 20 ms.
    """
    try:
        return [name for name in os.listdir(place or ".") if name.endswith(METADATA)]  # noqa: PTH208
    except OSError:
        return []


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def check_packages() -> Tuple[Tuple[str, str], ...]:
    """Return (package, version) of all packages, without an import of any of them.

    Raises:
        ToolMissing: A package is missing, or TVM has a version that was not tested.
    """
    versions = installed_versions()
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        raise ToolMissing(f"`compile` is not installed: {', '.join(missing)} not found.", how_to_install())
    tvm = str(versions["apache-tvm"])
    if not tvm.startswith(tuple(f"{tested}." for tested in TESTED_TVM)):
        raise ToolMissing(
            f"Version {tvm} of apache-tvm was not tested: expected {TESTED_TVM[0]} to {TESTED_TVM[-1]}.",
            how_to_install(),
        )
    return tuple((package, str(version)) for package, version in versions.items())


def how_to_install() -> str:
    """Return the sentence that explains how to install the packages."""
    first, last = (".".join(map(str, version)) for version in TESTED_PYTHON)
    if not TESTED_PYTHON[0] <= sys.version_info[:2] <= TESTED_PYTHON[1]:
        return (
            f"Install {REQUIREMENTS} in a virtual environment with CPython {first} to {last}; this is "
            f"CPython {sys.version_info[0]}.{sys.version_info[1]}."
        )
    path = PLATFORM / REQUIREMENTS  # a project does not have the file
    command = how_to_install_requirements(str(path) if path.is_file() else REQUIREMENTS)
    return f"Install the packages with: {command}"
