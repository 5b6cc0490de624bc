# SPDX-License-Identifier: Apache-2.0
"""Installation instructions for the programs that the host tools need.

packages.json has an entry for each tool, and for each file of a cross compiler that Debian has in a separate
package. The fields of an entry are strings:

    apt      the packages of Debian and Ubuntu
    apt_on   the versions of Debian and Ubuntu that have them, unless all supported versions do
    macos    the command that installs the tool on macOS
    how      one sentence, for a tool without apt
    short    the sentence of `how` in a few words, for a list of tools

The template's post_gen_project.py also reads packages.json.
"""

from __future__ import annotations

import functools
import json
import shlex
import sys
from pathlib import Path
from typing import Dict, Final, Mapping, Optional

TABLE: Final = Path(__file__).with_name("packages.json")


def how_to_install(tool: str) -> Optional[str]:
    """Return the sentence that explains how to install a tool; None if the table lacks the tool."""
    entry = read_table().get(tool)
    if entry is None:
        return None
    if "apt" not in entry:
        return entry["how"]
    return f"Install {tool} on {entry.get('apt_on', 'Debian or Ubuntu')} with: apt-get install {entry['apt']}"


def how_to_install_requirements(file: str = "requirements.txt") -> str:
    """Return the command that installs the Python packages of a platform.

    The command creates a virtual environment unless this process runs in one: Debian's own interpreter
    refuses to install packages.

    Args:
        file: File of the requirements.
    """
    install = f"-m pip install -r {shlex.quote(file)}"
    if sys.prefix != sys.base_prefix:
        return f"{shlex.quote(sys.executable)} {install}"
    return f"python3 -m venv .venv && . .venv/bin/activate && python {install}"


@functools.lru_cache(maxsize=None)
def read_table() -> Mapping[str, Mapping[str, str]]:
    """Return packages.json: tool -> its fields.

    The file is not read at import, so that the API server starts fast.
    """
    table: Dict[str, Dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
