# SPDX-License-Identifier: Apache-2.0
"""What the device runtime takes on a Cortex-M3: `python -m tests.device.measuring` prints it.

Two ways: the sum of its objects, and what a linker with --gc-sections keeps of them in a firmware without a
model, beside which the compiler's and the C library's own parts are counted.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from tests.device.building import DEVICE, HERE, INCLUDES, LIBRARY, STRICT, run

TOOLCHAIN = "arm-none-eabi-"
TARGET = ("-mcpu=cortex-m3", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections")


class Size(NamedTuple):
    """Bytes. RAM is that of the runtime with its server, beside packet buffer and workspace."""

    objects_text: int
    linked_text: int
    compiler_text: int
    ram: int
    largest_frame: int


def available() -> bool:
    return shutil.which(f"{TOOLCHAIN}gcc") is not None


def _object_text(objects: List[Path]) -> int:
    lines = run([f"{TOOLCHAIN}size", *objects]).splitlines()[1:]
    return sum(int(line.split()[0]) for line in lines)


def _kept(map_file: Path) -> Dict[str, Tuple[int, int]]:
    """(text, RAM) that the linker kept of each object file, by its path."""
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


def measure(into: Path) -> Size:
    """Compile the runtime for a Cortex-M3 and link it with a platform that does nothing."""
    objects = []
    for source in [*LIBRARY, DEVICE / "apps" / "host_driven.c", HERE / "stub_platform.c"]:
        objects.append(into / f"{source.stem}.o")
        run(
            [f"{TOOLCHAIN}gcc", *STRICT, *TARGET, "-fstack-usage", *INCLUDES, "-c", source, "-o", objects[-1]]
        )
    program, map_file = into / "firmware.elf", into / "firmware.map"
    run([f"{TOOLCHAIN}gcc", *TARGET, *objects, "-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs",
         "-Wl,--gc-sections,-e,main", f"-Wl,-Map,{map_file}", "-o", program])  # fmt: skip
    library = [into / f"{source.stem}.o" for source in LIBRARY]
    kept = _kept(map_file)
    ours = [kept.get(str(path), (0, 0)) for path in library]
    app_ram = kept[str(into / "host_driven.o")][1]
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for field, value in measure(Path(scratch))._asdict().items():
            sys.stdout.write(f"{field} {value}\n")
