# SPDX-License-Identifier: Apache-2.0
"""OpenOCD: most probes, most chips. Messages: OpenOCD 0.11 and 0.12."""

from __future__ import annotations

from typing import ClassVar, List

from runtime.host.boards.fields import Field, some_texts, texts
from runtime.host.runners.base import BUSY, NO_PERMISSION, PLUG_IN, POWER, UNPLUG, Failure, Job, Runner

# Two boards may be flashed at once, and nobody debugs: no server, which would want fixed TCP ports.
NO_SERVERS = ("gdb_port disabled", "tcl_port disabled", "telnet_port disabled")


class OpenOcd(Runner):
    """`config`: files as after -f; `commands`: Tcl commands before the chip is touched."""

    name: ClassVar = "openocd"
    tool: ClassVar = "openocd"
    install: ClassVar = "Install it, on Debian or Ubuntu with: apt-get install openocd"
    override: ClassVar = "OPENOCD"
    parameters: ClassVar = {
        "config": Field(
            some_texts, True, 'configuration files in order, for example ["board/st_nucleo_f4.cfg"]'
        ),
        "commands": Field(texts, False, 'OpenOCD commands before programming, such as "adapter speed 1000"'),
    }
    proof: ClassVar = r"\*\* Verified OK \*\*"
    failures: ClassVar = (
        NO_PERMISSION,
        BUSY,
        Failure(
            r"Can't find (\S+\.cfg)|couldn't open (\S+\.cfg)",
            "OpenOCD does not have a configuration file that boards.json names.",
            "Install a newer OpenOCD, or put the right file into runners.openocd.config; its files are in "
            "/usr/share/openocd/scripts.",
        ),
        Failure(
            r"invalid subcommand \"serial|invalid command name \"adapter serial",
            "This OpenOCD is too old to choose a probe by its serial number.",
            "Install OpenOCD 0.12 or newer, or attach one board only and leave the serial number out.",
        ),
        Failure(
            r"multiple devices found",
            "Several debug probes are attached, and none was chosen.",
            "Name one with --serial-number.",
        ),
        Failure(
            r"Error: open failed|no j-link device found|no device found|unable to find a matching CMSIS-DAP|"
            r"unable to open ftdi device|serial mismatch|Failed to open device|Cannot find jlink",
            "OpenOCD found no debug probe.",
            PLUG_IN + " With a serial number given, check that too.",
        ),
        Failure(
            r"target voltage may be too low|voltage check failed|Target voltage: 0\.[0-9]|VTarget = 0\.",
            "The probe measures no supply voltage on the chip.",
            POWER,
        ),
        Failure(
            r"stm32\w* device protected|read(out)? protection|device is (read )?protected|"
            r"flash memory write protected|sector \d+ is protected|AP.?PROTECT|Device Security Bit|"
            r"could not find MEM-AP",
            "The chip is locked: its flash is protected against access.",
            "Unlock it with the vendor's tool, which erases all of it (STM32: readout protection level 0; "
            "nRF: nrfjprog --recover or nrfutil device recover).",
        ),
        Failure(
            r"unexpected idcode|: UNEXPECTED|Cannot identify target",
            "The chip is not the one that the configuration file is for.",
            "Check that this board was chosen when the project was generated, or its runners.openocd.config.",
        ),
        Failure(
            r"unable to connect to the target|Error connecting DP|scan chain interrogation failed|"
            r"Unable to reset target|Examination failed|target not examined|timed out while waiting",
            "The probe does not reach the chip.",
            POWER + " A firmware that sleeps or uses the debug pins needs the reset button held meanwhile.",
            retry=True,
        ),
        Failure(
            r"\*\* Verify Failed \*\*|contents differ|checksum mismatch",
            "What is in the flash is not what was written.",
            "Flash again; when it happens again, suspect the power supply, a worn flash, or a memory map in "
            "boards.json that is not the chip's.",
            retry=True,
        ),
        Failure(
            r"no flash bank found|is not within any flash|couldn't write .* at offset|sector\(s\) not erased",
            "The firmware lies outside of the chip's flash, as OpenOCD knows it.",
            "Check memory.flash of the board in boards.json against the chip.",
        ),
        Failure(
            r"\*\* Programming Failed \*\*|error writing to flash",
            "The flash could not be written.",
            UNPLUG + " If it stays so, the chip may be write protected: unlock it with the vendor's tool.",
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
