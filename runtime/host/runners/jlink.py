# SPDX-License-Identifier: Apache-2.0
"""SEGGER's J-Link Commander.

Source of its options and commands: the page "J-Link Commander" of SEGGER's knowledge base.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, List

from runtime.host.boards.fields import Field, number, one_of, text
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

USUAL_SPEED_KHZ = 4000


class JLink(Runner):
    """J-Link Commander, which reads its commands from a file. A first command line writes this file."""

    name: ClassVar = "jlink"
    tool: ClassVar = "JLinkExe"
    parameters: ClassVar = {
        "device": Field(text, True, "SEGGER's name of the chip, for example STM32F446RE"),
        "interface": Field(one_of("SWD", "JTAG"), False, "SWD or JTAG; the default is SWD"),
        "speed_khz": Field(
            number, False, f"the speed of the debug wires in kHz; the default is {USUAL_SPEED_KHZ}"
        ),
    }
    images: ClassVar = ("bin",)
    proof: ClassVar = r"Verify successful"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.Failure(
            r"cannot connect to (the )?J-Link|Connecting to J-Link via USB\W*FAILED|"
            r"Could not find (any )?(J-Link|emulator)|no J-Links? (found|connected)",
            "No J-Link probe was found, or another program uses it.",
            known.PLUG_IN
            + " Close other programs that use the probe. If you passed a serial number, check it.",
            retry=True,
        ),
        known.Failure(
            r"Unknown device|is unknown to this|Invalid device|device .* not (found|known)",
            "The J-Link software does not support the chip that boards.json names.",
            "Compare runners.jlink.device of the board in boards.json with SEGGER's list of devices, or "
            "install newer J-Link software.",
        ),
        known.chip_locked(
            r"read(out)? protect|device (is )?secured|protected (STM32 )?device detected|AP.?PROTECT|"
            r"unsecure|protection .*(enabled|active)",
            "connect with JLinkExe manually, or use the vendor's tool",
        ),
        known.no_supply(r"VTref\s*=\s*0\.|target voltage too low|VTarget\s*=\s*0\."),
        known.chip_not_reached(
            r"(could not|cannot|failed to) (connect|attach) to (the )?(target|CPU)|InitTarget\(\) .*err|"
            r"could not find core|communication timed out|Error occurred: Could not"
        ),
        known.verify_failed(
            r"verif\w+ (of .*)?failed|Verify error|error while (programming|verifying)|"
            r"failed to (program|erase|verify)|Failed to download"
        ),
    )

    def places(self) -> List[Path]:
        """Return the paths of SEGGER's installers for Linux and macOS."""
        return [Path("/opt/SEGGER/JLink/JLinkExe"), Path("/Applications/SEGGER/JLink/JLinkExe")]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that writes the file of commands, and the one that runs this file."""
        image, address = job.image("bin"), job.flash_address()
        script = str(job.firmware.with_suffix(".jlink"))
        lines = [
            "r",
            f"loadfile {image} {address}",
            f"verifybin {image} {address}",
            "r",
            "g",
            "exit",
        ]
        argv = [tool, "-NoGui", "1", "-ExitOnError", "1", "-AutoConnect", "1"]
        if job.serial_number:
            argv += ["-USB", job.serial_number]
        interface = job.params["interface"] or "SWD"
        argv += ["-Device", job.params["device"], "-If", interface]
        if interface == "JTAG":
            argv += ["-JTAGConf", "-1,-1"]  # the only chip of the chain; without it the tool prompts
        argv += ["-Speed", str(job.params["speed_khz"] or USUAL_SPEED_KHZ), "-CommanderScript", script]
        write_script = ["sh", "-c", f"printf '%s\\n' \"$@\" > {script}", "sh", *lines]
        return [write_script, argv]
