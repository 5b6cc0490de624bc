# SPDX-License-Identifier: Apache-2.0
"""pyOCD, for Cortex-M chips with a CMSIS-DAP, ST-Link or J-Link probe.

Source of its messages: pyOCD 0.30 to 0.46.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar, List

from runtime.host.boards.fields import Field, strings, text
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner


class PyOcd(Runner):
    """pyOCD; a second run compares the flash with the firmware, because `pyocd flash` does not read back."""

    name: ClassVar = "pyocd"
    tool: ClassVar = "pyocd"
    parameters: ClassVar = {
        "target": Field(
            text, True, "pyOCD's name of the chip, as `pyocd list --targets` or `pyocd pack find` prints it"
        ),
        "options": Field(
            strings, False, 'a list of session options, for example ["connect_mode=under-reset"]'
        ),
    }
    images: ClassVar = ("elf", "bin")
    timeout_sec: ClassVar = 180.0
    proof: ClassVar = r"All \d+ bytes match"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"Target type \S+ not recognized|unrecognized target|No target type",
            "pyOCD does not support the chip that boards.json names.",
            "Install the chip's device pack with `pyocd pack install NAME`, where NAME is "
            "runners.pyocd.target of the board in boards.json. `pyocd pack find NAME` prints the exact name.",
        ),
        known.no_probe(
            r"No connected debug probe|No available debug probes|no target device available|"
            r"Waiting for a debug probe",
            "pyOCD found no debug probe.",
            "pyocd list",
        ),
        known.several_devices(
            r"Enter the number of the debug probe|multiple (debug )?probes|EOF when reading",
            "Several debug probes are connected",
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
            'If the firmware on the chip sleeps, set "options": ["connect_mode=under-reset"] in '
            "runners.pyocd.",
        ),
        known.verify_failed(
            r"Mismatched byte at|flash program(ming)? (page )?failure|Failed to program|"
            r"flash (erase|init)\w* .*failure"
        ),
        known.outside_of_flash(
            r"no memory region defined|not contained within any|no flash memory|does not overlap",
            "the chip's flash as pyOCD's device pack defines it",
            "runners.pyocd.target and memory.flash",
        ),
    )

    def places(self) -> List[Path]:
        """Return the path in the interpreter's directory: a virtual environment need not be in PATH."""
        return [Path(sys.executable).parent / self.tool]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that writes the flash, and the command that compares and resets."""
        # auto_unlock erases the whole chip. Without --no-wait, pyOCD waits for a probe without a limit.
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
