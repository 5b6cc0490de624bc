# SPDX-License-Identifier: Apache-2.0
"""Nordic's tools for development kits with a J-Link on board: nrfutil with its device command, and its
predecessor nrfjprog. Options: Nordic's documentation of both."""

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
        r"multiple devices|more than one|several (devices|debuggers)", "Several boards are attached"
    ),
    known.chip_locked(
        r"readback protection|access protection|NOT_AVAILABLE_BECAUSE_PROTECTION|APPROTECT|AP protection|"
        r"must be recovered",
        "run `nrfutil device recover` or `nrfjprog --recover`",
    ),
    known.Failure(
        r"UNKNOWN_DEVICE|device family|unknown_family|WRONG_FAMILY|family .*(not|mismatch)",
        "The chip is not of the family that boards.json names.",
        "Check that this board was chosen when the project was generated, and its entry in runners.",
    ),
    known.Failure(
        r"JLinkARM\.?dll (could not be opened|not found)|JLinkARM.* (missing|not installed)",
        "The tool does not find SEGGER's J-Link software.",
        "Install the J-Link Software and Documentation Pack from SEGGER's web site.",
    ),
    known.Failure(
        r"no subcommand|unrecognized subcommand|command .?device.? (is )?not (found|installed)",
        "nrfutil has no device command yet.",
        "Install it with: nrfutil install device",
    ),
    known.verify_failed(r"verif\w+ (of .* )?failed|VERIFY_ERROR|VERIFY_FAILED|data does not match"),
    known.chip_not_reached(
        r"low voltage|LOW_VOLTAGE|JLinkARM.* reported an error|CANNOT_CONNECT|could not connect to CPU|"
        r"failed to write DebugPort"
    ),
)


def _family(value: Any) -> str:
    if value not in FAMILIES:
        raise ValueError(f"want one of: {', '.join(FAMILIES)}")
    return str(value)


class NrfUtil(Runner):
    """Needs to know nothing of the board."""

    name: ClassVar = "nrfutil"
    tool: ClassVar = "nrfutil"
    images: ClassVar = ("hex",)
    failures: ClassVar = FAILURES

    def places(self) -> List[Path]:
        return [Path.home() / ".nrfutil" / "bin" / self.tool]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        # It would erase all of the flash if it were not told otherwise.
        options = "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM"
        argv = [tool, "device", "program", "--firmware", job.image("hex"), "--options", options]
        if job.serial_number:
            argv += ["--serial-number", job.serial_number]
        return [argv]


class NrfJprog(Runner):
    """`family`: of the chip."""

    name: ClassVar = "nrfjprog"
    tool: ClassVar = "nrfjprog"
    parameters: ClassVar = {"family": Field(_family, True, f"of the chip: {', '.join(FAMILIES)}")}
    images: ClassVar = ("hex",)
    failures: ClassVar = FAILURES

    def places(self) -> List[Path]:
        return [Path(root) / "bin" / self.tool for root in ("/opt/nrf-command-line-tools", "/opt/nrfjprog")]

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        argv = [tool, "--family", job.params["family"], "--program", job.image("hex")]
        argv += ["--sectorerase", "--verify", "--reset"]
        if job.serial_number:
            # Kits print their serial number with zeros in front, which the tool does not want.
            argv += ["--snr", job.serial_number.lstrip("0")]
        return [argv]
