# SPDX-License-Identifier: Apache-2.0
"""What a project adds to what it copies: C sized for the model, and the build configuration."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Callable, Dict, Final, List, Mapping, Optional, Sequence, Tuple

from runtime.host.wire.packet_size import DECODED_BYTES, PACKET_BYTES, device_blocks

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive, TensorSpec

CONFIG_HEADER: Final = "# Written when the project was generated. Generate it again to change it."

WORKSPACE_SLACK_BYTES: Final = 4096
SLACK_OF_RAM: Final = 16  # but at most the 16th part of the RAM
ALIGNMENT: Final = 64  # the most that the device runtime aligns to; its block header takes as much
BLOCK_HEADER_BYTES: Final = ALIGNMENT

# Variables of a project's configuration that not all of its firmware depends on.
CONFIG_OF_A_PART: Final = {
    "APPS": "platform",
    "PORT_SOURCES": "platform",
    "CMSIS_SOURCES": "cmsis",
    "CMSIS_FOLDERS": "cmsis",
    "LINKER_SCRIPT": "link",
    "FIRMWARE": "link",
}


def workspace_bytes(archive: ModelArchive, ram_bytes: Optional[int] = None) -> int:
    """What the device runtime's pool must hold for this model, rounded up to 64.

    Every tensor that lives on the device (parameters that are not linked into the firmware are among them)
    and the largest workspace at one time, less what the generated code has as an array of its own; each a
    block with its header.
    An eighth and 4 KiB on top, less on a board with little RAM, are for kernels that cut their workspace in
    pieces, and for what a session allocates besides the model.
    """
    if archive.style == "operator":
        arguments = [[tensor.size_bytes for tensor in tensors] for tensors in archive.operators.values()]
        largest = max(arguments, key=sum, default=[])
        # Its metadata does not tell the workspace of a kernel, C code does. Without C code, one as large as
        # its arguments is generous.
        blocks = [*largest, *(largest if archive.allocated_bytes is None else archive.allocated_bytes)]
    elif archive.executor == "graph":
        blocks = [*archive.storage_sizes_bytes, archive.operator_workspace_size_bytes]
    else:
        tensors = (*archive.inputs, *archive.outputs)
        planned = max(0, archive.workspace_size_bytes - archive.static_workspace_bytes)
        # The executor's own block has a tensor, a value and a type code for each.
        blocks = [*(tensor.size_bytes for tensor in tensors), planned, len(tensors) * (DECODED_BYTES + 4)]
    blocks += device_blocks(archive.tensors_of_calls, PACKET_BYTES)
    need = sum(_round_up(size) + BLOCK_HEADER_BYTES for size in blocks)
    slack = WORKSPACE_SLACK_BYTES
    if ram_bytes is not None:
        slack = min(slack, ram_bytes // SLACK_OF_RAM)
    return _round_up(need + need // 8 + slack)


def config_mk(config: Mapping[str, Any]) -> str:
    """The configuration as variables of make. Values reach a shell: they are quoted for it, then for make."""

    def quoted(value: Any) -> str:
        # Before "#" make halves backslashes.
        parts = (shlex.quote(part).replace("$", "$$") for part in _words(value))
        return " ".join(re.sub(r"(\\*)#", r"\1\1\\#", part) for part in parts)

    lines = [f"{name} := {quoted(value)}" for name, value in config.items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def config_cmake(config: Mapping[str, Any]) -> str:
    """The configuration as variables of CMake, each value a bracket argument, in which nothing is special.
    What CMake makes of a list later splits at semicolons: no value may hold one."""

    def quoted(value: Any) -> str:
        # CMake 3.25 writes "#" into makefiles as "\\#", before which make halves backslashes.
        return " ".join(_bracket(re.sub(r"(\\+)#", r"\1\1#", part)) for part in _words(value))

    lines = [f"set({name} {quoted(value)})" for name, value in config.items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def _words(value: Any) -> List[str]:
    """The words of a variable: of a list each of its items, of "" none."""
    if isinstance(value, list):
        return value
    return [str(value)] if value != "" else []


def concerns(line: str) -> str:
    """What a line of a configuration is for: "platform", "cmsis", "link", or "all" of the firmware."""
    name = line.replace("set(", "", 1).partition(" ")[0]
    return CONFIG_OF_A_PART.get(name, "all")


def _bracket(text: str) -> str:
    equals = "="
    while f"]{equals}]" in f"{text}]":
        equals += "="
    return f"[{equals}[{text}]{equals}]"


def c_string(text: str) -> str:
    """Return a string literal of C; what is not plain ASCII becomes octal escapes of its UTF-8."""
    data = text.encode("utf-8", "surrogatepass")
    # "?": two of them begin a trigraph of old compilers.
    return (
        '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in data) + '"'
    )


def _name_list(variable: str, specs: Sequence[TensorSpec]) -> str:
    names = ", ".join([*(c_string(spec.name) for spec in specs), "NULL"])
    return f"const char *const {variable}[] = {{{names}}};"


def model_config(archive: ModelArchive, workspace: int, firmware_id: int) -> str:
    """C that defines the memory of a project's firmware, workspace in bytes, its 32-bit id, and the names
    of its inputs and outputs."""
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


def project_readme(settings: Mapping[str, Any], build_system: str, has_build_command: bool) -> str:
    """README.md of a project. settings: of project.json. has_build_command: it is built the owner's way."""
    config = settings["config"]
    main, *parts = (f"`{app}.c`" for app in config["APPS"])
    cmsis = "| `cmsis/` | the part of CMSIS that the model needs |\n" if config.get("CMSIS_FOLDERS") else ""
    own_crt = "| `crt/` | TVM's own runtime, in place of the platform's |\n" if settings["crt"] else ""
    board = (
        "| `board/` | what the compiler and the linker are told of the board |\n"
        if config["LINKER_SCRIPT"]
        else ""
    )
    by_hand = {"make": "make", "cmake": "cmake -S . -B build && cmake --build build"}[build_system]
    without_python = (
        ""
        if has_build_command
        else f"{by_hand}      # the same firmware, build/{config['FIRMWARE']}, without Python\n"
    )
    config_file = CONFIGS[build_system][0]
    return f"""# A generated microTVM project ({settings["project_type"]})

It holds all that its firmware is built from; moved elsewhere it still builds. In this directory:

```sh
python -m runtime.host run      # build, flash and run; build, flash, size, bench and check work here too
{without_python}```

| file | what it is |
|---|---|
| `model.tar`, `model/` | the model archive, and its unpacked parts |
| `src/model_config.c` | the memory that the firmware gives to the model |
| `src/model_input.c` | of a standalone project: its input; the option `standalone_input=FILE.npy` writes it |
| `{config_file}` | what was chosen when the project was generated |
| `extra/` | your own C files, if there are any, in any folders: they are compiled and linked too |
{cmsis}{own_crt}{board}| `runtime/device/apps/` | {main}: `main`; {", ".join(parts)}: what it does |

A standalone firmware ends its report with `outcome: 0` when the model ran.
"""


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


# Build system -> the file of its configuration, and what writes it.
CONFIGS: Final[Dict[str, Tuple[str, Callable[[Mapping[str, Any]], str]]]] = {
    "make": ("config.mk", config_mk),
    "cmake": ("config.cmake", config_cmake),
}
