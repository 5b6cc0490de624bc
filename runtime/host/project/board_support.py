# SPDX-License-Identifier: Apache-2.0
"""Board support of bare-metal projects: device port sources, compiler flags, board.h and memory.ld.

The latter two are written into <project>/board/. The device's side is runtime/device/ports/: a folder for
each architecture, a file for each kind of UART and of time source, and baremetal/ with the shared code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Final, List, Mapping, NamedTuple

from runtime import server
from runtime.host.boards.board import BARE_METAL, CUSTOM, PROCESS, Board, RegisterWrite
from runtime.host.boards.cores import ARM, find_cpu
from runtime.host.errors import BoardError
from runtime.host.project.object_files.abi import flags_for
from runtime.host.project.platform import OWN_PORT

PORTS: Final = "runtime/device/ports"
SHARED_FOLDERS: Final = frozenset(("baremetal", "interrupts", "timer", "uart"))  # in PORTS, not device ports
BOARD_DIRECTORY: Final = "board"  # folder of a project with the files that are written for its board
# Bytes of RAM -> bytes of the packet buffer. The receive ring has twice the size of such a packet, because
# each byte may be escaped.
PACKET_BUFFERS: Final = ((65536, 2048), (32768, 1024), (16384, 512), (0, 256))
RING_FRAMING_BYTES: Final = 64  # start, length and CRC, maybe escaped, and the frames that open a session
# The defaults of 64-bit machines are for processes, so all boards use the sizes of 32-bit machines.
SMALL_BUFFERS: Final = ("-DMTVM_RECEIVE_BYTES=64", "-DMTVM_SEND_BUFFER_BYTES=64")
# Specs of the C library, by "is Arm": newlib for small chips; for RISC-V, Debian has picolibc only.
LIBRARY: Final = {True: ["--specs=nano.specs"], False: ["--specs=picolibc.specs"]}


class PortConfig(NamedTuple):
    """The part of a build's configuration that depends on the board. settings.BuildConfig has the fields."""

    firmware: str
    cross: str
    cpu_flags: List[str]
    linker_script: str
    port_sources: List[str]


def port_config(platform_directory: Path, board: Board, objects: Mapping[str, bytes]) -> PortConfig:
    """Return the part of a project's configuration that depends on its board.

    Args:
        platform_directory: Directory of the platform, with runtime/ and port/.
        board: The project's board.
        objects: Name -> content of each object file in the model archive.

    Raises:
        BoardError: The board's entry names an unknown core, device port or driver, or lacks a driver's field.
        ArchiveError: The board cannot run one of the object files.
    """
    if board.device_port not in BARE_METAL:
        return PortConfig(
            firmware="firmware" if board.transport == PROCESS else "firmware.elf",
            cross="",
            cpu_flags=[],
            linker_script="",
            port_sources=_own_port(platform_directory, board)
            if board.device_port == CUSTOM
            else _folder(platform_directory, board, board.device_port),
        )
    assert board.cpu is not None and board.uart is not None
    cpu = find_cpu(board.name, board.cpu)
    if (cpu.cross == ARM) != (board.device_port == "cortex_m"):
        raise BoardError(
            f"boards.json: board {board.name!r}: cpu {board.cpu!r} does not match the device port "
            f"{board.device_port!r}.",
            "Set device_port to cortex_m for an Arm core, or to riscv for a RISC-V core.",
        )
    library = LIBRARY[cpu.cross == ARM]
    return PortConfig(
        firmware="firmware.elf",
        cross=cpu.cross,
        cpu_flags=[
            *flags_for(board.name, cpu, objects),
            *library,
            f"-DMTVM_PACKET_BUFFER_BYTES={packet_buffer_bytes(board)}",
            *SMALL_BUFFERS,
        ],
        linker_script=f"{PORTS}/{board.device_port}/link.ld",
        port_sources=[
            *_folder(platform_directory, board, "baremetal"),
            *_folder(platform_directory, board, board.device_port),
            *_driver(platform_directory, board, "uart", board.uart.kind),
            *(
                source
                for part, entry in (("timer", board.timer), ("interrupts", board.interrupts))
                if entry
                for source in _driver(platform_directory, board, part, str(entry["kind"]))
            ),
        ],
    )


def board_files(board: Board) -> Dict[str, str]:
    """Return path in the project -> content of each file that is written for its board."""
    if board.device_port not in BARE_METAL:
        return {}
    return {
        f"{BOARD_DIRECTORY}/board.h": _board_h(board),
        f"{BOARD_DIRECTORY}/memory.ld": _memory_ld(board),
    }


def packet_buffer_bytes(board: Board) -> int:
    """Return the size of the longest packet that the board receives, which depends on its RAM."""
    ram = board.ram_bytes or 0
    return next(packet for least, packet in PACKET_BUFFERS if ram >= least)


def _folder(platform_directory: Path, board: Board, name: str) -> List[str]:
    ports = platform_directory / PORTS
    known = {path.name for path in ports.iterdir() if path.is_dir()}
    sources = sorted((ports / name).glob("*.c")) if name in known else []
    if not sources or board.device_port in SHARED_FOLDERS:
        raise BoardError(
            f"boards.json: board {board.name!r}: device port {board.device_port!r} does not exist in "
            f"{ports}.",
            f"Set device_port to one of: {', '.join(sorted({*known, CUSTOM} - SHARED_FOLDERS))}.",
        )
    return [path.relative_to(platform_directory).as_posix() for path in sources]


def _own_port(platform_directory: Path, board: Board) -> List[str]:
    sources = sorted((platform_directory / OWN_PORT).glob("*.c"))
    if not sources:
        raise BoardError(
            f"boards.json: board {board.name!r} has the device port {CUSTOM!r}, but {OWN_PORT}/ has no C "
            "file.",
            f"Restore {OWN_PORT}/board.c, or write a file there with the functions of "
            "runtime/device/include/microtvm/platform.h.",
        )
    return [path.relative_to(platform_directory).as_posix() for path in sources]


def _driver(platform_directory: Path, board: Board, part: str, kind: str) -> List[str]:
    """Return the source of a driver, and the sources in parts/ whose headers the driver includes.

    Raises:
        BoardError: No driver of that kind exists, or the board's entry lacks one of its fields.
    """
    folder = platform_directory / PORTS / part
    path = folder / f"{kind}.c"
    known = sorted(other.stem for other in folder.glob("*.c"))
    if kind not in known:
        raise BoardError(
            f"boards.json: board {board.name!r}: unknown {part}.kind {kind!r}.",
            server.did_you_mean(kind, known),
        )
    if part != "uart":  # all fields of a UART are required
        _check_driver_fields(board, part, path)
    shared = re.findall(r'^#include "(parts/\w+)\.h"', path.read_text(encoding="utf-8"), re.MULTILINE)
    sources = [path, *(folder / f"{name}.c" for name in shared)]
    return [source.relative_to(platform_directory).as_posix() for source in sources]


def _check_driver_fields(board: Board, part: str, driver: Path) -> None:
    """Raise BoardError unless an entry has the fields that its driver's source uses as macros of board.h."""
    entry: Mapping[str, Any] = {"timer": board.timer, "interrupts": board.interrupts}.get(part, {})
    source = driver.read_text(encoding="utf-8")
    asked = re.findall(rf"\bBOARD_{part.upper()}_(\w+)", source)
    optional = re.findall(rf"^#if.*\bBOARD_{part.upper()}_(\w+)", source, re.MULTILINE)
    for key in entry:
        if key != "kind" and key.upper() not in asked:
            raise BoardError(
                f"boards.json: board {board.name!r}: unknown field '{part}.{key}' for kind "
                f"{entry['kind']!r}.",
                server.did_you_mean(key, {each.lower() for each in asked})
                if asked
                else f"Remove '{part}.{key}'.",
            )
    for name in dict.fromkeys(each.lower() for each in asked if each not in optional):
        if not isinstance(entry.get(name), int):
            raise BoardError(
                f"boards.json: board {board.name!r}: field '{part}.{name}' is missing or not a number.",
                f"Set {part}.{name}, which the kind {entry['kind']!r} needs, to an integer or to an address "
                "such "
                'as "0x40004400".',
            )


def _board_h(board: Board) -> str:
    uart = board.uart
    assert uart is not None
    numbers = {
        "BOARD_CLOCK_HZ": board.clock_hz,
        "BOARD_UART_ADDRESS": uart.address,
        "BOARD_UART_INTERRUPT": uart.interrupt,
        "BOARD_UART_CLOCK_HZ": uart.clock_hz,
        "BOARD_UART_BAUD": uart.baud,
        "BOARD_RING_BYTES": 2 * packet_buffer_bytes(board) + RING_FRAMING_BYTES,
    }
    for part, entry in (("TIMER", board.timer), ("INTERRUPTS", board.interrupts)):
        for key, value in entry.items():
            if isinstance(value, int):
                numbers[f"BOARD_{part}_{key.upper()}"] = value
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* Values of {board.name} from boards.json. Written when the project was generated. */",
        "#ifndef BOARD_H",
        "#define BOARD_H",
        "",
        *(f"#define {name} {_literal(value)}" for name, value in numbers.items()),
        "",
        "/* Register writes before the UART is enabled: ADDRESS, CLEAR, SET, BITS of each. */",
        "#define BOARD_SETUP(write) \\",
        *(f"  write({_write(step)}) /* {c_comment(step.why)} */ \\" for step in board.setup),
        "",
    ]
    if board.restart is not None:
        lines += [f"#define BOARD_RESTART(write) write({_write(board.restart)})", ""]
    return "\n".join([*lines, "#endif", ""])


def c_comment(text: str) -> str:
    """Return the text as plain ASCII on one line that neither ends a C comment nor begins another one."""
    plain = "".join(letter if " " <= letter <= "~" and letter != "\\" else "?" for letter in text)
    return re.sub(r"([*/])(?=[*/])", r"\1 ", plain)


def _write(step: RegisterWrite) -> str:
    return f"{_literal(step.address)}, {_literal(step.clear)}, {_literal(step.set)}, {step.bits}"


def _literal(value: Any) -> str:
    return f"{value:#x}u" if value > 0x7FFF else f"{value}u"


def _memory_ld(board: Board) -> str:
    assert board.flash is not None and board.ram is not None
    return f"""/* SPDX-License-Identifier: Apache-2.0
 * Memory of {board.name} from boards.json. Written when the project was generated. */
MEMORY {{
  FLASH (rx) : ORIGIN = {board.flash.address:#x}, LENGTH = {board.flash.bytes}
  RAM (rwx) : ORIGIN = {board.ram.address:#x}, LENGTH = {board.ram.bytes}
}}
STACK_BYTES = {board.stack_bytes};
"""
