# SPDX-License-Identifier: Apache-2.0
"""The processor cores that bare-metal boards have: the toolchain of each, and what it is told."""

from __future__ import annotations

from typing import Dict, Final, NamedTuple, Tuple

from runtime import server
from runtime.host.errors import BoardError

ARM: Final = "arm-none-eabi-"
RISCV: Final = "riscv64-unknown-elf-"


class Cpu(NamedTuple):
    """cross: prefix of its compiler. flags: what compiler and linker are told. bits: of an address.
    hard_float: whether floats travel between functions in the registers of a floating point unit, which all
    of a firmware must agree on. level: of an Arm's instruction set, as in object_abi.ARM_ARCHITECTURES."""

    cross: str
    flags: Tuple[str, ...]
    bits: int = 32
    hard_float: bool = False
    level: int = 0


def _arm(level: int, core: str, fpu: str = "") -> Cpu:
    unit = (f"-mfpu={fpu}", "-mfloat-abi=hard") if fpu else ("-mfloat-abi=soft",)
    return Cpu(ARM, (f"-mcpu={core}", "-mthumb", *unit), hard_float=bool(fpu), level=level)


def _riscv(arch: str, abi: str) -> Cpu:
    flags = (f"-march={arch}", f"-mabi={abi}", "-mcmodel=medany")
    return Cpu(RISCV, flags, bits=int(arch[2:4]), hard_float=abi[-1] in "fd")


CPUS: Final[Dict[str, Cpu]] = {
    "cortex-m0": _arm(0, "cortex-m0"),
    "cortex-m0plus": _arm(0, "cortex-m0plus"),
    "cortex-m3": _arm(1, "cortex-m3"),
    "cortex-m4": _arm(2, "cortex-m4"),
    "cortex-m4f": _arm(2, "cortex-m4", "fpv4-sp-d16"),
    "cortex-m7": _arm(2, "cortex-m7"),
    "cortex-m7f": _arm(2, "cortex-m7", "fpv5-sp-d16"),
    "cortex-m33": _arm(3, "cortex-m33"),
    "cortex-m33f": _arm(3, "cortex-m33", "fpv5-sp-d16"),
    "cortex-m55": _arm(4, "cortex-m55", "auto"),
    "rv32imac": _riscv("rv32imac", "ilp32"),
    "rv32imafc": _riscv("rv32imafc", "ilp32f"),
    "rv64imac": _riscv("rv64imac", "lp64"),
    "rv64imafdc": _riscv("rv64imafdc", "lp64d"),
}


def find_cpu(board: str, name: str) -> Cpu:
    """The core of that name. Raises BoardError, which names the board and the cores that are known."""
    if name in CPUS:
        return CPUS[name]
    raise BoardError(
        f"boards.json: board {board!r}: there is no cpu {name!r}.", server.did_you_mean(name, CPUS)
    )
