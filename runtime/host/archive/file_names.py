# SPDX-License-Identifier: Apache-2.0
"""Names of files that a shell, make and CMake take as they are."""

from __future__ import annotations

import re
from typing import Final

NAME_RULE: Final = "names in a build have letters, digits and ._+- only, and do not begin with . or -"
# No letter that a shell, make or CMake treats in its own way; no option of a program; no hidden file.
PLAIN_PART: Final = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]*", re.ASCII)


def is_plain(name: str) -> bool:
    """Whether each part of a path is safe in a shell, a makefile and CMake."""
    return all(PLAIN_PART.fullmatch(part) for part in name.split("/"))
