# SPDX-License-Identifier: Apache-2.0
"""Nordic's tools for development kits with an on-board J-Link: nrfutil device, and its predecessor nrfjprog.

Source of their options: Nordic's documentation of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final, List

from runtime.host.boards.fields import Field
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

FAMILIES: Final = ("NRF51", "NRF52", "NRF53", "NRF91")

FAILURES: Final = (
    known.NO_PERMISSION,
    known.BUSY,
    known.no_probe(
        r"no devices with requested serial|no (supported )?devices? (was |were )?(found|detected)|"
        r"no debugger connected|unable to find (a|any) (board|device|emulator)|"
        r"unable to connect to a debugger|given serial number .*not (found|connected)",
        "No board with a J-Link probe was found.",
    ),
    known.several_devices(
        r"multiple devices|more than one|several (devices|debuggers)", "Several boards are connected"
    ),
    known.chip_locked(
        r"readback protection|access protection|NOT_AVAILABLE_BECAUSE_PROTECTION|APPROTECT|AP protection|"
        r"must be recovered",
        "run `nrfutil device recover` or `nrfjprog --recover`",
    ),
    known.Failure(
        r"UNKNOWN_DEVICE|device family|unknown_family|WRONG_FAMILY|family .*(not|mismatch)",
        "The chip's family differs from the family in boards.json.",
        "Check that the project was generated for this board. If so, correct the board's entry for this tool "
        "under runners in boards.json.",
    ),
    known.Failure(
        r"JLinkARM\.?dll (could not be opened|not found)|JLinkARM.* (missing|not installed)",
        "Nordic's tool cannot find SEGGER's J-Link software.",
        "Install the J-Link Software and Documentation Pack from SEGGER's web site.",
    ),
    known.Failure(
        r"no subcommand|unrecognized subcommand|command .?device.? (is )?not (found|installed)",
        "nrfutil's device command is not installed.",
        "Install this command with: nrfutil install device",
    ),
    known.verify_failed(r"verif\w+ (of .* )?failed|VERIFY_ERROR|VERIFY_FAILED|data does not match"),
    known.chip_not_reached(
        r"low voltage|LOW_VOLTAGE|JLinkARM.* reported an error|CANNOT_CONNECT|could not connect to CPU|"
        r"failed to write DebugPort"
    ),
)


def _family(value: Any) -> str:
    if value not in FAMILIES:
        raise ValueError(f"expected one of {', '.join(FAMILIES)}")
    return str(value)


class NrfUtil(Runner):
    """nrfutil with its device command; it takes no parameters."""

    name: ClassVar = "nrfutil"
    tool: ClassVar = "nrfutil"
    images: ClassVar = ("hex",)
    failures: ClassVar = FAILURES

    def places(self) -> List[Path]:
        """Return the path in the user's home where nrfutil installs its programs."""
        return [Path.home() / ".nrfutil" / "bin" / self.tool]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that programs, verifies and resets the chip."""
        # Without chip_erase_mode the tool erases the whole flash.
        options = "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM"
        argv = [tool, "device", "program", "--firmware", job.image("hex"), "--options", options]
        if job.serial_number:
            argv += ["--serial-number", job.serial_number]
        return [argv]


class NrfJprog(Runner):
    """nrfjprog; its parameter `family` is the chip's family."""

    name: ClassVar = "nrfjprog"
    tool: ClassVar = "nrfjprog"
    parameters: ClassVar = {"family": Field(_family, True, f"the chip's family: {', '.join(FAMILIES)}")}
    images: ClassVar = ("hex",)
    failures: ClassVar = FAILURES

    def places(self) -> List[Path]:
        """Return the usual paths of Nordic's installers on Linux."""
        return [Path(root) / "bin" / self.tool for root in ("/opt/nrf-command-line-tools", "/opt/nrfjprog")]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that programs, verifies and resets the chip."""
        argv = [tool, "--family", job.params["family"], "--program", job.image("hex")]
        argv += ["--sectorerase", "--verify", "--reset"]
        if job.serial_number:
            # Kits print their serial number with leading zeros, which the tool rejects.
            argv += ["--snr", job.serial_number.lstrip("0")]
        return [argv]
