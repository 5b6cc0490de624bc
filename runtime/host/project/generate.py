# SPDX-License-Identifier: Apache-2.0
"""Generation of a project: all checks come first, then a temporary directory is filled and renamed."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, List, Mapping, Optional, Union

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import MODEL_ARCHIVE as MODEL_KIND
from runtime.host.archive.tar import PackedTar, read_packed
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.errors import PlatformError
from runtime.host.project import board_support, config_files, memory_plan, project_files, standalone_sources
from runtime.host.project.archive_rules import check_archive
from runtime.host.project.extra_files import ExtraFiles
from runtime.host.project.platform import (
    API_SERVER,
    BOARDS_FILE,
    BUILD_FILES,
    EXTRA_DIRECTORY,
    FROM_PLATFORM,
    MODEL_ARCHIVE,
    PROJECT_FILE,
    RUNTIME,
    Platform,
)
from runtime.host.project.project import Project
from runtime.host.project.settings import BuildConfig, ProjectSettings
from runtime.host.project.tvm_crt import (
    CRT_DIRECTORY,
    CRT_SOURCES,
    OVERHEAD_BYTES,
    STACK_BYTES,
    StandaloneCrt,
    chosen_crt,
)
from runtime.host.system.leftovers import STAGING, made_directories, scratch_directory
from runtime.host.wire.packet_size import PACKET_BYTES, fits_packet

if TYPE_CHECKING:
    from runtime.host.project.cmsis import Cmsis

DEVICE: Final = "device"  # folder of runtime/ with the device runtime
MAX_NDIM: Final = 8  # MTVM_MAX_NDIM of runtime/device/include/microtvm/config.h
RAISES_NDIM: Final = re.compile(r"(-D)?MTVM_MAX_NDIM=")
WORDS_OF_CMSIS: Final = (b"arm_", b"cmsis_", b"core_")  # each name of a CMSIS header contains one
MIN_WORKSPACE_BYTES: Final = 256  # minimum with which the device runtime starts
MAX_WORKSPACE_BYTES: Final = 1 << 30

# Project type -> files of runtime/device/apps/ in addition to the one with main, for both runtimes.
SHARED_APPS: Final = {"host_driven": ("serve", "about"), "standalone": ("run_once",)}


def generate(
    platform: Platform,
    model: Union[PackedTar, Path],
    project_dir: Path,
    options: Mapping[str, Any],
    *,
    has_host_tools: bool = True,
) -> Project:
    """Write a project into project_dir.

    A failure leaves no files behind: the project is written into a temporary directory and then renamed.

    Args:
        platform: Platform from which the project is generated.
        model: Content or path of the model archive.
        project_dir: Directory of the project. It must be empty or not exist.
        options: Values of the project options (options.py) in their types; a missing one or None is the
            default.
        has_host_tools: Copy runtime/host, the largest part of a project. A project that only this process
            uses does not need it.

    Returns:
        The new project.

    Raises:
        PlatformError: An option, the board, the model archive or project_dir is invalid. Subclasses are
            raised too.
    """
    chosen = board = choose_board(platform.boards(), options.get("board"))
    project_type = options.get("project_type") or "host_driven"
    if options.get("standalone_input") and project_type != "standalone":
        raise PlatformError(
            "standalone_input applies to project_type=standalone only.",
            "Remove standalone_input, and pass the inputs when the model runs (run --input FILE).",
        )
    project_dir = _place(project_dir)
    _check_place(platform, project_dir)
    packed = model if isinstance(model, PackedTar) else read_packed(model, MODEL_KIND)
    archive = ModelArchive.unpacked(packed)
    check_archive(archive, project_type, has_extra_files=bool(options.get("extra_files_tar")))
    crt = chosen_crt(options.get("crt"), options.get("standalone_crt_dir"))
    if crt is not None:
        _check_crt(platform, archive, project_type, crt)
        board = board._replace(stack_bytes=max(board.stack_bytes, STACK_BYTES))
    extra = ExtraFiles(platform.directory / EXTRA_DIRECTORY, options.get("extra_files_tar"))
    cmsis = _cmsis(platform, archive, extra.code(), options.get("cmsis_path"))
    objects = {name: archive.read(name) for name in archive.objects}
    port = board_support.port_config(platform.directory, board, objects)
    config = BuildConfig(
        apps=_apps(archive, project_type, crt),
        firmware=port.firmware,
        cross=port.cross,
        cpu_flags=port.cpu_flags,
        linker_script=port.linker_script,
        port_sources=port.port_sources if crt is None else [*port.port_sources, *CRT_SOURCES],
        optimization=f"-{options.get('optimization') or 'O2'}",
        warning_as_error=1 if options.get("warning_as_error") else 0,
        definitions=[
            *config_files.read_definitions(options.get("compile_definitions"), platform.build_system),
            *_limits(archive, options.get("compile_definitions")),
        ],
        crt="" if crt is None else CRT_DIRECTORY,
        cmsis_sources=() if cmsis is None else tuple(cmsis.sources),
        cmsis_folders=() if cmsis is None else tuple(cmsis.folders),
    )
    settings = ProjectSettings(
        board=board.name,
        runner=options.get("runner"),
        project_type=project_type,
        crt=None if crt is None else crt.key(),
        workspace_size_bytes=_workspace_bytes(archive, board, options.get("workspace_size_bytes"), crt),
        firmware_id=0,
        config=config,
    )
    settings = settings._replace(firmware_id=_firmware_id(settings, packed))
    samples: Mapping[str, bytes] = {}
    if project_type == "standalone":
        standalone_sources.check_sizes(archive, board)
        samples = _samples(archive, options.get("standalone_input"))
    with made_directories(project_dir.parent), scratch_directory(project_dir.parent, STAGING) as staging:
        extra.unpack(staging / EXTRA_DIRECTORY)
        _copy_platform(platform, staging, has_host_tools)
        platform.copy_boards(staging / BOARDS_FILE)
        if cmsis is not None:
            cmsis.copy(staging)
        if crt is not None:
            _exchange_runtime(crt, staging)
        archive.unpack(staging / "model")
        (staging / MODEL_ARCHIVE).write_bytes(packed.data)
        for name, text in _texts(platform, board, archive, settings, samples).items():
            path = staging / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            staging.replace(project_dir)  # also replaces an empty directory
        except OSError:
            _check_place(platform, project_dir)  # another process may have created it meanwhile
            raise
    return Project(platform.at(project_dir), settings, chosen, packed)


def _texts(
    platform: Platform,
    board: Board,
    archive: ModelArchive,
    settings: ProjectSettings,
    samples: Mapping[str, bytes],
) -> Dict[str, str]:
    """Return path in the project -> content of each file that is written instead of copied."""
    name, write_config = config_files.CONFIGS[platform.build_system]
    texts = {
        PROJECT_FILE: json.dumps(settings.document(), indent=2) + "\n",
        name: write_config(settings.config),
        "README.md": project_files.project_readme(
            settings, platform.build_system, platform.build_command is not None
        ),
        ".gitignore": "build/\n.build.lock\n.build.new/\n__pycache__/\n",
        "src/model_config.c": project_files.model_config(
            archive, settings.workspace_size_bytes, settings.firmware_id
        ),
        **board_support.board_files(board),
    }
    if settings.project_type == "standalone":
        generated = standalone_sources.generated(archive, samples)
        texts.update({f"src/{name}": text for name, text in generated.items()})
    return texts


def _place(project_dir: Path) -> Path:
    """Return the absolute path of a new project, without links and "..". Raise PlatformError for "~"."""
    if project_dir.parts and project_dir.parts[0].startswith("~"):
        raise PlatformError(
            f"{project_dir} begins with {project_dir.parts[0]!r}, which only a shell expands.",
            f"Use the absolute path {Path(*project_dir.parts).expanduser()} instead."
            if project_dir.parts[0] == "~" and os.environ.get("HOME")
            else "Use the absolute path.",
        )
    return project_dir.resolve()


def _check_place(platform: Platform, project_dir: Path) -> None:
    if project_dir.exists() and (not project_dir.is_dir() or any(project_dir.iterdir())):
        raise PlatformError(
            f"{project_dir} exists already and is not an empty directory.",
            "Choose another project directory.",
        )
    for name in FROM_PLATFORM:
        copied = (platform.directory / name).resolve()
        if copied in (project_dir.resolve(), *project_dir.resolve().parents):
            raise PlatformError(
                f"{project_dir} is inside {copied}, which is copied into every project.",
                f"Choose a project directory outside of {copied}.",
            )


def _check_crt(platform: Platform, archive: ModelArchive, project_type: str, crt: StandaloneCrt) -> None:
    """Raise PlatformError when TVM's own runtime does not support this platform, archive or project type."""
    if project_type == "standalone" and archive.interface == "packed" and not crt.has_aot:
        raise PlatformError(
            f"TVM's own runtime in {crt.directory} has no AOT executor for a standalone project.",
            "Use the runtime of TVM 0.9 to 0.18, or crt=bundled.",
        )
    if not all(fits_packet(ndims, PACKET_BYTES) for ndims in archive.tensors_of_calls):
        raise PlatformError(
            "A kernel of the model has more arguments than fit into one packet, and TVM's own runtime cannot "
            "receive them in several packets.",
            "Use crt=bundled.",
        )
    if platform.build_command is not None:
        raise PlatformError(
            f"crt=tvm cannot be used with build_command of {API_SERVER}, which builds the platform's own "
            "runtime.",
            "Omit crt, or remove build_command to build with Make or CMake.",
        )
    crt.check_archive(archive)


def _firmware_id(settings: ProjectSettings, packed: PackedTar) -> int:
    """Return 32 bits that distinguish the firmware of one model and one set of settings from others."""
    return zlib.crc32(repr(settings).encode("utf-8", "surrogatepass"), zlib.crc32(packed.data))


def _exchange_runtime(crt: StandaloneCrt, project_dir: Path) -> None:
    """Copy TVM's own runtime, and remove the platform's, since both define the same names."""
    crt.copy(project_dir / CRT_DIRECTORY)
    device = project_dir / "runtime" / "device"
    for replaced in ("src", "include/tvm", "include/dlpack"):
        shutil.rmtree(device / replaced)


def _workspace_bytes(
    archive: ModelArchive, board: Board, wanted: Optional[int], crt: Optional[StandaloneCrt]
) -> int:
    """Return the size of the workspace in bytes: the wanted size if given, else the needed one.

    Raises:
        PlatformError: The wanted size is out of range, or the needed one is impossible.
    """
    needed = memory_plan.workspace_bytes(archive, board.ram_bytes) + (
        OVERHEAD_BYTES if crt is not None else 0
    )
    most = board.ram_bytes or MAX_WORKSPACE_BYTES
    if needed > max(most, MAX_WORKSPACE_BYTES):
        raise PlatformError(
            f"The model archive {archive.path} declares tensors and workspaces of {needed:,} bytes, but "
            f"board {board.name} has at most {most:,} bytes.",
            "Export the model again: the archive may be damaged, since no model for a microcontroller is "
            "this large.",
        )
    if wanted is None:
        return needed
    if not MIN_WORKSPACE_BYTES <= wanted <= most:
        raise PlatformError(
            f"workspace_size_bytes is out of range: expected {MIN_WORKSPACE_BYTES} to {most}, got {wanted}.",
            f"Omit workspace_size_bytes to use the {needed} bytes that this model needs.",
        )
    return wanted


def _copy_platform(platform: Platform, target: Path, has_host_tools: bool) -> None:
    for name in (*FROM_PLATFORM, BUILD_FILES[platform.build_system]):
        source = platform.directory / name
        if name == RUNTIME and not has_host_tools:
            _copy(source / DEVICE, target / name / DEVICE)
        elif source.exists() and name != BOARDS_FILE:  # Platform.copy_boards() writes what was read
            _copy(source, target / name)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        # Byte code is copied too, so that the project's API server starts as fast as the platform's.
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _cmsis(
    platform: Platform, archive: ModelArchive, extra: Mapping[str, bytes], path: Optional[str]
) -> Optional[Cmsis]:
    """Return the part of CMSIS that the project needs; None for nothing."""
    code = (archive.read(name) for name in (*archive.sources, *archive.headers))
    if not extra and not any(word in text for text in code for word in WORDS_OF_CMSIS):
        return None
    from runtime.host.project.cmsis import needed_cmsis

    return needed_cmsis(archive, extra, path, own_build=platform.build_command is not None)


def _apps(archive: ModelArchive, project_type: str, crt: Optional[StandaloneCrt]) -> List[str]:
    """Return the names of this firmware's files of runtime/device/apps/, the file with main first."""
    suffix = "" if crt is None else "_crt"
    apps = [f"{project_type}{suffix}", *SHARED_APPS[project_type]]
    if project_type == "standalone" and archive.interface == "packed":
        apps += [f"model_packed{suffix}", "model_tensor"]
    return apps


def _samples(archive: ModelArchive, file: Optional[str]) -> Dict[str, bytes]:
    """Return the inputs of a standalone firmware from an .npy or .npz file; a file requires numpy."""
    if file is None:
        return {}
    from runtime.host.archive.tensor_files import read_inputs

    return {name: array.tobytes() for name, array in read_inputs((file,), archive.inputs).items()}


def _limits(archive: ModelArchive, definitions: Optional[List[str]]) -> List[str]:
    """Return the compiler arguments that raise limits of the device runtime to the needs of the model."""
    most = archive.most_dimensions
    if most <= MAX_NDIM or any(RAISES_NDIM.match(text) for text in definitions or []):
        return []
    return [f"-DMTVM_MAX_NDIM={most}"]
