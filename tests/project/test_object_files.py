# SPDX-License-Identifier: Apache-2.0
"""ABI of a model's object files, read from them and compared with the board's core."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Set

import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.cores import CPUS
from runtime.host.errors import ArchiveError
from runtime.host.project.object_files.abi import HARD_FLAG, SOFT_FLAG, Abi, flags_for, read_abi, read_needs
from runtime.host.project.object_files.riscv_isa import extensions

DATA = Path(__file__).resolve().parents[1] / "data"
ARCHIVES = DATA / "archives"
CORTEX_M4 = Abi(machine=40, bits=32, architecture=13, uses_fpu=True)


def objects_of(name: str) -> Dict[str, bytes]:
    archive = ModelArchive.open(ARCHIVES / f"{name}.tar")
    return {path: archive.read(path) for path in archive.objects}


def riscv_object(bits: int, flags: int) -> bytes:
    """Return the ELF header of an object file for RISC-V."""
    words = "<16sHHIIIII" if bits == 32 else "<16sHHIQQQI"
    ident = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1, 1])
    return struct.pack(words, ident, 1, 243, 1, 0, 0, 0, flags) + bytes(64)


@pytest.mark.parametrize(
    ("name", "abi"),
    [
        ("graph_llvm", Abi(machine=62, bits=64)),
        ("graph_llvm_m4", CORTEX_M4),
        ("graph_llvm_m4_hard", CORTEX_M4._replace(hard_float=True)),
    ],
)
def test_objects_tell_what_they_are_for(name: str, abi: Abi) -> None:
    assert {read_abi(path, data) for path, data in objects_of(name).items()} == {abi}


@pytest.mark.parametrize(("name", "flag"), [("graph_llvm_m4", SOFT_FLAG), ("graph_llvm_m4_hard", HARD_FLAG)])
def test_the_firmware_passes_floats_as_its_model_does(name: str, flag: str) -> None:
    flags = flags_for("mps2_an386", CPUS["cortex-m4f"], objects_of(name))
    assert [other for other in flags if other.startswith("-mfloat-abi")] == [flag]
    assert flags_for("mps2_an386", CPUS["cortex-m4f"], {})[-1] == HARD_FLAG


@pytest.mark.parametrize(
    ("cpu", "name", "reason"),
    [
        ("cortex-m4f", "graph_llvm", "x86-64, but board a_board has an Arm core with 32 bits"),
        ("cortex-m3", "graph_llvm_m4", "Armv7E-M, but board a_board has an older core"),
        ("cortex-m0", "graph_llvm_m4", "Armv7E-M, but board a_board has an older core"),
        ("cortex-m4", "graph_llvm_m4", "Armv7E-M, but board a_board has no floating-point unit"),
        ("cortex-m33", "graph_llvm_m4_hard", "Armv7E-M, but board a_board has no floating-point unit"),
        ("rv32imac", "graph_llvm_m4", "Armv7E-M, but board a_board has a RISC-V core with 32 bits"),
    ],
)
def test_a_core_that_cannot_run_them_is_told(cpu: str, name: str, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        flags_for("a_board", CPUS[cpu], objects_of(name))


@pytest.mark.parametrize(
    ("cpu", "bits", "flags", "reason"),
    [
        ("rv32imac", 32, 0x1, None),
        ("rv32imac", 32, 0x3, "passes floats in integer registers"),
        ("rv32imafc", 32, 0x3, None),
        ("rv64imafdc", 64, 0x5, None),
        ("rv64imafdc", 64, 0x1, "passes floats in floating-point registers"),
        ("rv64imac", 32, 0x1, "RISC-V with 32 bits, but board a_board has a RISC-V core with 64 bits"),
    ],
)
def test_a_riscv_agrees_on_bits_and_floats(cpu: str, bits: int, flags: int, reason: Optional[str]) -> None:
    objects = {"lib0.o": riscv_object(bits, flags)}
    if reason is None:
        assert flags_for("a_board", CPUS[cpu], objects) == list(CPUS[cpu].flags)
    else:
        with pytest.raises(ArchiveError, match=reason):
            flags_for("a_board", CPUS[cpu], objects)


def test_a_damaged_object_is_an_error_with_a_name() -> None:
    data = next(iter(objects_of("graph_llvm_m4").values()))
    for broken in (b"", b"not ELF at all", data[:4], data[:40], data[:4] + b"\1\2" + data[6:]):
        with pytest.raises(ArchiveError, match=r"lib0\.o in the archive is not a valid object file"):
            read_abi("lib0.o", broken)


def test_no_bytes_of_an_object_hang_the_reader_or_raise_anything_else() -> None:
    data = next(iter(objects_of("graph_llvm_m4").values()))
    at = data.index(b"aeabi")
    for position in (*range(32, 52), *range(at - 5, at + 80)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = data[:position] + bytes([value]) + data[position + 1 :]
            for read in (read_abi, read_needs):
                with contextlib.suppress(ArchiveError):
                    read("lib0.o", changed)


@pytest.mark.parametrize(
    ("cpu", "reason"),
    [
        ("cortex-m3", "a_board has an older core"),
        ("cortex-m4f", "a_board has a floating-point unit FPv4, and the file uses FPv5"),
        ("cortex-m7", "a_board has no floating-point unit, which the file uses"),
        ("cortex-m7f", "a_board has no floating-point unit for double precision, which the file uses"),
        ("cortex-m33f", "a_board has no floating-point unit for double precision, which the file uses"),
        ("cortex-m55", None),
    ],
)
def test_a_model_for_a_double_precision_unit_needs_one(cpu: str, reason: Optional[str]) -> None:
    archive = ModelArchive.open(DATA / "cases/llvm_m7_double_on_m4/model.tar")
    objects = {path: archive.read(path) for path in archive.objects}
    if reason is None:
        flags_for("a_board", CPUS[cpu], objects)
    else:
        with pytest.raises(ArchiveError, match=reason) as caught:
            flags_for("a_board", CPUS[cpu], objects)
        assert CPUS[cpu].llvm in caught.value.next_step


FLOAT = "float f(float x, float y) { return x * y; }\n"
DOUBLE = "double f(double x, double y) { return x * y; }\n"
WIDENING = "double f(float x) { return x; }\n"
MOVING = "double f(double *x, int i) { return x[i]; }\n"
WORDS = "int f(int x) { return x * 3; }\n"


def compiled(tmp_path: Path, compiler: str, text: str, *flags: str) -> Dict[str, bytes]:
    source = tmp_path / "model.c"
    source.write_text(text)
    argv = [compiler, "-O2", "-c", *flags, str(source), "-o", str(tmp_path / "model.o")]
    subprocess.run(argv, check=True)
    return {"model.o": (tmp_path / "model.o").read_bytes()}


def runs_on(cpu: str, objects: Dict[str, bytes]) -> bool:
    try:
        flags_for("a_board", CPUS[cpu], objects)
    except ArchiveError:
        return False
    return True


@pytest.mark.parametrize(
    ("core", "fpu", "text", "cores"),
    [
        ("cortex-m0", None, WORDS, [cpu for cpu in CPUS if cpu.startswith("cortex")]),
        ("cortex-m3", None, FLOAT, [cpu for cpu in CPUS if cpu.startswith("cortex") and "m0" not in cpu]),
        ("cortex-m4", "fpv4-sp-d16", FLOAT, ["cortex-m4f", "cortex-m7f", "cortex-m33f", "cortex-m55"]),
        ("cortex-m7", "fpv5-sp-d16", FLOAT, ["cortex-m7f", "cortex-m33f", "cortex-m55"]),
        ("cortex-m7", "fpv5-d16", FLOAT, ["cortex-m7f", "cortex-m33f", "cortex-m55"]),
        ("cortex-m7", "fpv5-d16", MOVING, ["cortex-m7f", "cortex-m33f", "cortex-m55"]),
        ("cortex-m7", "fpv5-d16", DOUBLE, ["cortex-m55"]),
        ("cortex-m7", "fpv5-d16", WIDENING, ["cortex-m55"]),
        ("cortex-m33", "fpv5-sp-d16", FLOAT, ["cortex-m33f", "cortex-m55"]),
        ("cortex-m33", None, WORDS, ["cortex-m33", "cortex-m33f", "cortex-m55"]),
        ("cortex-m55", "auto", FLOAT, ["cortex-m55"]),
        ("cortex-m55", "auto", WORDS, ["cortex-m55"]),
    ],
)
def test_an_arm_core_runs_what_it_has_instructions_for(
    tmp_path: Path, core: str, fpu: Optional[str], text: str, cores: List[str]
) -> None:
    abi = (f"-mfpu={fpu}", "-mfloat-abi=hard") if fpu else ("-mfloat-abi=soft",)
    objects = compiled(tmp_path, "arm-none-eabi-gcc", text, f"-mcpu={core}", "-mthumb", *abi)
    assert [cpu for cpu in CPUS if runs_on(cpu, objects)] == cores


def test_literals_between_instructions_are_no_instructions(tmp_path: Path) -> None:
    flags = ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard")
    asm = ".syntax unified\n.thumb\nf:\n nop\n bx lr\n.p2align 2\n.word 0x0b00ee20, 0x0b00ee20\n"
    text = f"__asm__({asm!r});\n".replace("'", '"')
    objects = compiled(tmp_path, "arm-none-eabi-gcc", text, *flags)
    assert not read_needs("model.o", objects["model.o"]).double
    code = compiled(tmp_path, "arm-none-eabi-gcc", text.replace(".word", ".inst.w 0xee200b00 @"), *flags)
    assert read_needs("model.o", code["model.o"]).double


def test_code_for_other_arm_cores_is_refused(tmp_path: Path) -> None:
    flags = ("-mcpu=cortex-a9", "-marm", "-mfloat-abi=soft")
    objects = compiled(tmp_path, "arm-none-eabi-gcc", WORDS, *flags)
    with pytest.raises(ArchiveError, match="does not run code for other Arm cores"):
        flags_for("a_board", CPUS["cortex-m7f"], objects)


@pytest.mark.parametrize(
    ("arch", "abi", "cores"),
    [
        ("rv32i", "ilp32", ["rv32imac"]),
        ("rv32imac", "ilp32", ["rv32imac"]),
        ("rv32imafc", "ilp32f", ["rv32imafc"]),
        ("rv32if", "ilp32f", ["rv32imafc"]),
        ("rv32imafdc", "ilp32f", []),
        ("rv32imac_zba", "ilp32", []),
        ("rv32e", "ilp32e", []),
        ("rv64imac", "lp64", ["rv64imac"]),
        ("rv64imafdc", "lp64", []),
        ("rv64imafc", "lp64f", []),
        ("rv64imafdc", "lp64d", ["rv64imafdc"]),
        ("rv64gc", "lp64d", ["rv64imafdc"]),
    ],
)
def test_a_riscv_core_runs_what_it_has_extensions_for(
    tmp_path: Path, arch: str, abi: str, cores: List[str]
) -> None:
    flags = (f"-march={arch}", f"-mabi={abi}", "-mcmodel=medany")
    objects = compiled(tmp_path, "riscv64-unknown-elf-gcc", WORDS, *flags)
    assert [cpu for cpu in CPUS if runs_on(cpu, objects)] == cores


def test_the_lacking_extensions_are_named(tmp_path: Path) -> None:
    objects = compiled(tmp_path, "riscv64-unknown-elf-gcc", WORDS, "-march=rv32imafdc", "-mabi=ilp32")
    with pytest.raises(ArchiveError, match="a_board is an rv32imac and lacks the extensions d, f") as caught:
        flags_for("a_board", CPUS["rv32imac"], objects)
    assert "-mattr=+m,+a,+c -mabi=ilp32" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("rv32i2p1_m2p0_zicsr2p0", {"i", "m", "zmmul", "zicsr"}),
        ("rv64i2p1_zve32f1p0_zvl128b1p0", {"i", "zve32f", "zvl128b"}),
        ("rv32ec", {"e", "c", "zca"}),
    ],
)
def test_names_of_riscv_extensions(text: str, names: Set[str]) -> None:
    assert extensions(text) == names
