# SPDX-License-Identifier: Apache-2.0
"""What a model's object files were compiled for is read from them, and compared with the board's core."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest

from runtime.host.archive import ModelArchive
from runtime.host.cpus import CPUS
from runtime.host.errors import ArchiveError
from runtime.host.object_abi import HARD_FLAG, SOFT_FLAG, Abi, flags_for, read_abi

ARCHIVES = Path(__file__).resolve().parents[1] / "data/archives"
CORTEX_M4 = Abi(machine=40, bits=32, architecture=13, uses_fpu=True)


def objects_of(name):
    archive = ModelArchive.open(ARCHIVES / f"{name}.tar")
    return {path: archive.read(path) for path in archive.objects}


def riscv_object(bits, flags):
    """The ELF header of an object file for RISC-V."""
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
def test_objects_tell_what_they_are_for(name, abi):
    assert {read_abi(path, data) for path, data in objects_of(name).items()} == {abi}


@pytest.mark.parametrize(("name", "flag"), [("graph_llvm_m4", SOFT_FLAG), ("graph_llvm_m4_hard", HARD_FLAG)])
def test_the_firmware_passes_floats_as_its_model_does(name, flag):
    flags = flags_for("mps2_an386", CPUS["cortex-m4f"], objects_of(name))
    assert [other for other in flags if other.startswith("-mfloat-abi")] == [flag]
    assert flags_for("mps2_an386", CPUS["cortex-m4f"], {})[-1] == HARD_FLAG


@pytest.mark.parametrize(
    ("cpu", "name", "reason"),
    [
        ("cortex-m4f", "graph_llvm", "x86-64; a_board has an Arm with 32 bits"),
        ("cortex-m3", "graph_llvm_m4", "Armv7E-M; a_board has an older core"),
        ("cortex-m0", "graph_llvm_m4", "Armv7E-M; a_board has an older core"),
        ("cortex-m4", "graph_llvm_m4", "Armv7E-M; a_board has no floating point unit"),
        ("cortex-m33", "graph_llvm_m4_hard", "Armv7E-M; a_board has no floating point unit"),
        ("rv32imac", "graph_llvm_m4", "Armv7E-M; a_board has a RISC-V with 32 bits"),
    ],
)
def test_a_core_that_cannot_run_them_is_told(cpu, name, reason):
    with pytest.raises(ArchiveError, match=reason):
        flags_for("a_board", CPUS[cpu], objects_of(name))


@pytest.mark.parametrize(
    ("cpu", "bits", "flags", "reason"),
    [
        ("rv32imac", 32, 0x1, None),
        ("rv32imac", 32, 0x3, "passes floats in integer registers"),
        ("rv32imafc", 32, 0x3, None),
        ("rv64imafdc", 64, 0x5, None),
        ("rv64imafdc", 64, 0x1, "passes floats in its own registers"),
        ("rv64imac", 32, 0x1, "RISC-V with 32 bits; a_board has a RISC-V with 64 bits"),
    ],
)
def test_a_riscv_agrees_on_bits_and_floats(cpu, bits, flags, reason):
    objects = {"lib0.o": riscv_object(bits, flags)}
    if reason is None:
        assert flags_for("a_board", CPUS[cpu], objects) == list(CPUS[cpu].flags)
    else:
        with pytest.raises(ArchiveError, match=reason):
            flags_for("a_board", CPUS[cpu], objects)


def test_a_damaged_object_is_an_error_with_a_name():
    data = next(iter(objects_of("graph_llvm_m4").values()))
    for broken in (b"", b"not ELF at all", data[:4], data[:40], data[:4] + b"\1\2" + data[6:]):
        with pytest.raises(ArchiveError, match=r"lib0\.o in the archive is not an object file"):
            read_abi("lib0.o", broken)


def test_no_bytes_of_an_object_hang_the_reader_or_raise_anything_else():
    data = next(iter(objects_of("graph_llvm_m4").values()))
    at = data.index(b"aeabi")
    for position in (*range(32, 52), *range(at - 5, at + 80)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = data[:position] + bytes([value]) + data[position + 1 :]
            with contextlib.suppress(ArchiveError):
                read_abi("lib0.o", changed)
