# SPDX-License-Identifier: Apache-2.0
"""Building a project's firmware: its libraries (device runtime, platform, CMSIS, model), then the link.

Each library, and the firmware itself, comes from the cache when one with the same compiler, flags and sources
is there, and goes into it when it is not; so the device runtime is compiled once, and a model again only when
it changed. A model that needs nothing of CMSIS has no such library. The build system is the owner's choice;
both are driven the same way, one target after another, so that a failure and its time belong to a stage with
a name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Dict, Final, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from runtime import server
from runtime.host.errors import BuildError, PlatformError
from runtime.host.firmware.link_map import largest, part_sizes
from runtime.host.firmware.owner_build import own_build_argv
from runtime.host.project import config_files
from runtime.host.project.board_support import BOARD_DIRECTORY, OWN_PORT
from runtime.host.project.extra_files import CMSIS_DIRECTORY, EXTRA_DIRECTORY, SOURCE, check_names, code_files
from runtime.host.project.platform import API_SERVER, BUILD_FILES
from runtime.host.project.project import BUILD_DIRECTORY, Project
from runtime.host.project.tvm_crt import CRT_DIRECTORY
from runtime.host.system.cache import Cache, Digest
from runtime.host.system.locks import exclusive
from runtime.host.system.programs import ToolResult, find_tool, run_tool
from runtime.host.system.regular_files import read_text

TIMEOUT_SEC: Final = 900.0  # one stage; a compiler that takes longer hangs
LOG_TAIL_LINES: Final = 60
LARGEST_PIECES: Final = 3  # so many are named when a firmware does not fit
REPORT_FILE: Final = "build.json"
# Stage -> the libraries that it makes, at once: runtime and platform do not depend on the model.
COMPILE_STAGES: Final = {"runtime": ("runtime", "platform"), "cmsis": ("cmsis",), "model": ("model",)}
PREBUILT: Final = "prebuilt"  # in <project>/build: libraries that came from the cache
LOCK_FILE: Final = ".build.lock"
CMAKE_CANNOT: Final = '#:;[]"\\'  # letters in a path on which its makefiles fail
# What a compiler reads of its environment, and the build files.
COMPILER_ENVIRONMENT: Final = (
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "AR"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"),
    *("COMPILER_PATH", "GCC_EXEC_PREFIX"),
)
# What make and CMake read of it on their own, which would change what is built: MAKEFILES names more of them.
MAKES_OWN: Final = ("MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES", "MAKE")
CMAKES_OWN: Final = ("CMAKE_", "VERBOSE", "DESTDIR")  # beginnings of names
# What an owner sets for a build, though the build files mention it. All else that they mention is theirs.
FOR_THE_BUILD: Final = frozenset({*COMPILER_ENVIRONMENT, "LDFLAGS", "CC", "CXX", "PATH", "HOME", "TMPDIR"})
VARIABLE: Final = re.compile(r"\$[({](\w+)")
LINK_MAP: Final = "firmware.map"  # in <project>/build, beside the firmware
TOO_LARGE: Final = "overflowed by"  # says GNU ld, and writes the link map all the same
STAGE_WORDS: Final = {
    "configure": "configuring the build",
    "runtime": "compiling the device runtime and the platform",
    "cmsis": "compiling CMSIS",
    "model": "compiling the model",
    "link": "linking the firmware",
    "build_command": f"running build_command of {API_SERVER}",
}
# The first line that says what is wrong: a compiler's, or else the linker's or make's.
COMPILER_ERROR: Final = re.compile(r"^.+?:\d+:(?:\d+:)? (?:fatal )?error: .+$", re.MULTILINE)
OWNERS_FILES: Final = ("src/", "extra/")  # what an owner edits in a project
# Code for another processor: its headers, instructions, registers or object files.
FOREIGN: Final = re.compile(
    r"arm_acle|arm_mve|__builtin_arm|impossible constraint in .?asm|inconsistent operand constraints"
    r"|selected processor|unrecognized opcode|wrong format|not recognized|[Ii]ncompatible with"
    r"|Relocations in generic|uses VFP register|target specific option mismatch|bad instruction"
)
UNDEFINED: Final = re.compile(r"undefined reference to [`'\"]([^'`\"\n]+)")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
OTHER_ERROR: Final = re.compile(
    r"^.*(?:undefined reference to .+|multiple definition of .+|overflowed by .+|CMake Error.*|"
    r"cannot find .+|.+: file (?:format )?not recognized.*|No rule to make target .+| error: .+)$",
    re.MULTILINE,
)


class Stage(NamedTuple):
    """One step of a build. seconds: wall time; cached: it came from the cache."""

    name: str
    seconds: float
    cached: bool


class BuildReport(NamedTuple):
    """What a build did. firmware: the file to put on the board."""

    firmware: Path
    stages: List[Stage]
    note: str = ""  # what to tell about the cache


def build(project: Project, *, verbose: bool = False, cache: Optional[Cache] = None) -> BuildReport:
    """Build <project>/build/firmware, from an empty build directory: what did not change is in the cache.

    Two builds of one project wait for each other. Raises BuildError, whose log holds the failing command and
    the tail of its output; ToolMissing where a program is missing.
    """
    cache = cache if cache is not None else Cache()
    with exclusive(
        project.directory / LOCK_FILE, TIMEOUT_SEC, "Another build of this project has been running"
    ):
        check_names(code_files(project.directory / EXTRA_DIRECTORY, f"{EXTRA_DIRECTORY}/"), "The project")
        if project.platform.build_command is not None:
            return _build_their_way(project, verbose)
        compiler = find_compiler(project.cross)
        names = _cache_names(project, compiler)
        directory = project.directory / BUILD_DIRECTORY
        _make_empty(directory)
        if all(cache.take(names[file], directory / file) for file in _linked(project)):
            stages = [Stage("firmware", 0.0, True)]
            project.firmware.chmod(0o777 & ~_umask())
        else:
            stages = list(_run_stages(project, compiler, cache, names, verbose))
        if not project.settings["config"]["LINKER_SCRIPT"]:  # the linker holds its limits itself
            _check_memory(project)
        _write_report(directory, stages)
    return BuildReport(project.firmware, stages, cache.note)


def link_map(project: Project) -> Optional[Path]:
    """The link map of the firmware; None where the owner's build command left none."""
    path = project.directory / BUILD_DIRECTORY / LINK_MAP
    return path if path.is_file() or project.platform.build_command is None else None


def _build_their_way(project: Project, verbose: bool) -> BuildReport:
    """Build with build_command. What else it leaves in the build directory stays: it may go on from there."""
    directory = project.directory / BUILD_DIRECTORY
    directory.mkdir(exist_ok=True)
    for file in _linked(project):
        (directory / file).unlink(missing_ok=True)
    seconds = _run_stage("build_command", own_build_argv(project), project.directory, verbose)
    if not project.firmware.is_file():
        raise BuildError(
            f"build_command ended well, but made no {project.firmware}.",
            f"Let it write the firmware to {{firmware}}; it is in {API_SERVER}.",
        )
    stages = [Stage("build_command", seconds, False)]
    _check_memory(project)
    _write_report(directory, stages)
    return BuildReport(project.firmware, stages)


def find_compiler(cross: str = "") -> str:
    """The C compiler as a command. cross: the prefix of a cross compiler's name; "" for this machine's, which
    is $CC, and may hold arguments, else cc. Raises PlatformError, ToolMissing."""
    return _find_compiler(f"{cross}gcc" if cross else "", "CC", "cc")


def _find_compiler(cross_compiler: str, variable: str, usual: str) -> str:
    if cross_compiler:
        return find_tool(cross_compiler, "compile the firmware")
    command = os.environ.get(variable, "").strip() or usual
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlatformError(
            f"{variable} in the environment is not a command: {command!r} ({error}).",
            "Set it to a compiler, or unset it.",
        ) from error
    find_tool(words[0], "compile the firmware")
    if "/" in words[0]:
        words[0] = os.path.abspath(words[0])  # noqa: PTH100 - the build runs in another directory
    return shlex.join(words)


def find_cxx_compiler(cross: str = "") -> str:
    """The C++ compiler as a command, which TVM's own runtime needs; like find_compiler, with $CXX or c++."""
    return _find_compiler(f"{cross}g++" if cross else "", "CXX", "c++")


def _make_empty(directory: Path) -> None:
    if directory.is_symlink():
        directory.unlink()
    elif directory.is_dir():
        shutil.rmtree(directory)
    elif directory.exists():
        directory.unlink()
    directory.mkdir()


def _linked(project: Project) -> Tuple[str, str]:
    """What a link makes, in <project>/build."""
    return project.firmware.name, LINK_MAP


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _run_stages(
    project: Project, compiler: str, cache: Cache, names: Dict[str, str], verbose: bool
) -> Iterator[Stage]:
    """Have the build system make what the cache lacks, a stage at a time, and give it to the cache."""
    directory = project.directory / BUILD_DIRECTORY
    (directory / PREBUILT).mkdir()
    prebuilt = {}
    for part in _parts(project):
        library = f"{PREBUILT}/libmicrotvm_{part}.a"
        if cache.take(names[part], directory / library):
            # Below the project and relative to it, so that no letter of the cache's own path can do harm.
            prebuilt[part] = f"{BUILD_DIRECTORY}/{library}"
    builder = (_Make if project.platform.build_system == "make" else _CMake)(project, compiler, verbose)
    seconds = builder.configure(prebuilt)
    if seconds is not None:
        yield Stage("configure", seconds, False)
    for stage, of_stage in COMPILE_STAGES.items():
        parts = [part for part in of_stage if part in _parts(project)]
        if not parts:
            continue
        missing = [part for part in parts if part not in prebuilt]
        seconds = builder.make(stage, missing) if missing else 0.0
        yield Stage(stage, seconds, not missing)
        for part in missing:
            cache.publish(names[part], directory / f"libmicrotvm_{part}.a")
    yield _link(project, builder)
    builder.finish()
    for file in _linked(project):
        if not (directory / file).is_file():
            raise BuildError(
                f"The build ended well, but made no {directory / file}.",
                "The build file of the project puts it elsewhere: let it write to the build directory.",
            )
        cache.publish(names[file], directory / file)


def _parts(project: Project) -> List[str]:
    """The libraries that a firmware is linked from."""
    return [
        part
        for parts in COMPILE_STAGES.values()
        for part in parts
        if part != "cmsis" or project.settings["config"].get("CMSIS_SOURCES")
    ]


def _link(project: Project, builder: Union[_Make, _CMake]) -> Stage:
    """The last stage. A firmware that the linker finds too large is told in the terms of its board."""
    try:
        return Stage("link", builder.make("link", ["firmware"]), False)
    except BuildError as error:
        if TOO_LARGE in error.log:
            _check_memory(project)
        raise


class _Make:
    """Drives the Makefile. Prebuilt libraries are variables; nothing is to be configured."""

    def __init__(self, project: Project, compiler: str, verbose: bool) -> None:
        self._directory = project.directory
        self._verbose = verbose
        self._program = find_tool("make", "build the firmware")
        self._variables = [f"CC={compiler}"]
        if project.has_own_crt:
            self._variables.append(f"CXX={find_cxx_compiler(project.cross)}")
        if project.cross:
            self._variables.append(f"AR={find_tool(f'{project.cross}ar', 'build the firmware')}")

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        self._variables += [f"{part.upper()}_LIB={path}" for part, path in prebuilt.items()]
        return None

    def make(self, stage: str, targets: List[str]) -> float:
        argv = [self._program, f"-j{os.cpu_count() or 1}", "--output-sync=target", *self._variables, *targets]
        return _run_stage(stage, argv, self._directory, self._verbose)

    def finish(self) -> None:
        pass


class _CMake:
    """Drives CMakeLists.txt through CMake's own makefiles."""

    def __init__(self, project: Project, compiler: str, verbose: bool) -> None:
        self._directory = project.directory
        self._parts = _parts(project)
        self._verbose = verbose
        self._compilers = {"CC": compiler}
        if project.has_own_crt:
            self._compilers["CXX"] = find_cxx_compiler(project.cross)
        self._program = find_tool("cmake", "build the firmware")
        self._make = find_tool("make", "build the firmware")
        bad = [letter for letter in CMAKE_CANNOT if letter in str(project.directory)]
        if bad:
            raise BuildError(
                f"CMake cannot build in {project.directory}: it fails on {' '.join(bad)} in a path.",
                "Move the project to a path without it, or bake the platform with Make.",
            )

    def configure(self, prebuilt: Dict[str, str]) -> Optional[float]:
        argv = [self._program, "-S", ".", "-B", BUILD_DIRECTORY, "-G", "Unix Makefiles"]
        # CMake's own trial builds cost more than ours; a compiler that does not work fails in the next stage.
        argv += [f"-DCMAKE_{language}_COMPILER_FORCED=1" for language in ("C", "CXX")]
        argv.append("-DCMAKE_BUILD_TYPE=")
        argv += [f"-D{part.upper()}_LIB={prebuilt.get(part, '')}" for part in self._parts]
        return _run_stage("configure", argv, self._directory, self._verbose, **self._compilers)

    def make(self, stage: str, targets: List[str]) -> float:
        # CMake's makefiles directly, and each target without looking through those before it, which the
        # stages have made: `cmake --build` takes three times as long to find that out.
        names = [target if target == "firmware" else f"microtvm_{target}" for target in targets]
        argv = [self._make, "-C", BUILD_DIRECTORY, f"-j{os.cpu_count() or 1}", "--output-sync=target"]
        argv += ["VERBOSE=1", *(f"{name}/fast" for name in names)]
        return _run_stage(stage, argv, self._directory, self._verbose)

    def finish(self) -> None:
        """Forget the configuration: CMake by hand starts anew, with its own libraries, wherever the project
        is moved to."""
        (self._directory / BUILD_DIRECTORY / "CMakeCache.txt").unlink()


def _run_stage(stage: str, argv: List[str], directory: Path, verbose: bool, **variables: str) -> float:
    # A make that started us has options and a job server that are not meant for ours.
    env = _environment(directory)
    result = run_tool(argv, cwd=directory, timeout_sec=TIMEOUT_SEC, env={**env, **variables})
    if verbose:
        print(server.printable(f"$ {result.command}\n{result.output}"), end="", file=sys.stderr)
    if result.exit_code != 0 or result.timed_out:
        raise _build_error(stage, result, directory)
    return result.seconds


def _environment(directory: Path) -> Dict[str, str]:
    """Return the environment of a build: without what changes make or CMake, and without variables that the
    Makefile uses for itself, which make would take from there."""
    makefile = directory / BUILD_FILES["make"]
    mentioned = set(VARIABLE.findall(read_text(makefile))) if makefile.is_file() else set()
    own = mentioned - FOR_THE_BUILD
    return {
        name: value
        for name, value in os.environ.items()
        if name not in MAKES_OWN and name not in own and not name.startswith(CMAKES_OWN)
    }


def _build_error(stage: str, result: ToolResult, directory: Path) -> BuildError:
    tail = "\n".join(result.output.splitlines()[-LOG_TAIL_LINES:])
    log = f"$ {result.command}\n{tail}"
    if result.timed_out:
        return BuildError(
            f"The build hung while {STAGE_WORDS[stage]}: no end after {TIMEOUT_SEC:.0f} s.",
            "Run the command below by hand to see where it waits.",
            log,
        )
    plain = COLOUR.sub("", result.output).replace(f"{directory}/", "")  # CMake names whole paths
    found = COMPILER_ERROR.search(plain) or OTHER_ERROR.search(plain)
    first = found.group(0).strip() if found else f"{result.command} ended with exit code {result.exit_code}"
    next_step = "The log below has the failing command; the first error is the one to mend."
    if stage in ("model", "link") and not first.startswith(OWNERS_FILES):
        next_step = _about_the_model(plain)
    return BuildError(f"The build failed while {STAGE_WORDS[stage]}: {first}", next_step, log)


def _about_the_model(output: str) -> str:
    """What to do about a model's code that does not compile or link, by what the compiler printed."""
    missing = UNDEFINED.search(output)
    if FOREIGN.search(output):
        return (
            "Check that the model archive was made for this board (its target); the log below has the "
            "failing command."
        )
    if missing:
        return f"Add a C file that defines {missing[1]}, with -o extra_files_tar=FILES.tar."
    return (
        "Export the model again for the target `c` with the packed interface and without further options, or "
        "for the graph executor; the log below has the failing command."
    )


def _cache_names(project: Project, compiler: str) -> Dict[str, str]:
    """Name in the cache of each library and of each file of the firmware; the digest in it is of all that
    its bytes depend on."""
    root = project.directory
    device = root / "runtime" / "device"
    build_system = project.platform.build_system
    config = read_text(root / config_files.CONFIGS[build_system][0]).splitlines()
    common = Digest()
    common.add(*_compiler_identity(compiler, root))
    if project.has_own_crt:
        common.add(*_compiler_identity(find_cxx_compiler(project.cross), root))
    common.add(*(os.environ.get(name, "") for name in COMPILER_ENVIRONMENT))
    settings: Dict[str, List[str]] = {}
    for line in config:
        settings.setdefault(config_files.concerns(line), []).append(line)
    common.add(build_system, *settings.pop("all"))
    common.add_files(root, [root / BUILD_FILES[build_system]])
    common.add_files(root, [*_files(device / "include"), *_files(root / CRT_DIRECTORY / "include")])
    extra = _files(root / EXTRA_DIRECTORY)
    cmsis = _files(root / CMSIS_DIRECTORY)
    inputs = {
        "runtime": [*_files(device / "src"), *_files(root / CRT_DIRECTORY), *_files(device / "crt")],
        "platform": [
            *_files(device / "ports"),
            *_files(device / "apps"),
            *_files(device / "crt"),
            *_files(root / BOARD_DIRECTORY),
            *_files(root / OWN_PORT),
        ],
        "cmsis": [*cmsis, *(file for file in extra if file.suffix != SOURCE)],
        "model": [
            *_files(root / "model" / "codegen"),
            *_files(root / "src"),
            *extra,
            *(file for file in cmsis if file.suffix != SOURCE),
        ],
    }
    names = {}
    for part in _parts(project):
        digest = Digest()
        concerned = (part, "cmsis") if part == "model" else (part,)  # its headers
        digest.add(part, common.key(), *(line for name in concerned for line in settings.get(name, ())))
        digest.add_files(root, inputs[part])
        names[part] = f"libmicrotvm_{part}-{digest.key()}.a"  # a link map then tells the part
    firmware = Digest()
    firmware.add(os.environ.get("LDFLAGS", ""), *names.values(), *settings["link"])
    for file in _linked(project):
        names[file] = f"{firmware.key()}-{file}"
    return names


def _check_memory(project: Project) -> None:
    """Raise BuildError when the firmware is larger than the memory of its board."""
    board = project.board()
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


def _compiler_identity(compiler: str, cwd: Path) -> Tuple[str, str]:
    """Where the compiler is, and what it says it is: a wrapper may stay while the compiler changes."""
    return compiler, run_tool([*shlex.split(compiler), "--version"], cwd=cwd, timeout_sec=30).output


def _files(directory: Path) -> List[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def _write_report(directory: Path, stages: List[Stage]) -> None:
    document = {"stages": [stage._asdict() for stage in stages]}
    (directory / REPORT_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
