# SPDX-License-Identifier: Apache-2.0
"""Requirements of a boards.json on an OpenOCD installation."""

from __future__ import annotations

from pathlib import Path
from typing import List

from runtime.host.boards.table import load_boards

SCRIPTS = Path("/usr/share/openocd/scripts")


def missing_configs(boards_json: Path) -> List[str]:
    """Return the configuration files that boards name and OpenOCD lacks, each as "board: file"."""
    return [
        f"{board.name}: {config}"
        for board in load_boards(boards_json).values()
        for config in board.runners.get("openocd", {}).get("config", ())
        if not (SCRIPTS / config).is_file()
    ]
