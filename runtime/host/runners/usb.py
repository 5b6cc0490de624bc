# SPDX-License-Identifier: Apache-2.0
"""Tools that talk to a boot loader in the chip, over its own USB: picotool (RP2040, RP2350) and dfu-util
(ST's DfuSe protocol: STM32, GD32). Messages: picotool 1.1 to 2.2, dfu-util 0.9 to 0.11."""

from __future__ import annotations

from typing import Any, ClassVar, Final, List

from runtime.host.boards.fields import Field, number
from runtime.host.boards.table import USB_ID
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

BOARD_IS_THERE: Final = "The board is there"  # these tools use no debug probe


def _usb_id(value: Any) -> str:
    if not isinstance(value, str) or not USB_ID.fullmatch(value):
        raise ValueError('want a text such as "0483:df11" (vendor:product, lower case)')
    return value


class PicoTool(Runner):
    """Needs to know nothing of the board."""

    name: ClassVar = "picotool"
    tool: ClassVar = "picotool"
    failures: ClassVar = (
        known.no_permission(r"unable to connect|permissions", BOARD_IS_THERE),
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"no accessible .* in BOOTSEL mode",
            "No board in BOOTSEL mode was found.",
            "Hold the board's BOOTSEL button while you plug it in, then flash again.",
        ),
        known.several_devices(r"Multiple .* in BOOTSEL mode", "Several boards are in BOOTSEL mode"),
        known.verify_failed(r"did not match the file|contents did not match"),
        known.outside_of_flash(
            r"not in a valid|cannot be loaded|outside of (a )?valid|unsupported address",
            "the board's flash and RAM, or is not for this chip",
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        argv = [tool, "load", "--verify", "--execute", job.image("elf"), "-t", "elf"]
        if job.serial_number:
            argv += ["--ser", job.serial_number]
        return [argv]


class DfuUtil(Runner):
    """`usb`: the USB id of the boot loader; `alt`: which of its memories is the flash. What was written is
    read back and compared, as the protocol has no verification; the reading also starts the firmware."""

    name: ClassVar = "dfu-util"
    tool: ClassVar = "dfu-util"
    parameters: ClassVar = {
        "usb": Field(_usb_id, True, 'USB id of the chip\'s boot loader, for example "0483:df11"'),
        "alt": Field(number, False, "the boot loader's number of the flash; 0 when it is left out"),
    }
    images: ClassVar = ("bin",)
    failures: ClassVar = (
        known.Failure(
            r"No DFU capable USB device",
            "No board in its DFU boot loader was found.",
            "Start the boot loader: hold BOOT0 while you press reset or plug the board in; see whether it is "
            "there with: dfu-util --list",
        ),
        known.several_devices(
            r"More than one DFU capable", "Several boards are in their DFU boot loader", "dfu-util --list"
        ),
        known.no_permission(r"Cannot open (DFU )?device", BOARD_IS_THERE),
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"is not (write|read)able|can not be erased|Cannot program memory|errVENDOR|errWRITE|errADDRESS",
            "The boot loader refuses to write: the flash is protected, or the firmware lies outside of it.",
            "Check memory.flash and runners.dfu-util.alt of the board in boards.json; a read protected chip "
            "is unlocked with the vendor's tool, which erases all of it.",
        ),
        known.verify_failed(r"^\S+ \S+ differ: |EOF on "),  # printed by cmp
        known.Failure(
            r"Lost device|USB communication error|Error during (down|up)load|LIBUSB_ERROR_(IO|PIPE)",
            "The connection to the boot loader broke.",
            "Use a shorter cable or another USB port, start the boot loader again, and flash again.",
            retry=True,
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        image, address = job.image("bin"), job.flash_address()
        read_back = str(job.firmware.with_suffix(".readback"))
        argv = [tool, "--device", f",{job.params['usb']}", "--alt", str(job.params["alt"] or 0)]
        if job.serial_number:
            argv += ["--serial", f",{job.serial_number}"]
        size = job.image_bytes("bin")
        return [
            [*argv, "--dfuse-address", address, "--download", image],
            ["rm", "-f", read_back],  # dfu-util writes over no file
            [*argv, "--dfuse-address", f"{address}:leave:{size}", "--upload", read_back],
            ["cmp", image, read_back],
        ]
