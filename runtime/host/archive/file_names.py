# SPDX-License-Identifier: Apache-2.0
"""File names that a shell, make and CMake accept without quoting."""

from __future__ import annotations

import re
from typing import Final

NAME_RULE: Final = "file names may contain only letters, digits and ._+-, and must not begin with . or -"
# Excludes special characters of a shell, make and CMake, names like options (-x), and hidden files.
PLAIN_PART: Final = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]*", re.ASCII)


def is_plain(name: str) -> bool:
    """Return whether each part of a path is safe in a shell, a makefile and CMake."""
    return all(PLAIN_PART.fullmatch(part) for part in name.split("/"))
