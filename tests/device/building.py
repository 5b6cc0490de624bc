# SPDX-License-Identifier: Apache-2.0
"""Compiles the device runtime, with models or with the C of these tests, into scratch directories."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import List, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = REPOSITORY / "runtime" / "device"
DATA = REPOSITORY / "tests" / "data"
HERE = Path(__file__).resolve().parent

# What the project promises of its C, for every compiler and target.
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
    """The files of an archive of this repository."""
    with tarfile.open(archive) as tar:
        tar.extractall(into)
    return into


def model_files(model: Path) -> List[Path]:
    return sorted([*model.rglob("codegen/host/src/*.c"), *model.rglob("codegen/host/lib/*.o")])


def compile_model(model: Path) -> List[Path]:
    """Objects of an unpacked archive. Generated C is not held to our warnings."""
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
    """Objects of the device runtime."""
    into.mkdir(parents=True, exist_ok=True)
    objects = []
    for source in LIBRARY:
        objects.append(into / f"{source.stem}.o")
        run(["gcc", *STRICT, *SANITIZED, *INCLUDES, "-c", source, "-o", objects[-1]])
    return objects


def archive_of(objects: Sequence[Path], into: Path) -> Path:
    """A static library, as projects link the runtime: only what is needed of it."""
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
    """A program for this machine: runtime, host port, application and the archive's model."""
    model = unpack(archive, into / "model")
    config = into / "model_config.c"
    config.write_text(MODEL_CONFIG % workspace, encoding="utf-8")
    program = into / "firmware"
    apps = [DEVICE / "apps" / f"{name}.c" for name in app]
    includes = [*INCLUDES, f"-I{model / 'codegen/host/include'}"]
    run(["gcc", *STRICT, *SANITIZED, *includes, *apps, HOST_PORT, config, *extra,
         *compile_model(model), archive_of(library, into), "-lm", "-o", program])  # fmt: skip
    return program
