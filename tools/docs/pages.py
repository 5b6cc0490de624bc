# SPDX-License-Identifier: Apache-2.0
"""The generated files of the documentation, by name."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Dict, Final, Mapping

from tools.docs import boards, command_line, onnx_operators, rooms
from tools.docs.includes import BLOCK, Generator, fill
from tools.docs.schema import boards_schema

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMA: Final = "runtime/boards.schema.json"
DRAWING: Final = "docs/images/rooms.svg"

GENERATORS: Final[Mapping[str, Generator]] = {
    "rooms": rooms.sections,
    "commands": command_line.commands,
    "project-options": command_line.options,
    "refused-operators": onnx_operators.refused,
    "integer-operators": onnx_operators.integers,
    **boards.GENERATORS,
}
"""Name of a block of a page -> the function that returns its content, of the root of the repository."""


@functools.lru_cache(maxsize=None)
def generated() -> Dict[str, str]:
    """Return the text of each file with generated content, by its path relative to the repository."""
    files = {
        SCHEMA: json.dumps(boards_schema(ROOT), indent=2) + "\n",
        DRAWING: rooms.drawing(ROOT),
    }
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text) is not None:
            files[path.relative_to(ROOT).as_posix()] = fill(text, ROOT, GENERATORS)
    return files
