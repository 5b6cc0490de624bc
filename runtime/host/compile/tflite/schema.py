# SPDX-License-Identifier: Apache-2.0
"""Classes that read the structures of a TensorFlow Lite file, from the package of the runtime LiteRT."""

from __future__ import annotations

import functools
from typing import Any, Dict, Final

from runtime.host.errors import ToolMissing

PACKAGE: Final = "ai-edge-litert"


@functools.lru_cache(maxsize=None)
def schema() -> Any:
    """Return the module with the classes.

    Raises:
        ToolMissing: The package is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ToolMissing(
            f"Reading a TensorFlow Lite file needs {PACKAGE}, which is not installed.",
            f"Install the package with: pip install {PACKAGE}",
        ) from error
    return schema_py_generated


@functools.lru_cache(maxsize=None)
def names_of(enumeration: str) -> Dict[int, str]:
    """Return number -> name of an enumeration of the schema."""
    return {
        number: name
        for name, number in vars(getattr(schema(), enumeration)).items()
        if not name.startswith("_") and isinstance(number, int)
    }
