# SPDX-License-Identifier: Apache-2.0
"""Flash tool unknown to the template: writes an Intel HEX file to a chip, reads it back and compares.

Its probes are the files HEXBURN_PROBES/<serial number>.flash. Each is the flash of the chip at that probe.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Dict

DATA, END, UPPER_ADDRESS, START_ADDRESS = 0, 1, 4, 5  # record types
FLASH_BEGIN = 0x08000000


def read_hex(path: Path) -> Dict[int, int]:
    """Return address -> byte of an Intel HEX file. Exit on a damaged record."""
    memory: Dict[int, int] = {}
    upper = 0
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        record = bytes.fromhex(line[1:])
        if line[:1] != ":" or sum(record) % 256 or len(record) != record[0] + 5:
            sys.exit(f"hexburn: E07 bad record in line {number} of {path}")
        address, kind, data = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        if kind == UPPER_ADDRESS:
            upper = int.from_bytes(data, "big") << 16
        elif kind == DATA:
            memory.update((upper + address + offset, byte) for offset, byte in enumerate(data))
        elif kind == END:
            return memory
        elif kind != START_ADDRESS:
            sys.exit(f"hexburn: E08 record of type {kind} in line {number}")
    sys.exit(f"hexburn: E09 {path} has no end record")


def find_probe(serial_number: str) -> Path:
    """Return the probe with this serial number, or the only one. Exit if there is none, or several."""
    pattern = f"{serial_number or '*'}.flash"
    probes = sorted(Path(os.environ["HEXBURN_PROBES"]).glob(pattern))
    if not probes:
        sys.exit("hexburn: E02 no probe on USB")
    if len(probes) > 1:
        sys.exit(f"hexburn: E03 {len(probes)} probes, which one?")
    return probes[0]


def main() -> None:
    """Write, read back and compare."""
    parser = argparse.ArgumentParser(prog="hexburn")
    parser.add_argument("--probe", default="")
    parser.add_argument("--page", type=int, required=True)
    parser.add_argument("--write", type=Path, required=True)
    words = parser.parse_args()
    memory = read_hex(words.write)
    probe = find_probe(words.probe)
    size = max(memory) + 1 - FLASH_BEGIN
    size += -size % words.page
    flash = bytearray(b"\xff" * size)
    for address, byte in memory.items():
        flash[address - FLASH_BEGIN] = byte
    probe.write_bytes(flash)
    written = probe.read_bytes()
    if any(written[address - FLASH_BEGIN] != byte for address, byte in memory.items()):
        sys.exit("hexburn: E05 flash differs")
    print(f"hexburn: {len(memory)} bytes verified, chip reset")


if __name__ == "__main__":
    main()
