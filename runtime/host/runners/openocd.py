# SPDX-License-Identifier: Apache-2.0
"""OpenOCD: most probes, most chips. Messages: OpenOCD 0.11 and 0.12."""

from __future__ import annotations

from typing import ClassVar, List

from runtime.host.boards.fields import Field, non_empty_strings, strings
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

# Two boards may be flashed at once, and nobody debugs: no server, which would want fixed TCP ports.
NO_SERVERS = ("gdb_port disabled", "tcl_port disabled", "telnet_port disabled")


class OpenOcd(Runner):
    """`config`: files as after -f; `commands`: Tcl commands before the chip is touched."""

    name: ClassVar = "openocd"
    tool: ClassVar = "openocd"
    override: ClassVar = "OPENOCD"
    parameters: ClassVar = {
        "config": Field(
            non_empty_strings, True, 'configuration files in order, for example ["board/st_nucleo_f4.cfg"]'
        ),
        "commands": Field(
            strings, False, 'OpenOCD commands before programming, such as "adapter speed 1000"'
        ),
    }
    proof: ClassVar = r"\*\* Verified OK \*\*"
    failures: ClassVar = (
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"Can't find (\S+\.cfg)|couldn't open (\S+\.cfg)",
            "OpenOCD does not have a configuration file that boards.json names.",
            "Install a newer OpenOCD, or put the right file into runners.openocd.config; its files are in "
            "/usr/share/openocd/scripts.",
        ),
        known.Failure(
            r"invalid subcommand \"serial|invalid command name \"adapter serial",
            "This OpenOCD is too old to choose a probe by its serial number.",
            "Install OpenOCD 0.12 or newer, or attach one board only and leave the serial number out.",
        ),
        known.several_devices(r"multiple devices found", "Several debug probes are attached"),
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
            "The chip is not the one that the configuration file is for.",
            "Check that this board was chosen when the project was generated, or its runners.openocd.config.",
        ),
        known.chip_not_reached(
            r"unable to connect to the target|Error connecting DP|scan chain interrogation failed|"
            r"Unable to reset target|Examination failed|target not examined|timed out while waiting",
            "A firmware that sleeps or uses the debug pins needs the reset button held meanwhile.",
        ),
        known.verify_failed(r"\*\* Verify Failed \*\*|contents differ|checksum mismatch"),
        known.outside_of_flash(
            r"no flash bank found|is not within any flash|couldn't write .* at offset|sector\(s\) not erased",
            "the chip's flash, as OpenOCD knows it",
        ),
        known.Failure(
            r"\*\* Programming Failed \*\*|error writing to flash",
            "The flash could not be written.",
            "Unplug the board and plug it in again, then flash once more. If it stays so, the chip may be "
            "write protected: unlock it with the vendor's tool.",
            retry=True,
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
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
