# SPDX-License-Identifier: Apache-2.0
"""OpenOCD, for most probes and most chips. Source of its messages: OpenOCD 0.11 and 0.12."""

from __future__ import annotations

from typing import ClassVar, List

from runtime.host.boards.fields import Field, non_empty_strings, strings
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

# Servers for debuggers use fixed TCP ports. Without them, two boards can be flashed at the same time.
NO_SERVERS = ("gdb_port disabled", "tcl_port disabled", "telnet_port disabled")


class OpenOcd(Runner):
    """OpenOCD.

    Its parameter `config` lists the arguments of -f. `commands` lists Tcl commands that run before the chip
    is accessed.
    """

    name: ClassVar = "openocd"
    tool: ClassVar = "openocd"
    override: ClassVar = "OPENOCD"
    parameters: ClassVar = {
        "config": Field(
            non_empty_strings,
            True,
            'a list of configuration files in order, for example ["board/st_nucleo_f4.cfg"]',
        ),
        "commands": Field(
            strings,
            False,
            'a list of OpenOCD commands to run before programming, for example ["adapter speed 1000"]',
        ),
    }
    proof: ClassVar = r"\*\* Verified OK \*\*"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"Can't find (\S+\.cfg)|couldn't open (\S+\.cfg)",
            "OpenOCD cannot find a configuration file that boards.json names.",
            "Install a newer OpenOCD, or correct runners.openocd.config in boards.json. OpenOCD's own files "
            "are in /usr/share/openocd/scripts.",
        ),
        known.Failure(
            r"invalid subcommand \"serial|invalid command name \"adapter serial",
            "OpenOCD is too old to choose a probe by its serial number.",
            "Install OpenOCD 0.12 or newer, or connect only one board and omit the serial number.",
        ),
        known.several_devices(r"multiple devices found", "Several debug probes are connected"),
        known.no_probe(
            r"Error: open failed|no j-link device found|no device found|unable to find a matching CMSIS-DAP|"
            r"unable to open ftdi device|serial mismatch|Failed to open device|Cannot find jlink",
            "OpenOCD found no debug probe.",
        ),
        known.no_supply(
            r"target voltage may be too low|voltage check failed|Target voltage: 0\.[0-9]|VTarget = 0\."
        ),
        known.chip_locked(
            r"stm32\w* device protected|read(out)? protection|device is (read )?protected|"
            r"flash memory write protected|sector \d+ is protected|AP.?PROTECT|Device Security Bit|"
            r"could not find MEM-AP",
            "use the vendor's tool (STM32: readout protection level 0; nRF: nrfjprog --recover or nrfutil "
            "device recover)",
        ),
        known.Failure(
            r"unexpected idcode|: UNEXPECTED|Cannot identify target",
            "The chip differs from the chip of OpenOCD's configuration file.",
            "Check that the project was generated for this board. If so, correct the board's "
            "runners.openocd.config in boards.json.",
        ),
        known.chip_not_reached(
            r"unable to connect to the target|Error connecting DP|scan chain interrogation failed|"
            r"Unable to reset target|Examination failed|target not examined|timed out while waiting",
            "If the firmware on the chip sleeps or uses the debug pins, hold the reset button while you "
            "flash.",
        ),
        known.verify_failed(r"\*\* Verify Failed \*\*|contents differ|checksum mismatch"),
        known.outside_of_flash(
            r"no flash bank found|is not within any flash|couldn't write .* at offset|sector\(s\) not erased",
            "the chip's flash as OpenOCD's configuration defines it",
        ),
        known.Failure(
            r"\*\* Programming Failed \*\*|error writing to flash",
            "OpenOCD could not write the flash.",
            "Unplug the board, plug the board in again, and flash again. If the failure repeats, the chip "
            "may be write-protected: unlock the chip with the vendor's tool.",
            retry=True,
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that programs, verifies and resets the chip."""
        script = [*NO_SERVERS, *(job.params["commands"] or ())]
        if job.serial_number:
            script.append(f"adapter serial {job.serial_number}")
        script.append(f"program {job.image('elf')} verify reset exit")
        argv = [tool]
        for config in job.params["config"]:
            argv += ["-f", config]
        for command in script:
            argv += ["-c", command]
        return [argv]
