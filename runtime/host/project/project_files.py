# SPDX-License-Identifier: Apache-2.0
"""Files that are written for each project: C with memory sized for the model, and a README."""

from __future__ import annotations

from typing import Sequence

from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.project.config_files import CONFIGS
from runtime.host.project.memory_plan import ALIGNMENT
from runtime.host.project.settings import ProjectSettings


def c_string(text: str) -> str:
    """Return a string literal of C, with octal escapes of the UTF-8 bytes that are not plain ASCII."""
    data = text.encode("utf-8", "surrogatepass")
    # "?" is escaped because "??" begins a trigraph in old compilers.
    return (
        '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in data) + '"'
    )


def _name_list(variable: str, specs: Sequence[TensorSpec]) -> str:
    names = ", ".join([*(c_string(spec.name) for spec in specs), "NULL"])
    return f"const char *const {variable}[] = {{{names}}};"


def model_config(archive: ModelArchive, workspace: int, firmware_id: int) -> str:
    """Return the C source with a firmware's memory, its id, and the names of its inputs and outputs.

    Args:
        archive: Model archive.
        workspace: Size of the workspace in bytes.
        firmware_id: 32-bit id that the firmware reports.
    """
    return f"""/* SPDX-License-Identifier: Apache-2.0
 * Memory of this project's firmware, sized for its model when the project was generated, and the model's
   names. */
#include "microtvm/app.h"
#include "microtvm/config.h"

uint8_t mtvm_workspace[{workspace}] __attribute__((aligned({ALIGNMENT}), section(".bss.noinit.tvm")));
const size_t mtvm_workspace_size = sizeof mtvm_workspace;

uint8_t mtvm_packet_buffer[MTVM_PACKET_BUFFER_BYTES] __attribute__((aligned(8)));
const size_t mtvm_packet_buffer_size = sizeof mtvm_packet_buffer;

const uint32_t mtvm_firmware_id = {firmware_id:#010x}u;

{_name_list("mtvm_input_names", archive.inputs)}
{_name_list("mtvm_output_names", archive.outputs)}
"""


def project_readme(settings: ProjectSettings, build_system: str, has_build_command: bool) -> str:
    """Return the README.md of a project.

    Args:
        settings: Settings with which the project was generated.
        build_system: make or cmake.
        has_build_command: The owner's build_command builds the project.
    """
    config = settings.config
    main, *parts = (f"`{app}.c`" for app in config.apps)
    cmsis = "| `cmsis/` | the part of CMSIS that the model needs |\n" if config.cmsis_folders else ""
    tvm_crt = "| `crt/` | TVM's own runtime, in place of the platform's |\n" if config.uses_tvm_crt else ""
    board = (
        "| `board/` | constants and memory layout of the board, for compiler and linker |\n"
        if config.is_bare_metal
        else ""
    )
    by_hand = {"make": "make", "cmake": "cmake -S . -B build && cmake --build build"}[build_system]
    without_python = (
        ""
        if has_build_command
        else f"{by_hand}      # the same firmware, build/{config.firmware}, without Python\n"
    )
    config_file = CONFIGS[build_system][0]
    return f"""# A generated microTVM project ({settings.project_type})

This directory contains all sources of the firmware. After a move it still builds. Run these commands in it:

```sh
python -m runtime.host run      # build, flash and run; build, flash, size, bench and check work here too
{without_python}```

| file | contents |
|---|---|
| `model.tar`, `model/` | the model archive, and its unpacked parts |
| `src/model_config.c` | the memory that the firmware reserves for the model |
| `src/model_input.c` | input of a standalone project; the option `standalone_input=FILE.npy` writes it |
| `{config_file}` | settings with which the project was generated |
| `extra/` | your own C files, in any folders: all of them are compiled and linked |
{cmsis}{tvm_crt}{board}| `runtime/device/apps/` | {main}: `main`; {", ".join(parts)}: its parts |

A standalone firmware ends its report with `outcome: 0` if the model ran.
"""
