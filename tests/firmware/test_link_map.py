# SPDX-License-Identifier: Apache-2.0
"""Flash and RAM by part, from link maps of real linkers, compared with `size` of the ELF file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import pytest

from runtime.host.errors import BuildError
from runtime.host.firmware.link_map import (
    PARTS,
    TOOLCHAIN,
    PartSize,
    largest,
    part_sizes,
    read_map,
    size_rows,
)

SOURCES = {
    "model": """
        static const int weights[1000] = {1, 2, 3};
        __attribute__((section(".rodata.tvm"))) const char constants[333] = "abc";
        __attribute__((section(".bss.noinit.tvm"), aligned(16))) char workspace[2000];
        int table[100] = {1};
        int never_called(int x) { return x * 77; }
        int run_the_model_whose_name_is_too_long_for_one_line_of_the_map(int x) {
            return weights[x] + table[x] + constants[x] + workspace[x];
        }
    """,
    "runtime": """
        int counters[70];
        static int calls;
        int run_the_model_whose_name_is_too_long_for_one_line_of_the_map(int x);
        int serve(int x) {
            calls++;
            counters[x]++;
            return run_the_model_whose_name_is_too_long_for_one_line_of_the_map(x) + calls;
        }
    """,
    "platform": """
        #include <string.h>
        int serve(int x);
        static char buffer[500];
        int main(int argc, char **argv) {
            memset(buffer, argc, sizeof buffer);
            return serve(argc) + buffer[argc] + (int)strlen(argv[0]);
        }
    """,
}

MCU_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 256K   RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K }
ENTRY(main)
SECTIONS {
  .vectors : { KEEP(*(.vectors)) LONG(0x20010000) LONG(main) } > FLASH
  .text : { *(.text*) *(.rodata*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : { *(.data*) } > RAM AT > FLASH
  .fast : { *(.fast*) } > RAM AT > FLASH
  .bss : { *(.bss .bss.[a-mo-z]* COMMON) } > RAM
  .noinit (NOLOAD) : { *(.bss.noinit*) } > RAM
  ._user_heap_stack (NOLOAD) : { . = . + 0x400; } > RAM
  /DISCARD/ : { *(.comment) }
}
"""

TOOLCHAINS = [
    pytest.param("gcc", "", [], id="host"),
    pytest.param("gcc", "", ["-static"], id="host-static"),
    pytest.param("gcc", "", ["-no-pie"], id="host-no-pie"),
    pytest.param("clang", "", [], id="host-clang"),
    pytest.param("arm-none-eabi-gcc", "arm-none-eabi-", ["--specs=nosys.specs"], id="arm"),
    pytest.param("arm-none-eabi-gcc", "arm-none-eabi-", ["-T", "mcu.ld", "-nostartfiles"], id="arm-mcu"),
]

CPU = {"arm-none-eabi-gcc": ["-mcpu=cortex-m3", "-mthumb"]}


def compile_parts(directory: Path, compiler: str, tools: str) -> None:
    """Compile libmicrotvm_<part>.a of each of SOURCES, with a section for each function and variable."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for part, source in SOURCES.items():
        (directory / f"{part}.c").write_text(source)
        flags = ["-O2", "-ffunction-sections", "-fdata-sections", "-fcommon", *CPU.get(compiler, [])]
        run(directory, compiler, *flags, "-c", f"{part}.c", "-o", f"{part}.o")
        run(directory, f"{tools}ar", "rcs", f"libmicrotvm_{part}.a", f"{part}.o")


def link(directory: Path, compiler: str, options: Sequence[str], inputs: Sequence[str]) -> Path:
    group = ["-Wl,--start-group", *inputs, "-Wl,--end-group"]
    flags = [*CPU.get(compiler, []), "-Wl,--gc-sections", "-Wl,-Map=firmware.map"]
    run(directory, compiler, *flags, *options, "-o", "firmware", *group)
    return directory / "firmware.map"


def run(directory: Path, *argv: str) -> str:
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Section(NamedTuple):
    size: int
    has_contents: bool


def sections(directory: Path, tools: str) -> Dict[str, Section]:
    """Return the loaded sections of the firmware: sizes from `size -A`, flags from readelf."""
    text = run(directory, f"{tools}size", "-A", "firmware")
    sizes = {name: int(size) for name, size in re.findall(r"^(\S+)\s+(\d+)\s+\d+$", text, re.MULTILINE)}
    text = run(directory, f"{tools}readelf", "-SW", "firmware")
    flags = re.findall(r"\] (\S+)\s+([A-Z_]+)\s+(?:[0-9a-f]+\s+){4}([A-Z]*)", text)
    return {
        name: Section(sizes[name], kind != "NOBITS")
        for name, kind, flag in flags
        if "A" in flag and name in sizes
    }


def by_part(sizes: List[PartSize]) -> Dict[str, PartSize]:
    return {size.part: size for size in sizes}


LIBRARIES = [f"libmicrotvm_{part}.a" for part in ("platform", "runtime", "model")]
INITIALISED = {".data", ".sdata", ".tdata", ".fast"}


@pytest.mark.parametrize(("compiler", "tools", "options"), TOOLCHAINS)
def test_parts_add_up_to_what_size_says(
    tmp_path: Path, compiler: str, tools: str, options: Sequence[str]
) -> None:
    compile_parts(tmp_path, compiler, tools)
    (tmp_path / "mcu.ld").write_text(MCU_SCRIPT)
    path = link(tmp_path, compiler, options, LIBRARIES)
    sizes = part_sizes(path)
    assert [size.part for size in sizes] == ["model", "runtime", "platform", TOOLCHAIN]
    loaded = sections(tmp_path, tools)
    assert sum(size.flash for size in sizes) == sum(
        section.size for section in loaded.values() if section.has_contents
    )
    assert sum(size.ram for size in sizes) == sum(
        section.size for name, section in loaded.items() if name in INITIALISED or not section.has_contents
    )

    model, runtime, platform, _ = sizes
    assert 4000 + 333 + 400 <= model.flash < 4000 + 333 + 400 + 300
    assert 2000 + 400 <= model.ram < 2000 + 400 + 64
    assert 0 < runtime.flash < 300
    assert 284 <= runtime.ram < 284 + 64
    assert 0 < platform.flash < 300
    assert 500 <= platform.ram < 500 + 64


def test_regions_tell_flash_from_ram(tmp_path: Path) -> None:
    """Check a function in RAM, which needs flash and RAM; its section's name does not show this."""
    source = '__attribute__((section(".fast"), used)) int quick(int x) { return x + 1; }\n'
    compile_parts(tmp_path, "arm-none-eabi-gcc", "arm-none-eabi-")
    (tmp_path / "mcu.ld").write_text(MCU_SCRIPT.replace("*(.fast*)", "KEEP(*(.fast*))"))
    (tmp_path / "quick.c").write_text(source)
    run(tmp_path, "arm-none-eabi-gcc", *CPU["arm-none-eabi-gcc"], "-Os", "-c", "quick.c")
    path = link(tmp_path, "arm-none-eabi-gcc", ["-T", "mcu.ld", "-nostartfiles"], ["quick.o", *LIBRARIES])
    quick = by_part(read_map(path, {"quick": ["quick.o"], **PARTS}))["quick"]
    assert quick.flash == quick.ram == sections(tmp_path, "arm-none-eabi-")[".fast"].size > 0


def test_model_objects_that_are_linked_directly(tmp_path: Path) -> None:
    compile_parts(tmp_path, "gcc", "")
    library = by_part(part_sizes(link(tmp_path, "gcc", [], LIBRARIES)))["model"]
    (tmp_path / "model" / "codegen" / "host" / "lib").mkdir(parents=True)
    shutil.copy(tmp_path / "model.o", tmp_path / "model/codegen/host/lib/default_lib0.o")
    for spelling in ("", "./", f"{tmp_path}/"):
        path = link(tmp_path, "gcc", [], [f"{spelling}model/codegen/host/lib/default_lib0.o", *LIBRARIES[:2]])
        model = by_part(part_sizes(path))["model"]
        assert abs(model.flash - library.flash) < 64, "Only alignment may differ."
        assert model.ram >= 2400


def test_libraries_from_a_cache_carry_a_digest_in_their_names(tmp_path: Path) -> None:
    compile_parts(tmp_path, "gcc", "")
    plain = part_sizes(link(tmp_path, "gcc", [], LIBRARIES))
    (tmp_path / "with space").mkdir()
    cached = []
    for library in LIBRARIES:
        cached.append(f"with space/{library[:-2]}-0123abcd.a")
        shutil.copy(tmp_path / library, tmp_path / cached[-1])
    assert part_sizes(link(tmp_path, "gcc", [], cached)) == plain


def test_largest_names_functions_and_variables(tmp_path: Path) -> None:
    compile_parts(tmp_path, "gcc", "")
    path = link(tmp_path, "gcc", [], LIBRARIES)
    in_flash, *others = largest(path, "flash", 5)
    assert (in_flash.name, in_flash.part) == ("weights", "model")
    assert in_flash.file == "libmicrotvm_model.a(model.o)"
    assert 4000 <= in_flash.flash < 4064 and in_flash.ram == 0
    in_ram = largest(path, "ram", 1)[0]
    assert (in_ram.name, in_ram.flash) == ("workspace", 0)
    assert 2000 <= in_ram.ram < 2064
    assert len(others) == 4
    assert "never_called" not in {piece.name for piece in largest(path, "flash", 1000)}


MAP = """
Discarded input sections

 .text.gone     0x00000000       0x40 libmicrotvm_model.a(model.o)

Memory Configuration

Name             Origin             Length             Attributes
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD libmicrotvm_model.a
START GROUP
.text           0x00001000       0x30
 *(.text*)
 .text.a_function_with_a_long_name
                0x00001000       0x10 libmicrotvm_model.a(model.o)
                0x00001000                a_function_with_a_long_name
 *fill*         0x00001010        0x4 00
 .text.serve    0x00001014        0xc libmicrotvm_runtime.a(rt.o)
                0x00001020        0x4 LONG 0x1234
 .text.stub     0x00001024        0x8 linker stubs
                                  0xc (size before relaxing)
 *fill*         0x0000102c        0x4

.a_section_with_a_long_name
                0x00001030        0x8
 .a_section_with_a_long_name
                0x00001030        0x8 libmicrotvm_platform.a(main.o)

.empty
 *(.empty)

.bss            0x20000000       0x14 load address 0x00001038
 COMMON         0x20000000       0x14 libmicrotvm_runtime.a(rt.o)
                0x20000000                counters

/DISCARD/
 .text.thrown   0x00000000      0x100 libmicrotvm_model.a(model.o)
OUTPUT(firmware elf32-littlearm)

Cross Reference Table

.text           0x00001000       0x30
"""


def test_layout_of_a_map(tmp_path: Path) -> None:
    """Check wrapped lines, padding, linker data, stubs, commons, and three kinds of ignored sections."""
    path = tmp_path / "firmware.map"
    path.write_text(MAP)
    assert part_sizes(path) == [
        PartSize("model", 0x10, 0),
        PartSize("runtime", 0x4 + 0xC, 0x14),
        PartSize("platform", 0x8, 0),
        PartSize(TOOLCHAIN, 0x4 + 0x8 + 0x4, 0),
    ]
    assert size_rows(path)[1:] == [
        ("runtime", "16", "20"),
        ("platform", "8", "0"),
        ("toolchain", "16", "0"),
        ("all", "56", "20"),
    ]
    assert [piece.name for piece in largest(path, "flash", 1)] == ["a_function_with_a_long_name"]
    assert [piece.name for piece in largest(path, "ram", 1)] == ["counters"]


def test_missing_map(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"cannot be read: No such file(.|\n)*Build the project first"):
        part_sizes(tmp_path / "firmware.map")


def test_not_a_map(tmp_path: Path) -> None:
    (tmp_path / "firmware.map").write_bytes(b"\xff\x00 nothing")
    with pytest.raises(BuildError, match="is not a link map of GNU ld"):
        part_sizes(tmp_path / "firmware.map")
