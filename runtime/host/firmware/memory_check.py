# SPDX-License-Identifier: Apache-2.0
"""Check that a firmware fits into the memory of its board."""

from __future__ import annotations

from typing import Final, Iterable, Tuple

from runtime.host.errors import BuildError
from runtime.host.firmware.link_map import largest, part_sizes
from runtime.host.firmware.parts import link_map
from runtime.host.project.project import Project

LARGEST_PIECES: Final = 3  # number of sections in the message


def check_memory(project: Project) -> None:
    """Raise BuildError if the firmware is larger than the memory of its board."""
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
                "Use a smaller model or workspace_size_bytes, -o optimization=Os, or a larger board. "
                f"Parts: {_listed(sizes.items())}. Largest sections: {_listed(pieces)}.",
            )


def _listed(sizes: Iterable[Tuple[str, int]]) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in sizes)
