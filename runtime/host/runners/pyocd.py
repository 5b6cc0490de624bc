# SPDX-License-Identifier: Apache-2.0
"""pyOCD: Cortex-M chips through CMSIS-DAP, ST-Link and J-Link probes. Messages: pyOCD 0.30 to 0.46."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar, List

from runtime.host.boards.fields import Field, strings, text
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner


class PyOcd(Runner):
    """Writes, then compares in a second run: `pyocd flash` does not read back."""

    name: ClassVar = "pyocd"
    tool: ClassVar = "pyocd"
    parameters: ClassVar = {
        "target": Field(
            text, True, "pyOCD's name of the chip, as in `pyocd list --targets` or `pyocd pack find`"
        ),
        "options": Field(strings, False, 'session options, such as "connect_mode=under-reset"'),
    }
    images: ClassVar = ("elf", "bin")
    timeout_sec: ClassVar = 180.0
    proof: ClassVar = r"All \d+ bytes match"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"Target type \S+ not recognized|unrecognized target|No target type",
            "pyOCD does not know this chip yet.",
            "Install its device pack with: pyocd pack install NAME, where NAME is runners.pyocd.target of "
            "the board; `pyocd pack find NAME` shows how it is spelt.",
        ),
        known.no_probe(
            r"No connected debug probe|No available debug probes|no target device available|"
            r"Waiting for a debug probe",
            "pyOCD found no debug probe.",
            "pyocd list",
        ),
        known.several_devices(
            r"Enter the number of the debug probe|multiple (debug )?probes|EOF when reading",
            "Several debug probes are attached",
            "pyocd list",
        ),
        known.chip_locked(
            r"APPROTECT enabled|is (in )?secured? state|target is locked|not automatically unlocking|"
            r"device is secure|No cores were discovered",
            "run `pyocd erase --mass -t TARGET`, where TARGET is runners.pyocd.target",
        ),
        known.chip_not_reached(
            r"No ACK|No response|target voltage|STLink error \(9\)|Get IDCODE error|Unexpected ACK|"
            r"WAIT response|SWD/JTAG communication failure|Memory transfer fault|memory transfer failed",
            'A chip that sleeps needs "options": ["connect_mode=under-reset"] in runners.pyocd.',
        ),
        known.verify_failed(
            r"Mismatched byte at|flash program(ming)? (page )?failure|Failed to program|"
            r"flash (erase|init)\w* .*failure"
        ),
        known.outside_of_flash(
            r"no memory region defined|not contained within any|no flash memory|does not overlap",
            "the chip's flash, as pyOCD knows it",
            "runners.pyocd.target and memory.flash",
        ),
    )

    def places(self) -> List[Path]:
        """Beside the interpreter: a virtual environment need not be in PATH to be used."""
        return [Path(sys.executable).parent / self.tool]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        # Unlocking a chip would erase all of it, and waiting for a probe would never end.
        common = ["--no-wait", "--target", job.params["target"], "-O", "auto_unlock=false"]
        for option in job.params["options"] or ():
            common += ["-O", option]
        if job.serial_number:
            common += ["--uid", job.serial_number]
        write = [tool, "flash", *common, "--erase", "sector", "--no-reset", "--format", "elf"]
        compare = f"compare {job.flash_address()} {job.image('bin')}"
        return [
            [*write, job.image("elf")],
            [tool, "commander", *common, "-c", compare, "-c", "reset"],
        ]
