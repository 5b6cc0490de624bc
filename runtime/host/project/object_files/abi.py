# SPDX-License-Identifier: Apache-2.0
"""Check that a processor can run the object files of a model archive.

Sources: the ELF specification; for Arm the "Addenda to, and Errata in, the ABI for the Arm Architecture"
(build attributes); for RISC-V the ELF psABI (e_flags, Tag_RISCV_arch).
"""

from __future__ import annotations

import struct
from typing import Dict, Final, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from runtime.host.boards.cores import ARM, Cpu
from runtime.host.errors import ArchiveError
from runtime.host.project.object_files import elf
from runtime.host.project.object_files.riscv_isa import ALWAYS, extensions
from runtime.host.project.object_files.thumb import computes_in_double

MAGIC: Final = b"\x7fELF"
ARM_MACHINE: Final = 40
RISCV_MACHINE: Final = 243
MACHINES: Final = {3: "x86", 8: "MIPS", 40: "Arm", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}

ARM_TEXTS: Final = (4, 5)  # tags with a string as their value
TAG_CPU_ARCH: Final = 6
TAG_PROFILE: Final = 7
TAG_ARM_ISA: Final = 8  # Arm instructions, which no Cortex-M supports
TAG_FP_ARCH: Final = 10
TAG_ADVANCED_SIMD: Final = 12
TAG_HARD_FP_USE: Final = 27
TAG_VFP_ARGS: Final = 28
TAG_DSP: Final = 46
TAG_MVE: Final = 48
VFP_ARGS_HARD: Final = 1
SINGLE_PRECISION: Final = 1  # value of Tag_ABI_HardFP_use
MICROCONTROLLER: Final = ord("M")  # value of Tag_CPU_arch_profile
# Tag_FP_arch -> version of the floating-point architecture.
FP_VERSIONS: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 4, 7: 5, 8: 5}
FP_OF_32: Final = (3, 5, 7)  # values of Tag_FP_arch for 32 double registers; a Cortex-M has only 16
RISCV_TEXTS: Final = tuple(range(1, 32, 2))
TAG_RISCV_ARCH: Final = 5
# Tag_CPU_arch of the Cortex-M architectures -> name, and level of the instruction set. Each level includes
# the levels below it.
ARM_ARCHITECTURES: Final[Dict[int, Tuple[str, int]]] = {
    11: ("Armv6-M", 0),
    12: ("Armv6S-M", 0),
    10: ("Armv7", 1),
    13: ("Armv7E-M", 2),
    16: ("Armv8-M baseline", 3),
    17: ("Armv8-M mainline", 3),
    21: ("Armv8.1-M mainline", 4),
}
RISCV_FLOAT_ABI: Final = 0x6  # mask of e_flags
RISCV_MARKS: Final = {0x1: "c", 0x8: "e"}  # bit of e_flags -> extension
# Last letter of -mabi -> bits of e_flags.
RISCV_ABIS: Final = {"f": 0x2, "d": 0x4, "q": 0x6}
SOFT_FLAG: Final = "-mfloat-abi=softfp"  # uses the FPU, but passes floats in integer registers
HARD_FLAG: Final = "-mfloat-abi=hard"


class Abi(NamedTuple):
    """Architecture and calling convention of an object file.

    Attributes:
        machine: e_machine.
        bits: 32 or 64; 0 for an invalid ELF class.
        architecture: Tag_CPU_arch; None except for Arm.
        uses_fpu: The code may use the floating-point unit; set for Arm only.
        hard_float: Functions pass floats in floating-point registers.
    """

    machine: int
    bits: int
    architecture: Optional[int] = None
    uses_fpu: bool = False
    hard_float: bool = False

    @property
    def what(self) -> str:
        """Name of the architecture for messages."""
        name = MACHINES.get(self.machine, f"machine {self.machine}")
        if self.architecture is not None:
            name, _ = ARM_ARCHITECTURES.get(self.architecture, (f"Arm architecture {self.architecture}", 0))
        elif self.machine == RISCV_MACHINE:
            name = f"{name} with {self.bits} bits"
        return name


class Needs(NamedTuple):
    """Optional features of an architecture that an object file uses.

    Attributes:
        fpu: Version of the floating-point architecture, 0 for none.
        double: Double precision.
        wide_fpu: 32 double registers.
        neon: Neon instructions.
        mve: Vector extension: 0 for none, 1 for integers, 2 for integers and floats.
        dsp: DSP extension.
        not_microcontroller: Code for another profile of Arm than M.
        float_abi: Bits RISCV_FLOAT_ABI of RISC-V's e_flags.
        extensions: RISC-V extensions that the file lists.
    """

    fpu: int = 0
    double: bool = False
    wide_fpu: bool = False
    neon: bool = False
    mve: int = 0
    dsp: bool = False
    not_microcontroller: bool = False
    float_abi: int = 0
    extensions: FrozenSet[str] = frozenset()


def flags_for(board: str, cpu: Cpu, objects: Mapping[str, bytes]) -> List[str]:
    """Return the compiler flags for a whole firmware that includes these object files.

    Args:
        board: Name of the board, for the message.
        cpu: Core of the board.
        objects: Name -> content of each object file.

    Raises:
        ArchiveError: An object file is damaged, or the core cannot run it.
    """
    abis = {name: read_abi(name, data) for name, data in objects.items()}
    for name, abi in abis.items():
        reason = _obstacle(cpu, abi) or _lack(cpu, abi, read_needs(name, objects[name]))
        if reason:
            raise ArchiveError(
                f"{name} in the archive was compiled for {abi.what}, but board {board} {reason}.",
                "Export the model again for the target of this board, or choose the board for which the "
                f"model was compiled. Use LLVM's options for this board: {cpu.llvm}.",
            )
    if not abis or any(abi.hard_float for abi in abis.values()):
        return list(cpu.flags)
    return [SOFT_FLAG if flag == HARD_FLAG else flag for flag in cpu.flags]


def _obstacle(cpu: Cpu, abi: Abi) -> str:
    """Return the predicate that states why the core cannot link the file; "" if it can."""
    family, machine = ("an Arm", ARM_MACHINE) if cpu.cross == ARM else ("a RISC-V", RISCV_MACHINE)
    if (abi.machine, abi.bits) != (machine, cpu.bits):
        return f"has {family} core with {cpu.bits} bits"
    if machine == RISCV_MACHINE and abi.hard_float != cpu.hard_float:
        board, file = ("floating-point", "integer") if cpu.hard_float else ("integer", "floating-point")
        return f"passes floats in {board} registers, and the file in {file} registers"
    if machine == ARM_MACHINE:
        if ARM_ARCHITECTURES.get(abi.architecture or 0, ("", 99))[1] > cpu.level:
            return "has an older core, which lacks some of the file's instructions"
        if (abi.uses_fpu or abi.hard_float) and not cpu.hard_float:
            return "has no floating-point unit, which the file uses"
    return ""


def _lack(cpu: Cpu, abi: Abi, needs: Needs) -> str:
    """Return the predicate that states which of the file's instructions the core lacks; "" for none."""
    if abi.machine == RISCV_MACHINE:
        return _riscv_lack(cpu, needs)
    table = (
        (needs.not_microcontroller, "has a Cortex-M, which does not run code for other Arm cores"),
        (
            needs.neon or needs.wide_fpu,
            "has neither Neon nor 32 floating-point registers, which the file uses",
        ),
        (
            needs.fpu > cpu.fpu and bool(cpu.fpu),
            f"has a floating-point unit FPv{cpu.fpu}, and the file uses FPv{needs.fpu}",
        ),
        (
            needs.double and not cpu.double,
            "has no floating-point unit for double precision, which the file uses",
        ),
        (needs.mve > cpu.mve, "has no vector extension (MVE, also called Helium), which the file uses"),
        (needs.dsp and not cpu.dsp, "has no DSP extension, which the file uses"),
    )
    return next((words for lacks, words in table if lacks), "")


def _riscv_lack(cpu: Cpu, needs: Needs) -> str:
    flags = dict(flag.split("=", 1) for flag in cpu.flags if "=" in flag)
    arch, abi = flags["-march"], flags["-mabi"]
    missing = needs.extensions - extensions(arch) - ALWAYS
    if missing:
        # The one-letter extensions imply most of the others.
        shown = sorted(name for name in missing if len(name) == 1) or sorted(missing)
        return f"is an {arch} and lacks the extensions {', '.join(shown)}, which the file uses"
    if needs.float_abi != RISCV_ABIS.get(abi[-1], 0):
        return f"passes arguments by the ABI {abi}, and the file by another ABI"
    return ""


def read_needs(name: str, data: bytes) -> Needs:
    """Return the optional features of its architecture that an object file uses.

    Args:
        name: Name of the file, for the message.
        data: Content of the file.

    Raises:
        ArchiveError: The file is damaged.
    """
    try:
        (machine,) = struct.unpack_from("<H", data, 18)
        if machine == ARM_MACHINE:
            return _arm_needs(data)
        if machine == RISCV_MACHINE:
            return _riscv_needs(data)
    except (struct.error, IndexError, ValueError) as error:
        raise _damaged(name, error) from error
    return Needs()


def _arm_needs(data: bytes) -> Needs:
    tags = dict(elf.attributes(data, b"aeabi", ARM_TEXTS))

    def number(tag: int) -> int:
        return int(tags.get(tag, 0))

    fpu = number(TAG_FP_ARCH)
    may_be_double = bool(fpu) and number(TAG_HARD_FP_USE) != SINGLE_PRECISION
    return Needs(
        fpu=FP_VERSIONS.get(fpu, max(FP_VERSIONS.values()) + 1),
        double=may_be_double and computes_in_double(data),
        wide_fpu=fpu in FP_OF_32,
        neon=bool(number(TAG_ADVANCED_SIMD)),
        mve=number(TAG_MVE),
        dsp=bool(number(TAG_DSP)),
        not_microcontroller=bool(number(TAG_ARM_ISA)) or number(TAG_PROFILE) not in (0, MICROCONTROLLER),
    )


def _riscv_needs(data: bytes) -> Needs:
    flags = _riscv_flags(data)
    arch = dict(elf.attributes(data, b"riscv", RISCV_TEXTS)).get(TAG_RISCV_ARCH)
    told = extensions(arch.decode("ascii", "replace")) if isinstance(arch, bytes) else frozenset()
    marked = {name for bit, name in RISCV_MARKS.items() if flags & bit}
    return Needs(float_abi=flags & RISCV_FLOAT_ABI, extensions=told | marked)


def _riscv_flags(data: bytes) -> int:
    (flags,) = struct.unpack_from("<I", data, 36 if data[4] == 1 else 48)
    return int(flags)


def read_abi(name: str, data: bytes) -> Abi:
    """Return the architecture and calling convention of an ELF object file.

    Args:
        name: Name of the file, for the message.
        data: Content of the file.

    Raises:
        ArchiveError: The file is damaged, or is not a little-endian ELF file.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"{name} in the archive is not a valid object file: {error}.",
        "Export the model again for the target of this board.",
    )


def _read(data: bytes) -> Abi:
    if data[:4] != MAGIC:
        raise ValueError("the file is not ELF")
    if data[5] != 1:
        raise ValueError("expected little-endian numbers, got big-endian")
    bits = {1: 32, 2: 64}.get(data[4], 0)
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine == ARM_MACHINE:
        tags = dict(elf.attributes(data, b"aeabi", ARM_TEXTS))
        return Abi(
            machine,
            bits,
            int(tags.get(TAG_CPU_ARCH, 0)),
            bool(tags.get(TAG_FP_ARCH, 0)),
            tags.get(TAG_VFP_ARGS) == VFP_ARGS_HARD,
        )
    if machine == RISCV_MACHINE:
        return Abi(machine, bits, hard_float=bool(_riscv_flags(data) & RISCV_FLOAT_ABI))
    return Abi(machine, bits)
