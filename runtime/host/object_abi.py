# SPDX-License-Identifier: Apache-2.0
"""What the object files of a model archive were compiled for, and whether a processor can run them.

Sources: the ELF specification; for Arm the "Addenda to, and Errata in, the ABI for the Arm Architecture"
(build attributes); for RISC-V the ELF psABI (e_flags).
"""

from __future__ import annotations

import struct
from typing import Dict, Final, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from runtime.host.cpus import ARM, Cpu
from runtime.host.errors import ArchiveError

MAGIC: Final = b"\x7fELF"
ARM_MACHINE: Final = 40
RISCV_MACHINE: Final = 243
MACHINES: Final = {3: "x86", 8: "MIPS", 40: "Arm", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}

ARM_ATTRIBUTES: Final = 0x70000003  # sh_type of .ARM.attributes
TAG_FILE: Final = 1
TAG_CPU_ARCH: Final = 6
TAG_FP_ARCH: Final = 10
TAG_VFP_ARGS: Final = 28
TEXT_TAGS: Final = (4, 5)  # below 32 these have a text for a value; from there on, odd ones do
TAG_COMPATIBILITY: Final = 32  # has a number and a text
VFP_ARGS_HARD: Final = 1
# Tag_CPU_arch of the Cortex-M architectures: name, and the level of their instruction sets, each of which
# holds those below it.
ARM_ARCHITECTURES: Final[Dict[int, Tuple[str, int]]] = {
    11: ("Armv6-M", 0),
    12: ("Armv6S-M", 0),
    10: ("Armv7", 1),
    13: ("Armv7E-M", 2),
    16: ("Armv8-M baseline", 3),
    17: ("Armv8-M mainline", 3),
    21: ("Armv8.1-M mainline", 4),
}
RISCV_FLOAT_ABI: Final = 0x6  # of e_flags
SOFT_FLAG: Final = "-mfloat-abi=softfp"  # the FPU is used, and floats travel in integer registers
HARD_FLAG: Final = "-mfloat-abi=hard"


class Abi(NamedTuple):
    """machine: e_machine. bits: 32 or 64. architecture: Tag_CPU_arch, for Arm. uses_fpu: for Arm. hard_float:
    floats travel between functions in registers of the floating point unit."""

    machine: int
    bits: int
    architecture: Optional[int] = None
    uses_fpu: bool = False
    hard_float: bool = False

    @property
    def what(self) -> str:
        """In words."""
        name = MACHINES.get(self.machine, f"machine {self.machine}")
        if self.architecture is not None:
            name, _ = ARM_ARCHITECTURES.get(self.architecture, (f"Arm architecture {self.architecture}", 0))
        elif self.machine == RISCV_MACHINE:
            name = f"{name} with {self.bits} bits"
        return name


def flags_for(board: str, cpu: Cpu, objects: Mapping[str, bytes]) -> List[str]:
    """The flags of a processor, with which all of a firmware is compiled that these object files are part of.

    objects: their bytes by name. Raises ArchiveError where the processor cannot run one of them.
    """
    abis = {name: read_abi(name, data) for name, data in objects.items()}
    for name, abi in abis.items():
        reason = _obstacle(cpu, abi)
        if reason:
            raise ArchiveError(
                f"{name} in the archive was compiled for {abi.what}; {board} {reason}.",
                "Export the model again, for the target of this board, or choose the board it was made for.",
            )
    if not abis or any(abi.hard_float for abi in abis.values()):
        return list(cpu.flags)
    return [SOFT_FLAG if flag == HARD_FLAG else flag for flag in cpu.flags]


def _obstacle(cpu: Cpu, abi: Abi) -> str:
    """Why the processor cannot run it, after the board's name; "" when it can."""
    family, machine = ("an Arm", ARM_MACHINE) if cpu.cross == ARM else ("a RISC-V", RISCV_MACHINE)
    if (abi.machine, abi.bits) != (machine, cpu.bits):
        return f"has {family} with {cpu.bits} bits"
    if machine == RISCV_MACHINE and abi.hard_float != cpu.hard_float:
        return f"passes floats in {'its own' if cpu.hard_float else 'integer'} registers, and they do not"
    if machine == ARM_MACHINE:
        if ARM_ARCHITECTURES.get(abi.architecture or 0, ("", 99))[1] > cpu.level:
            return "has an older core, which lacks some of the instructions"
        if (abi.uses_fpu or abi.hard_float) and not cpu.hard_float:
            return "has no floating point unit, which they use"
    return ""


def read_abi(name: str, data: bytes) -> Abi:
    """What an ELF object file was compiled for. Raises ArchiveError, naming the file, where it is none or
    damaged."""
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise ArchiveError(
            f"{name} in the archive is not an object file that can be linked: {error}.",
            "Export the model again, for the target of this board.",
        ) from error


def _read(data: bytes) -> Abi:
    if data[:4] != MAGIC:
        raise ValueError("it is not ELF")
    if data[5] != 1:
        raise ValueError("its numbers are big-endian")
    bits = {1: 32, 2: 64}.get(data[4], 0)
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine == ARM_MACHINE:
        tags = dict(_arm_tags(data))
        return Abi(
            machine,
            bits,
            int(tags.get(TAG_CPU_ARCH, 0)),
            bool(tags.get(TAG_FP_ARCH, 0)),
            tags.get(TAG_VFP_ARGS) == VFP_ARGS_HARD,
        )
    if machine == RISCV_MACHINE:
        (flags,) = struct.unpack_from("<I", data, 36 if bits == 32 else 48)
        return Abi(machine, bits, hard_float=bool(flags & RISCV_FLOAT_ABI))
    return Abi(machine, bits)


def _arm_tags(data: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """The attributes of the whole file, of the first and only .ARM.attributes section."""
    (table,) = struct.unpack_from("<I", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 46)
    for index in range(count):
        kind, _, _, offset, size = struct.unpack_from("<5I", data, table + index * entry_size + 4)
        if kind == ARM_ATTRIBUTES:
            yield from _attributes(data[offset : offset + size])
            return


def _attributes(section: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Format version A: vendors; in each parts (of the file, a section, a symbol); in each attributes."""
    at = 1
    while at < len(section):
        (length,) = struct.unpack_from("<I", section, at)
        if length < 5:
            raise ValueError("its build attributes are damaged")
        vendor, inner, end = section[at + 4 : at + 10], at + 10, at + length
        while vendor == b"aeabi\0" and inner < end:
            part = section[inner]
            (part_length,) = struct.unpack_from("<I", section, inner + 1)
            if part_length < 5:
                raise ValueError("its build attributes are damaged")
            if part == TAG_FILE:
                yield from _values(section[inner + 5 : inner + part_length])
            inner += part_length
        at = end


def _values(part: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    at = 0
    while at < len(part):
        tag, at = _number(part, at)
        value: Union[int, bytes]
        if tag == TAG_COMPATIBILITY:
            _, at = _number(part, at)
        if tag in TEXT_TAGS or (tag >= TAG_COMPATIBILITY and (tag % 2 == 1 or tag == TAG_COMPATIBILITY)):
            end = part.index(b"\0", at)
            value, at = part[at:end], end + 1
        else:
            value, at = _number(part, at)
        yield tag, value


def _number(part: bytes, at: int) -> Tuple[int, int]:
    """A ULEB128 number and where it ends."""
    value = 0
    shift = 0
    while True:
        byte = part[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
