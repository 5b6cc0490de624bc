# SPDX-License-Identifier: Apache-2.0
"""A project: what generate writes from a platform and a model archive.

    microtvm_api_server.py, boards.json, Makefile or CMakeLists.txt, runtime/, extra/    from the platform
    cmsis/                       what the model needs of CMSIS, if anything (see cmsis.py)
    model.tar, model/            the archive, and its unpacked parts
    src/model_config.c ...       memory sized for this model (see config_files.py)
    config.mk or config.cmake    what was chosen, for the build system
    project.json                 the same for the host tools

A project needs nothing outside itself: moved elsewhere, it still builds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, List, Mapping, Optional

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.errors import PlatformError
from runtime.host.project import board_support, config_files, standalone_sources
from runtime.host.project.archive_rules import check_archive
from runtime.host.project.extra_files import EXTRA_DIRECTORY, ExtraFiles
from runtime.host.project.platform import API_SERVER, BUILD_FILES, MODEL_ARCHIVE, PROJECT_FILE, Platform
from runtime.host.project.settings import find_wrong_setting
from runtime.host.project.tvm_crt import (
    CRT_DIRECTORY,
    CRT_SOURCES,
    OVERHEAD_BYTES,
    STACK_BYTES,
    StandaloneCrt,
    chosen_crt,
)
from runtime.host.system.leftovers import STAGING, hold, made_directories, scratch_directory
from runtime.host.system.regular_files import MAX_CONTENT_BYTES, read_bytes, read_text
from runtime.host.wire.packet_size import PACKET_BYTES, fits_packet

if TYPE_CHECKING:
    from runtime.host.project.cmsis import Cmsis

DEFINITION: Final = re.compile(r"(-D)?[A-Za-z_]\w*(\([^)]*\))?(=.*)?", re.ASCII)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
MAX_NDIM: Final = 8  # MTVM_MAX_NDIM of runtime/device/include/microtvm/config.h
RAISES_NDIM: Final = re.compile(r"(-D)?MTVM_MAX_NDIM=")
WORDS_OF_CMSIS: Final = (b"arm_", b"cmsis_", b"core_")  # the name of each of its headers has one
MIN_WORKSPACE_BYTES: Final = 256  # what the device runtime starts with
MAX_WORKSPACE_BYTES: Final = 1 << 30
BUILD_DIRECTORY: Final = "build"  # TVM refuses to build where it exists and to flash where it does not

# Project type -> files of runtime/device/apps/ beside the one with main, whatever runtime the firmware has.
SHARED_APPS: Final = {"host_driven": ("serve", "about"), "standalone": ("run_once",)}

# What a project takes from its platform, where the platform has it. The build files come on top.
FROM_PLATFORM: Final = (
    API_SERVER,
    "launch_microtvm_api_server.sh",
    "launch_microtvm_api_server.bat",
    "boards.json",
    "requirements.txt",
    "runtime",
    board_support.OWN_PORT,
    EXTRA_DIRECTORY,
)


class Project:
    """A generated project. settings is the content of project.json."""

    def __init__(self, platform: Platform, settings: Mapping[str, Any]) -> None:
        self.platform = platform
        self.directory = platform.directory
        self.settings = settings

    @property
    def project_type(self) -> str:
        return str(self.settings["project_type"])

    @property
    def firmware(self) -> Path:
        return self.directory / BUILD_DIRECTORY / str(self.settings["config"]["FIRMWARE"])

    @property
    def cross(self) -> str:
        """The prefix of its cross compiler's name; empty where the firmware runs on this machine."""
        return str(self.settings["config"]["CROSS"])

    @property
    def has_own_crt(self) -> bool:
        """Whether the firmware is built on TVM's own runtime, some of which is C++."""
        return bool(self.settings["config"].get("CRT"))

    @property
    def archive_path(self) -> Path:
        return self.directory / MODEL_ARCHIVE

    def board(self) -> Board:
        """The board that the project was generated for, as boards.json has it now."""
        return choose_board(self.platform.boards(), str(self.settings["board"]))


def load_project(platform: Platform) -> Project:
    """The project in the platform's directory. Raises PlatformError where it is a platform only."""
    path = platform.directory / PROJECT_FILE
    try:
        settings = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise PlatformError(
            f"{platform.directory} is a platform, not a project: nothing was generated there.",
            "Generate a project from a model archive first: python -m runtime.host build MODEL.tar",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise PlatformError(f"{path} cannot be read: {error}.", "Generate the project again.") from error
    wrong = find_wrong_setting(settings)
    if wrong is not None:
        raise PlatformError(
            f"{path} is not what this platform writes: {wrong}.", "Generate the project again."
        )
    hold(platform.directory)
    return Project(platform, settings)


def generate(
    platform: Platform, archive_path: Path, project_dir: Path, options: Mapping[str, Any]
) -> Project:
    """Write a project into project_dir, which must not exist or be empty.

    options: coerced project options (options.py); missing ones and None take their defaults.
    Nothing is left behind on failure: the project is put together beside its place and renamed.
    Raises PlatformError and its subclasses.
    """
    board = choose_board(platform.boards(), options.get("board"))
    project_type = options.get("project_type") or "host_driven"
    project_dir = _place(project_dir)
    _check_place(platform, project_dir)
    archive = ModelArchive.open(archive_path)
    check_archive(archive, project_type, has_extra_files=bool(options.get("extra_files_tar")))
    crt = chosen_crt(options.get("crt"), options.get("standalone_crt_dir"))
    if crt is not None:
        _check_crt(platform, archive, project_type, crt)
        board = board._replace(stack_bytes=max(board.stack_bytes, STACK_BYTES))
    extra = ExtraFiles(platform.directory / EXTRA_DIRECTORY, options.get("extra_files_tar"))
    cmsis = _cmsis(platform, archive, extra.code(), options.get("cmsis_path"))
    objects = {name: archive.read(name) for name in archive.objects}
    port_config = board_support.port_config(platform.directory, board, objects)
    settings: Dict[str, Any] = {
        "board": board.name,
        "runner": options.get("runner"),
        "project_type": project_type,
        "crt": None if crt is None else crt.key(),
        "workspace_size_bytes": _workspace_bytes(archive, board, options.get("workspace_size_bytes"), crt),
        "config": {
            "APPS": _apps(archive, project_type, crt),
            **port_config,
            **({} if crt is None else _crt_config(port_config)),
            **({} if cmsis is None else cmsis.config()),
            "OPTIMIZATION": f"-{options.get('optimization') or 'O2'}",
            "WARNING_AS_ERROR": 1 if options.get("warning_as_error") else 0,
            "DEFINITIONS": [
                *_definitions(options.get("compile_definitions"), platform.build_system),
                *_limits(archive, options.get("compile_definitions")),
            ],
        },
    }
    packed = read_bytes(archive_path, MAX_CONTENT_BYTES)
    settings["firmware_id"] = zlib.crc32(repr(settings).encode("utf-8", "surrogatepass"), zlib.crc32(packed))
    samples: Mapping[str, bytes] = {}
    if project_type == "standalone":
        standalone_sources.check_sizes(archive, board)
        samples = _samples(archive, options.get("standalone_input"))
    with made_directories(project_dir.parent), scratch_directory(project_dir.parent, STAGING) as staging:
        extra.unpack(staging / EXTRA_DIRECTORY)
        _copy_platform(platform, staging)
        if cmsis is not None:
            cmsis.copy(staging)
        if crt is not None:
            _exchange_runtime(crt, staging)
        archive.unpack(staging / "model")
        (staging / MODEL_ARCHIVE).write_bytes(packed)
        for name, text in _texts(platform, board, archive, settings, samples).items():
            path = staging / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            staging.replace(project_dir)  # an empty directory gives way
        except OSError:
            _check_place(platform, project_dir)  # another process has been quicker
            raise
    return Project(platform.at(project_dir), settings)


def _texts(
    platform: Platform,
    board: Board,
    archive: ModelArchive,
    settings: Mapping[str, Any],
    samples: Mapping[str, bytes],
) -> Dict[str, str]:
    """File name -> content of what is written and not copied."""
    name, write_config = config_files.CONFIGS[platform.build_system]
    texts = {
        PROJECT_FILE: json.dumps(settings, indent=2) + "\n",
        name: write_config(settings["config"]),
        "README.md": config_files.project_readme(
            settings, platform.build_system, platform.build_command is not None
        ),
        ".gitignore": "build/\n.build.lock\n__pycache__/\n",
        "src/model_config.c": config_files.model_config(
            archive, settings["workspace_size_bytes"], settings["firmware_id"]
        ),
        **board_support.board_files(board),
    }
    if settings["project_type"] == "standalone":
        generated = standalone_sources.generated(archive, samples)
        texts.update({f"src/{name}": text for name, text in generated.items()})
    return texts


def find_or_generate(
    platform: Platform, archive_path: Path, project_dir: Path, options: Mapping[str, Any]
) -> None:
    """Generate a project unless there is one, be it that another process has just been quicker."""
    if (project_dir / PROJECT_FILE).exists():
        return
    try:
        generate(platform, archive_path, project_dir, options)
    except PlatformError:
        if not (project_dir / PROJECT_FILE).exists():
            raise


def _place(project_dir: Path) -> Path:
    """Return the whole path of a new project, without links and "..". Raises PlatformError."""
    if project_dir.parts and project_dir.parts[0].startswith("~"):
        raise PlatformError(
            f"{project_dir} begins with {project_dir.parts[0]!r}, which a shell replaces, and nothing else.",
            f"Write the whole path: {Path(*project_dir.parts).expanduser()}"
            if project_dir.parts[0] == "~" and os.environ.get("HOME")
            else "Write the whole path.",
        )
    return project_dir.resolve()


def _check_place(platform: Platform, project_dir: Path) -> None:
    if project_dir.exists() and (not project_dir.is_dir() or any(project_dir.iterdir())):
        raise PlatformError(
            f"{project_dir} exists already and is not an empty directory.",
            "Name another project directory, or delete that one.",
        )
    for name in FROM_PLATFORM:
        copied = (platform.directory / name).resolve()
        if copied in (project_dir.resolve(), *project_dir.resolve().parents):
            raise PlatformError(
                f"{project_dir} is inside {copied}, which every project gets a copy of.",
                "Name a project directory outside of it.",
            )


def _check_crt(platform: Platform, archive: ModelArchive, project_type: str, crt: StandaloneCrt) -> None:
    """Raise PlatformError for what does not go with TVM's own runtime."""
    if project_type == "standalone" and archive.interface == "packed" and not crt.has_aot:
        raise PlatformError(
            f"TVM's own runtime in {crt.directory} has no AOT executor for a standalone project.",
            "Use that of TVM 0.9 to 0.18, or crt=bundled.",
        )
    if not all(fits_packet(ndims, PACKET_BYTES) for ndims in archive.tensors_of_calls):
        raise PlatformError(
            "A kernel of the model takes more tensors than fit into a packet, and TVM's own runtime has no "
            "other way to receive them.",
            "Use crt=bundled.",
        )
    if platform.build_command is not None:
        raise PlatformError(
            f"build_command in {API_SERVER} builds with the platform's own runtime.",
            "Leave crt out, or take build_command out to build with Make or CMake.",
        )
    crt.check_archive(archive)


def _crt_config(port_config: Mapping[str, Any]) -> Dict[str, Any]:
    """The part of the configuration that follows from building on TVM's own runtime."""
    return {"CRT": CRT_DIRECTORY, "PORT_SOURCES": [*port_config["PORT_SOURCES"], *CRT_SOURCES]}


def _exchange_runtime(crt: StandaloneCrt, project_dir: Path) -> None:
    """Copy TVM's own runtime, and take the platform's away: both define the same names."""
    crt.copy(project_dir / CRT_DIRECTORY)
    device = project_dir / "runtime" / "device"
    for replaced in ("src", "include/tvm", "include/dlpack"):
        shutil.rmtree(device / replaced)


def _workspace_bytes(
    archive: ModelArchive, board: Board, wanted: Optional[int], crt: Optional[StandaloneCrt]
) -> int:
    """Bytes of the workspace: as wanted, if the board and the runtime can have that, else as needed."""
    needed = config_files.workspace_bytes(archive, board.ram_bytes) + (
        OVERHEAD_BYTES if crt is not None else 0
    )
    most = board.ram_bytes or MAX_WORKSPACE_BYTES
    if needed > max(most, MAX_WORKSPACE_BYTES):
        raise PlatformError(
            f"The model archive {archive.path} declares tensors and workspaces of {needed:,} bytes; "
            f"{board.name} has {most:,}.",
            "Check the archive: no model for a microcontroller is so large. Export it again.",
        )
    if wanted is None:
        return needed
    if not MIN_WORKSPACE_BYTES <= wanted <= most:
        raise PlatformError(
            f"workspace_size_bytes: want {MIN_WORKSPACE_BYTES} to {most}, got {wanted}.",
            f"Leave it out: this model then gets the {needed} bytes it needs.",
        )
    return wanted


def _copy_platform(platform: Platform, target: Path) -> None:
    for name in (*FROM_PLATFORM, BUILD_FILES[platform.build_system]):
        source = platform.directory / name
        if source.exists():
            _copy(source, target / name)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        # Byte code goes along: the project's API server then starts as fast as the platform's.
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _cmsis(
    platform: Platform, archive: ModelArchive, extra: Mapping[str, bytes], path: Optional[str]
) -> Optional[Cmsis]:
    """What the project takes of CMSIS; None for nothing."""
    code = (archive.read(name) for name in (*archive.sources, *archive.headers))
    if not extra and not any(word in text for text in code for word in WORDS_OF_CMSIS):
        return None
    from runtime.host.project.cmsis import needed_cmsis

    return needed_cmsis(archive, extra, path, own_build=platform.build_command is not None)


def _apps(archive: ModelArchive, project_type: str, crt: Optional[StandaloneCrt]) -> List[str]:
    """Return the names of the files of runtime/device/apps/ in this firmware, the one with main first."""
    suffix = "" if crt is None else "_crt"
    apps = [f"{project_type}{suffix}", *SHARED_APPS[project_type]]
    if project_type == "standalone" and archive.interface == "packed":
        apps += [f"model_packed{suffix}", "model_tensor"]
    return apps


def _samples(archive: ModelArchive, file: Optional[str]) -> Dict[str, bytes]:
    """The inputs of a standalone firmware from an .npy or .npz file; needs numpy where one is named."""
    if file is None:
        return {}
    from runtime.host.archive.tensor_files import read_inputs

    return {name: array.tobytes() for name, array in read_inputs((file,), archive.inputs).items()}


def _limits(archive: ModelArchive, definitions: Optional[List[str]]) -> List[str]:
    """Compiler arguments that raise limits of the device runtime to what the model needs."""
    most = archive.most_dimensions
    if most <= MAX_NDIM or any(RAISES_NDIM.match(text) for text in definitions or []):
        return []
    return [f"-DMTVM_MAX_NDIM={most}"]


def _definitions(definitions: Optional[List[str]], build_system: str) -> List[str]:
    """Compiler arguments from "NAME=1" or "-DNAME=1"."""
    definitions = [text for text in definitions or [] if text]
    for text in definitions:
        if _LONE_SURROGATE.search(text):
            raise PlatformError(
                f"compile_definitions holds half a character (a lone surrogate): {text!r}.",
                "Write the character as an escape of C.",
            )
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise PlatformError(
                f"compile_definitions holds a line break or another control character: {text!r}.",
                "Write it as an escape of C, for example \\n.",
            )
        if build_system == "cmake" and (";" in text or text.count("[") != text.count("]")):
            raise PlatformError(
                f"CMake's lists break on a semicolon and on an unpaired square bracket: {text!r}.",
                "Define it in a header among the extra files, or bake the platform with Make.",
            )
        if not DEFINITION.fullmatch(text):
            raise PlatformError(
                f"compile_definitions: want NAME or NAME=VALUE, got {text!r}.",
                "Separate several with commas: A=1,B.",
            )
    return [text if text.startswith("-D") else f"-D{text}" for text in definitions]
