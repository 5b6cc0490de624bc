# SPDX-License-Identifier: Apache-2.0
"""Memory use of the device runtime on a Cortex-M3: RPC server and AOT executor, no model, -Os.

Measured in two ways: the sum of its object files, and the part that a linker with --gc-sections keeps in a
firmware without a model. The parts of the compiler and the C library are counted separately.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT

DEVICE = ROOT / "runtime" / "device"
LIBRARY = tuple(sorted((DEVICE / "src").glob("*.c")))
APPS = ("host_driven", "serve", "about")
PLATFORM = Path(__file__).with_name("stub_platform.c")
INCLUDES = (f"-I{DEVICE / 'include'}", f"-I{DEVICE / 'src'}")

TOOLCHAIN = "arm-none-eabi-"
TARGET = ("-std=c11", "-mcpu=cortex-m3", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections")

TEXT_LIMIT = 12 * 1024
RAM_LIMIT = 1536


def measure() -> List[Figure]:
    """Measure bytes of code and RAM. The remark has the bytes of the compiler and the C library."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as scratch:
        size = runtime_size(Path(scratch))
    beside = f"compiler and C library: {size.compiler_text:,} B"
    return [
        figure("code and constants", "B", [size.linked_text], TEXT_LIMIT, beside=beside),
        figure("RAM without packet buffer and workspace", "B", [size.ram], RAM_LIMIT),
        figure("largest stack frame", "B", [size.largest_frame]),
    ]


class Size(NamedTuple):
    """Sizes in bytes. RAM is that of the runtime with its server, without packet buffer and workspace."""

    objects_text: int
    linked_text: int
    compiler_text: int
    ram: int
    largest_frame: int


def available() -> bool:
    """Return whether the compiler is installed."""
    return shutil.which(f"{TOOLCHAIN}gcc") is not None


def _run(argv: Sequence[object]) -> str:
    return subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.PIPE, text=True).stdout


def _object_text(objects: List[Path]) -> int:
    lines = _run([f"{TOOLCHAIN}size", *objects]).splitlines()[1:]
    return sum(int(line.split()[0]) for line in lines)


def _kept(map_file: Path) -> Dict[str, Tuple[int, int]]:
    """Return (text, RAM) in bytes that the linker kept of each object file, by path."""
    kept: Dict[str, Tuple[int, int]] = {}
    text = map_file.read_text(encoding="utf-8").split("Linker script and memory map")[1]
    pattern = r"^ (\.[^\s]+|COMMON)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(\S+)$"
    for section, size, path in re.findall(pattern, text, re.MULTILINE):
        code, ram = kept.get(path, (0, 0))
        if section.startswith((".text", ".rodata")):
            code += int(size, 16)
        elif section.startswith((".data", ".bss", "COMMON")):
            ram += int(size, 16)
        kept[path] = (code, ram)
    return kept


def runtime_size(into: Path) -> Size:
    """Compile the runtime for a Cortex-M3 and link it with an empty platform."""
    objects = []
    apps = [DEVICE / "apps" / f"{name}.c" for name in APPS]
    for source in [*LIBRARY, *apps, PLATFORM]:
        objects.append(into / f"{source.stem}.o")
        _run([f"{TOOLCHAIN}gcc", *TARGET, "-fstack-usage", *INCLUDES, "-c", source, "-o", objects[-1]])
    program, map_file = into / "firmware.elf", into / "firmware.map"
    _run([f"{TOOLCHAIN}gcc", *TARGET, *objects, "-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs",
         "-Wl,--gc-sections,-e,main", f"-Wl,-Map,{map_file}", "-o", program])  # fmt: skip
    library = [into / f"{source.stem}.o" for source in LIBRARY]
    kept = _kept(map_file)
    ours = [kept.get(str(path), (0, 0)) for path in library]
    app_ram = sum(kept[str(into / f"{name}.o")][1] for name in APPS)
    others = [code for path, (code, _) in kept.items() if Path(path) not in objects]
    frames = [
        int(line.split("\t")[1]) for path in into.glob("*.su") for line in path.read_text().splitlines()
    ]
    return Size(
        objects_text=_object_text(library),
        linked_text=sum(code for code, _ in ours),
        compiler_text=sum(others),
        ram=sum(ram for _, ram in ours) + app_ram,
        largest_frame=max(frames),
    )
