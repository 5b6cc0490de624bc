# SPDX-License-Identifier: Apache-2.0
"""Firmware for tests of the wire: device runtime, host device port and a model archive, compiled directly.

No cache, build system or project is used, so that these tests do not depend on them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List

from runtime.host.archive.model_archive import ModelArchive

DEVICE = Path(__file__).resolve().parents[2] / "runtime" / "device"
WORKSPACE_BYTES = 256 * 1024
PACKET_BYTES = 2048

MODEL_CONFIG = """
#include <microtvm/app.h>
_Alignas(16) uint8_t mtvm_workspace[{workspace}];
const size_t mtvm_workspace_size = sizeof mtvm_workspace;
_Alignas(16) uint8_t mtvm_packet_buffer[{packet}];
const size_t mtvm_packet_buffer_size = sizeof mtvm_packet_buffer;
const uint32_t mtvm_firmware_id = 1;
const char *const mtvm_input_names[] = {{0}};
const char *const mtvm_output_names[] = {{0}};
"""


def compile_runtime(directory: Path) -> List[Path]:
    """Compile the device runtime with the host device port and the host-driven app; return the objects."""
    sources = [
        *sorted((DEVICE / "src").glob("*.c")),
        *sorted((DEVICE / "ports" / "host").glob("*.c")),
        *(DEVICE / "apps" / f"{name}.c" for name in ("host_driven", "serve", "about")),
    ]
    directory.mkdir(parents=True, exist_ok=True)
    _cc("-c", *sources, cwd=directory)
    return sorted(directory.glob("*.o"))


def build_firmware(
    archive_path: Path,
    runtime_objects: List[Path],
    directory: Path,
    workspace: int = WORKSPACE_BYTES,
    packet: int = PACKET_BYTES,
) -> Path:
    """Build the program that serves a model over its standard input and output."""
    archive = ModelArchive.open(archive_path)
    model = directory / "model"
    archive.unpack(model)
    config = directory / "model_config.c"
    config.write_text(MODEL_CONFIG.format(workspace=workspace, packet=packet), encoding="utf-8")
    firmware = directory / "firmware"
    _cc(
        "-w", *(model / name for name in (*archive.sources, *archive.objects)), config, *runtime_objects,
        "-no-pie", "-o", firmware, "-lm", cwd=directory,
    )  # fmt: skip
    return firmware


def _cc(*arguments: object, cwd: Path) -> None:
    command = ["gcc", "-std=gnu11", "-O0", f"-I{DEVICE / 'include'}", *map(str, arguments)]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
