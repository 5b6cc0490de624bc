# SPDX-License-Identifier: Apache-2.0
"""Size of a model's code for a board, from its C files alone: before a project is generated and built."""

from __future__ import annotations

import json
import os
import shlex
import struct
import tempfile
from pathlib import Path
from typing import Final, Iterator, List, NamedTuple, Optional, Tuple

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.board import CUSTOM, Board
from runtime.host.errors import BuildError, PlatformError
from runtime.host.firmware.compilers import COMPILER_ENVIRONMENT, compiler_identity, find_compiler
from runtime.host.project.board_support import port_config
from runtime.host.project.object_files.elf import EXECUTABLE, sections
from runtime.host.project.platform import Platform
from runtime.host.system.cache import Cache, Digest
from runtime.host.system.programs import run_tool

OPTIMIZATION: Final = "-O2"  # default of the project option `optimization`
# As the build files compile generated code.
FLAGS: Final = ("-std=gnu11", "-fno-strict-aliasing", "-w", "-ffunction-sections", "-fdata-sections")
INCLUDE: Final = "runtime/device/include"  # of a platform
TIMEOUT_SEC: Final = 300.0
NAME: Final = "code.json"
ALLOCATED: Final = 0x2  # sh_flags
WRITABLE: Final = 0x1  # sh_flags
NO_CONTENT: Final = 8  # sh_type of .bss
ELF: Final = b"\x7fELF"


class ModelCode(NamedTuple):
    """Sizes of the object files of a model, before the link.

    Attributes:
        code_bytes: Instructions.
        data_bytes: Constants and tables in flash.
    """

    code_bytes: int
    data_bytes: int


def model_code(
    platform: Platform, board: Board, archive: ModelArchive, cache: Optional[Cache] = None
) -> Optional[ModelCode]:
    """Compile the C files of a model with the compiler and the flags of a board, and return their sizes.

    Args:
        platform: Platform of the board.
        board: Board.
        archive: Archive of the `compile` command.
        cache: Cache of results; None for the user's.

    Returns:
        The sizes; None where the owner builds the firmware, or the compiler writes no ELF files.

    Raises:
        ToolMissing: The compiler of the board is not installed.
        BuildError: The C files do not compile.
    """
    if platform.build_command is not None or board.device_port == CUSTOM:
        return None
    config = port_config(platform.directory, board, {})
    compiler = find_compiler(config.cross)
    argv = [*shlex.split(compiler), *FLAGS, OPTIMIZATION, *config.cpu_flags]
    argv += [word for name in ("CPPFLAGS", "CFLAGS") for word in shlex.split(os.environ.get(name, ""))]
    digest = Digest()
    digest.add(*compiler_identity(compiler, Path.cwd()), *argv)
    digest.add(*(os.environ.get(name, "") for name in COMPILER_ENVIRONMENT))
    for name in archive.sources:
        digest.add_content(name, archive.read(name))
    cache = cache or Cache()
    entry = f"{digest.key()}-{NAME}"
    found = _read(cache.get(entry))
    if found is None:
        found = _compiled(archive, [*argv, f"-I{Path(platform.directory).resolve() / INCLUDE}"])
        if found is not None:
            cache.put(entry, json.dumps(found._asdict()).encode())
    return found


def _read(content: Optional[bytes]) -> Optional[ModelCode]:
    if content is None:
        return None
    try:
        return ModelCode(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _compiled(archive: ModelArchive, argv: List[str]) -> Optional[ModelCode]:
    code = data = 0
    with tempfile.TemporaryDirectory(prefix="microtvm-") as name:
        directory = Path(name)
        for index, source in enumerate(archive.sources):
            path = directory / f"model{index}.c"  # no name of an archive reaches a command line
            path.write_bytes(archive.read(source))
            made = path.with_suffix(".o")
            done = run_tool([*argv, "-c", str(path), "-o", str(made)], cwd=directory, timeout_sec=TIMEOUT_SEC)
            if done.exit_code != 0 or done.timed_out:
                raise BuildError(
                    "The C of the model does not compile for the board.",
                    "Report the model and this log as a bug of the template.",
                    done.output[-4000:],
                )
            content = made.read_bytes()
            if not content.startswith(ELF):
                return None
            for size, is_code in _sizes(content):
                code += size * is_code
                data += size * (not is_code)
    return ModelCode(code, data)


def _sizes(content: bytes) -> Iterator[Tuple[int, bool]]:
    """Yield the size of each section that a firmware has in flash, and whether it has instructions."""
    try:
        for section in sections(content):
            is_loaded = section.flags & ALLOCATED and section.kind != NO_CONTENT
            if is_loaded and not section.flags & WRITABLE:
                yield section.size, bool(section.flags & EXECUTABLE)
    except (struct.error, IndexError, ValueError) as error:
        raise PlatformError(
            "The compiler of the board wrote an invalid object file.", "Check the compiler."
        ) from error
