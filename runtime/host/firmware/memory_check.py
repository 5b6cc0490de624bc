# SPDX-License-Identifier: Apache-2.0
"""Whether a firmware fits into the memory of its board."""

from __future__ import annotations

from typing import Final, Iterable, Tuple

from runtime.host.errors import BuildError
from runtime.host.firmware.link_map import largest, part_sizes
from runtime.host.firmware.parts import link_map
from runtime.host.project.project import Project

LARGEST_PIECES: Final = 3  # so many are named when a firmware does not fit


def check_memory(project: Project) -> None:
    """Raise BuildError when the firmware is larger than the memory of its board."""
    board = project.board
    path = link_map(project)
    if path is None or (board.flash_bytes is None and board.ram_bytes is None):
        return
    parts = part_sizes(path)
    for kind, limit in (("flash", board.flash_bytes), ("ram", board.ram_bytes)):
        sizes = {part.part: getattr(part, kind) for part in parts}
        if limit is not None and sum(sizes.values()) > limit:
            pieces = ((piece.name, getattr(piece, kind)) for piece in largest(path, kind, LARGEST_PIECES))
            raise BuildError(
                f"The firmware needs {sum(sizes.values()):,} bytes of {kind}; {board.name} has {limit:,}.",
                f"The parts: {_listed(sizes.items())}. The largest pieces: {_listed(pieces)}. "
                "Use a smaller model or workspace_size_bytes, -o optimization=Os, or a larger board.",
            )


def _listed(sizes: Iterable[Tuple[str, int]]) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in sizes)
