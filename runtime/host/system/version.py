# SPDX-License-Identifier: Apache-2.0
"""Version of the template that wrote a platform: the content of runtime/VERSION."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).resolve().parents[2] / "VERSION"


def version() -> str:
    """Return the version as major.minor.patch (Semantic Versioning), or "unknown" without the file."""
    try:
        return FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"
