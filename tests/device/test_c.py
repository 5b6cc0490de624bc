# SPDX-License-Identifier: Apache-2.0
"""The C code of the device runtime: no warnings with any compiler and target, and no banned functions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest

from tests.device.building import DEVICE, HOST_PORT, INCLUDES, LIBRARY, STRICT, run

# Files that end in _crt need the headers of TVM's own runtime: tests/builds/test_crt.py compiles them.
APPS = [path for path in sorted((DEVICE / "apps").glob("*.c")) if not path.stem.endswith("_crt")]
SOURCES = [*LIBRARY, *APPS]
HEADERS = sorted((DEVICE / "include").rglob("*.h")) + sorted((DEVICE / "src").glob("*.h"))

COMPILERS = {
    "gcc": ["gcc", "-O2"],
    "gcc-Os": ["gcc", "-Os"],
    "clang": ["clang", "-O2"],
    "cortex-m0": ["arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-Os"],
    "cortex-m3": ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-O2"],
    "cortex-m4": [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
        "-O2",
    ],
    "clang-cortex-m3": ["clang", "--target=thumbv7m-none-eabi", "-Os", "-ffreestanding"],
}


def newlib() -> List[str]:
    """Return flags for clang that name the C library of gcc's bare-metal compiler for Arm."""
    if shutil.which("arm-none-eabi-gcc") is None:
        return []
    searched = subprocess.run(
        ["arm-none-eabi-gcc", "-E", "-v", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    ).stderr.split("> search starts here:\n")[1]
    folders = [Path(line.strip()).resolve() for line in searched.split("End of search list")[0].splitlines()]
    return [f"-isystem{folder}" for folder in folders if "gcc" not in folder.parts]  # clang has its own


def usable(command: List[str]) -> bool:
    """Return whether the compiler is installed with the headers that the sources include."""
    if shutil.which(command[0]) is None:
        return False
    if "--target=thumbv7m-none-eabi" in command:
        command += newlib()
    program = "#include <stddef.h>\n#include <stdlib.h>\n#include <string.h>\n"
    probe = [*command, "-x", "c", "-fsyntax-only", "-"]
    return subprocess.run(probe, input=program.encode(), capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_no_warning(name: str, tmp_path: Path) -> None:
    command = list(COMPILERS[name])
    if not usable(command):
        assert not os.environ.get("CI"), f"CI must have {command[0]}"
        pytest.skip(f"{' '.join(command)} or its C library is not installed")
    sources = [*SOURCES, *([HOST_PORT] if name in ("gcc", "gcc-Os", "clang") else [])]
    for source in sources:
        run([*command, *STRICT, *INCLUDES, "-c", source, "-o", tmp_path / f"{source.stem}.o"])


@pytest.mark.slow
def test_every_header_stands_alone(tmp_path: Path) -> None:
    for header in HEADERS:
        source = tmp_path / "alone.c"
        source.write_text(f'#include "{header}"\n#include "{header}"\ntypedef int not_empty;\n')
        run(["gcc", *STRICT, *INCLUDES, "-c", source, "-o", tmp_path / "alone.o"])


@pytest.mark.slow
def test_public_headers_serve_cpp_too(tmp_path: Path) -> None:
    source = tmp_path / "public.cpp"
    public = sorted((DEVICE / "include").rglob("*.h"))
    source.write_text("".join(f'#include "{header}"\n' for header in public))
    run(
        [
            "clang++",
            "-std=c++11",
            "-Wall",
            "-Wextra",
            "-Werror",
            *INCLUDES[:1],
            "-c",
            source,
            "-o",
            tmp_path / "public.o",
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes",
    [
        ["-DMTVM_PACKET_BUFFER_BYTES=256", "-DMTVM_SEND_BUFFER_BYTES=16", "-DMTVM_MAX_OBJECTS=1"],
        [
            "-DMTVM_ALIGN=16",
            "-DMTVM_MAX_NDIM=1",
            "-DMTVM_MAX_ARGS=8",
            "-DMTVM_ERROR_BYTES=64",
            "-DMTVM_MAX_GLOBALS=1",
        ],
    ],
)
def test_other_sizes_compile(sizes: List[str], tmp_path: Path) -> None:
    for source in SOURCES:
        run(["gcc", *STRICT, "-O2", *sizes, *INCLUDES, "-c", source, "-o", tmp_path / "other.o"])


@pytest.mark.parametrize(
    "size",
    [
        "MTVM_PACKET_BUFFER_BYTES=4096",
        "MTVM_ALIGN=24",
        "MTVM_MAX_OBJECTS=0",
        "MTVM_SEND_BUFFER_BYTES=1",
        "MTVM_SEND_BUFFER_BYTES=65536",
        "MTVM_ERROR_BYTES=230",
    ],
)
def test_sizes_that_cannot_be_do_not_compile(size: str, tmp_path: Path) -> None:
    command = [
        "gcc",
        *STRICT,
        f"-D{size}",
        *INCLUDES,
        "-c",
        str(DEVICE / "src" / "server.c"),
        "-o",
        str(tmp_path / "x.o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(rf"static assertion failed: \"{size.split('=', maxsplit=1)[0]} must ", done.stderr)


def test_no_heap_no_printf_no_recursion() -> None:
    for source in LIBRARY:
        text = source.read_text(encoding="utf-8")
        assert not re.search(r"\b(malloc|calloc|realloc|free|\w*printf|alloca|setjmp|abort|exit)\(", text), (
            source
        )
        assert "stdio.h" not in text and "stdlib.h" not in text, source
        for match in re.finditer(
            r"^[a-z][\w *]*?\b(\w+)\([^;{]*\) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL
        ):
            name, body = match.groups()
            assert not re.search(rf"(?<![\w.>]){name}\(", body), f"{name} in {source.name} calls itself"


def test_every_file_names_its_license() -> None:
    for path in [*SOURCES, *HEADERS, HOST_PORT]:
        assert path.read_text(encoding="utf-8").startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"), (
            path
        )
