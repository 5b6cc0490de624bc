# SPDX-License-Identifier: Apache-2.0
"""Processor cores of bare-metal boards: toolchain prefix and compiler flags of each."""

from __future__ import annotations

from typing import Dict, Final, NamedTuple, Tuple

from runtime import server
from runtime.host.errors import BoardError

ARM: Final = "arm-none-eabi-"
RISCV: Final = "riscv64-unknown-elf-"
# Value of -mfpu -> version of the floating-point unit.
FPU_VERSIONS: Final = {"": 0, "fpv4-sp-d16": 4, "fpv5-sp-d16": 5, "auto": 5}
WITHOUT_FPU: Final = " -mattr=-fpregs"  # LLVM assumes a floating-point unit for these cores
LEVEL_WITH_DSP: Final = 2  # Armv7E-M; a Cortex-M33 or M55 has DSP unless the chip's vendor omits it


class Cpu(NamedTuple):
    """A processor core. The attributes from `level` on describe Arm cores only.

    Attributes:
        cross: Prefix of the compiler's name.
        flags: Flags of compiler and linker.
        bits: Size of an address.
        hard_float: Functions pass floats in floating-point registers; a whole firmware must agree on this.
        llvm: Options of TVM's target llvm that generate code for this core.
        level: Level of the instruction set, as in object_files.abi.ARM_ARCHITECTURES.
        fpu: Version of the floating-point unit: 4 for FPv4, 5 for FPv5, 0 without one.
        double: The floating-point unit has double precision.
        mve: Vector extension: 0 for none, 1 for integers, 2 for integers and floats.
        dsp: The core has the DSP extension.
    """

    cross: str
    flags: Tuple[str, ...]
    bits: int = 32
    hard_float: bool = False
    llvm: str = ""
    level: int = 0
    fpu: int = 0
    double: bool = False
    mve: int = 0
    dsp: bool = False


def _arm(level: int, core: str, fpu: str = "", llvm: str = "") -> Cpu:
    unit = (f"-mfpu={fpu}", "-mfloat-abi=hard") if fpu else ("-mfloat-abi=soft",)
    has_all = fpu == "auto"  # all optional units of the core
    return Cpu(
        ARM,
        (f"-mcpu={core}", "-mthumb", *unit),
        hard_float=bool(fpu),
        llvm=f"-mcpu={core}{llvm}",
        level=level,
        fpu=FPU_VERSIONS[fpu],
        double=has_all,
        mve=2 if has_all else 0,
        dsp=level >= LEVEL_WITH_DSP,
    )


def _riscv(arch: str, abi: str) -> Cpu:
    flags = (f"-march={arch}", f"-mabi={abi}", "-mcmodel=medany")
    bits = int(arch[2:4])
    extensions = ",".join(f"+{letter}" for letter in arch[5:])
    llvm = f"-mtriple=riscv{bits}-unknown-elf -mcpu=generic-rv{bits} -mattr={extensions} -mabi={abi}"
    return Cpu(RISCV, flags, bits=bits, hard_float=abi[-1] in "fd", llvm=llvm)


CPUS: Final[Dict[str, Cpu]] = {
    "cortex-m0": _arm(0, "cortex-m0"),
    "cortex-m0plus": _arm(0, "cortex-m0plus"),
    "cortex-m3": _arm(1, "cortex-m3"),
    "cortex-m4": _arm(2, "cortex-m4", llvm=WITHOUT_FPU),
    "cortex-m4f": _arm(2, "cortex-m4", "fpv4-sp-d16"),
    "cortex-m7": _arm(2, "cortex-m7", llvm=WITHOUT_FPU),
    "cortex-m7f": _arm(2, "cortex-m7", "fpv5-sp-d16", " -mattr=-fp64"),
    "cortex-m33": _arm(3, "cortex-m33", llvm=WITHOUT_FPU),
    "cortex-m33f": _arm(3, "cortex-m33", "fpv5-sp-d16"),
    "cortex-m55": _arm(4, "cortex-m55", "auto"),
    "rv32imac": _riscv("rv32imac", "ilp32"),
    "rv32imafc": _riscv("rv32imafc", "ilp32f"),
    "rv64imac": _riscv("rv64imac", "lp64"),
    "rv64imafdc": _riscv("rv64imafdc", "lp64d"),
}


def find_cpu(board: str, name: str) -> Cpu:
    """Return the core of that name.

    Args:
        board: Name of the board, which the error names.
        name: Field `cpu` of the board.

    Raises:
        BoardError: No core has that name; the message lists similar or all names.
    """
    if name in CPUS:
        return CPUS[name]
    raise BoardError(f"boards.json: board {board!r}: unknown cpu {name!r}.", server.did_you_mean(name, CPUS))
