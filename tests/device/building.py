# SPDX-License-Identifier: Apache-2.0
"""Compile the device runtime with models, or with the C code of these tests, in temporary directories."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import List, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = REPOSITORY / "runtime" / "device"
DATA = REPOSITORY / "tests" / "data"
HERE = Path(__file__).resolve().parent

# All C code of the project must compile with these flags, with every compiler and for every target.
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZED = ("-O1", "-g", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
INCLUDES = (f"-I{DEVICE / 'include'}", f"-I{DEVICE / 'src'}")

LIBRARY = tuple(sorted((DEVICE / "src").glob("*.c")))
HOST_PORT = DEVICE / "ports" / "host" / "platform.c"

MODEL_CONFIG = """
#include <microtvm/app.h>
#include <microtvm/config.h>
uint8_t mtvm_workspace[%d];
const size_t mtvm_workspace_size = sizeof mtvm_workspace;
uint8_t mtvm_packet_buffer[MTVM_PACKET_BUFFER_BYTES];
const size_t mtvm_packet_buffer_size = sizeof mtvm_packet_buffer;
const uint32_t mtvm_firmware_id = 1;
__attribute__((weak)) const char *const mtvm_input_names[] = {0};
__attribute__((weak)) const char *const mtvm_output_names[] = {0};
"""


def run(argv: Sequence[object]) -> str:
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(str(arg) for arg in argv)}\n{done.stdout}{done.stderr}"
    return done.stdout


def unpack(archive: Path, into: Path) -> Path:
    """Extract an archive of this repository to `into`, and return `into`."""
    with tarfile.open(archive) as tar:
        tar.extractall(into)
    return into


def model_files(model: Path) -> List[Path]:
    return sorted([*model.rglob("codegen/host/src/*.c"), *model.rglob("codegen/host/lib/*.o")])


def compile_model(model: Path) -> List[Path]:
    """Compile the model in an unpacked archive without warnings, and return its objects."""
    objects = []
    for source in model_files(model):
        if source.suffix == ".o":
            objects.append(source)
            continue
        target = source.with_suffix(".o")
        run(["gcc", "-w", "-O0", *INCLUDES, f"-I{model / 'codegen/host/include'}",
             "-c", source, "-o", target])  # fmt: skip
        objects.append(target)
    return objects


def compile_library(into: Path) -> List[Path]:
    """Compile the device runtime, and return its objects."""
    into.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in LIBRARY:
        objects.append(into / f"{source.stem}.o")
        run(["gcc", *STRICT, *SANITIZED, *INCLUDES, "-c", source, "-o", objects[-1]])
    return objects


def archive_of(objects: Sequence[Path], into: Path) -> Path:
    """Return a static library of the objects. A linker takes only the needed ones, as in projects."""
    target = into / "libruntime.a"
    run(["ar", "rcs", target, *objects])
    return target


def build_firmware(
    archive: Path,
    into: Path,
    library: Sequence[Path],
    *,
    app: Sequence[str] = ("host_driven", "serve", "about"),
    workspace: int = 1 << 18,
    extra: Sequence[Path] = (),
) -> Path:
    """Build a program for this machine from device runtime, host port, application and model.

    Args:
        archive: Model archive.
        into: Directory of all output.
        library: Objects of the device runtime.
        app: Names of C files in runtime/device/apps.
        workspace: Size of the workspace, in bytes.
        extra: Further C files.

    Returns:
        The path of the program.
    """
    model = unpack(archive, into / "model")
    config = into / "model_config.c"
    config.write_text(MODEL_CONFIG % workspace, encoding="utf-8")
    program = into / "firmware"
    apps = [DEVICE / "apps" / f"{name}.c" for name in app]
    includes = [*INCLUDES, f"-I{model / 'codegen/host/include'}"]
    run(["gcc", *STRICT, *SANITIZED, *includes, *apps, HOST_PORT, config, *extra,
         *compile_model(model), archive_of(library, into), "-lm", "-o", program])  # fmt: skip
    return program
