# SPDX-License-Identifier: Apache-2.0
"""Tools for ST-Link probes: st-flash of the open-source stlink tools, and ST's STM32CubeProgrammer."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, List

from runtime.host.boards.fields import Field, flag, strings
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

UNLOCK: Final = "with STM32CubeProgrammer, set readout protection (RDP) to AA and clear write protection"


class StFlash(Runner):
    """st-flash; its parameter `connect_under_reset` holds the chip in reset while st-flash connects.

    Source of its messages: stlink 1.7 and 1.8.
    """

    name: ClassVar = "st-flash"
    tool: ClassVar = "st-flash"
    parameters: ClassVar = {
        "connect_under_reset": Field(flag, False, "true if the firmware sleeps or uses the debug pins"),
    }
    images: ClassVar = ("hex",)
    proof: ClassVar = r"Flash written and verified"
    failures: ClassVar = (
        known.BUSY,
        known.no_permission(r"Error -3 \("),  # 1.7 prints the number of LIBUSB_ERROR_ACCESS
        known.NO_PERMISSION,
        known.no_probe(
            r"Couldn't find any ST-Link|No ST-?Link|Failed to open USB device",
            "st-flash found no ST-Link probe.",
            "st-info --probe",
        ),
        known.chip_locked(
            r"write protected|read(out)? protect|Failed to unlock flash|Could not unlock", UNLOCK
        ),
        known.chip_not_reached(
            r"(Can not|Failed to) connect to target|Failed to enter SWD|Could not find chip id|"
            r"Failed to read core_id|Failed to halt|NRST is not connected|unknown chip id",
            'If the connections are correct, set "connect_under_reset": true in runners.st-flash.',
        ),
        known.verify_failed(
            r"Verification of flash failed|Flash programming error|Flash loader (run|write) error"
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that writes the flash and resets the chip."""
        argv = [tool, "--reset"]
        if job.params["connect_under_reset"]:
            argv.append("--connect-under-reset")
        if job.serial_number:
            argv += ["--serial", job.serial_number]
        return [[*argv, "--format", "ihex", "write", job.image("hex")]]


class Stm32CubeProgrammer(Runner):
    """STM32CubeProgrammer. Source of its options: ST's user manual UM2237.

    The exit status does not report every error. The output does.
    """

    name: ClassVar = "stm32cubeprogrammer"
    tool: ClassVar = "STM32_Programmer_CLI"
    parameters: ClassVar = {
        "connect": Field(
            strings, False, 'a list of more words after port=SWD, for example ["mode=UR", "reset=HWrst"]'
        ),
    }
    images: ClassVar = ("hex",)
    proof: ClassVar = r"Download verified successfully"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.no_probe(
            r"No debug probe detected|No ST-?LINK detected|ST-LINK .*not (found|detected)",
            "STM32CubeProgrammer found no ST-Link probe.",
            "STM32_Programmer_CLI --list",
        ),
        known.probe_in_use(r"ST-LINK already in use|DEV_USB_COMM_ERR|being used by another"),
        known.no_supply(r"Voltage\s*:\s*0[.,]"),
        known.chip_locked(
            r"failed to erase memory|it may be not erased or protected|verify flash protection|"
            r"read ?out protection|write protection",
            UNLOCK,
        ),
        known.chip_not_reached(
            r"No STM32 target found|Unable to get core ID|DEV_TARGET|DEV_CONNECT_ERR|held under reset",
            'If the connections are correct, set "connect": ["mode=UR"] in runners.stm32cubeprogrammer.',
        ),
        known.verify_failed(r"Data mismatch|Download verification failed|verif\w+ failed"),
    )

    def places(self) -> List[Path]:
        """Return the usual paths of ST's installer on Linux and macOS."""
        program = Path("STMicroelectronics/STM32Cube/STM32CubeProgrammer")
        roots = (Path.home(), Path("/opt"), Path("/usr/local"), Path("/Applications"))
        mac = "STM32CubeProgrammer.app/Contents/MacOs/bin"
        return [root / program / folder / self.tool for root in roots for folder in ("bin", mac)]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that downloads, verifies and resets."""
        argv = [tool, "--connect", "port=SWD"]
        if job.serial_number:
            argv.append(f"sn={job.serial_number}")
        argv += job.params["connect"] or ()
        return [[*argv, "--download", job.image("hex"), "--verify", "--rst"]]
