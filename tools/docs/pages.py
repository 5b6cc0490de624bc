# SPDX-License-Identifier: Apache-2.0
"""The generated files of the documentation, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Final

from tools.docs import boards, command_line, rooms
from tools.docs.includes import fill
from tools.docs.schema import boards_schema

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMA: Final = "runtime/boards.schema.json"


def generated() -> Dict[str, str]:
    """Return the text of each generated file, by its path relative to the repository.

    Hand-written pages are among them if they have blocks that are copied from other files.
    """
    files = {
        SCHEMA: json.dumps(boards_schema(), indent=2, ensure_ascii=True) + "\n",
        "docs/architecture.md": rooms.page(ROOT),
        "docs/images/rooms.svg": rooms.drawing(ROOT),
        "docs/boards-json.md": boards.page(ROOT),
        "docs/command-line.md": command_line.page(ROOT),
    }
    for path in sorted((ROOT / "docs").rglob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        if name not in files:
            text = path.read_text(encoding="utf-8")
            filled = fill(text, ROOT)
            if filled != text or "<!-- copied from " in text:
                files[name] = filled
    return files
