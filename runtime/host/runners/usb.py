# SPDX-License-Identifier: Apache-2.0
"""Tools for a boot loader in the chip, over the chip's own USB port.

picotool is for the RP2040 and the RP2350. dfu-util is for ST's DfuSe protocol (STM32, GD32). Source of their
messages: picotool 1.1 to 2.2, dfu-util 0.9 to 0.11.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, List

from runtime.host.boards.fields import Field, number
from runtime.host.boards.table import USB_ID
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner

BOARD_IS_THERE: Final = "The board is connected"  # these tools use no debug probe


def _usb_id(value: Any) -> str:
    if not isinstance(value, str) or not USB_ID.fullmatch(value):
        raise ValueError('expected a string such as "0483:df11" (vendor:product, lower case)')
    return value


class PicoTool(Runner):
    """picotool; it takes no parameters."""

    name: ClassVar = "picotool"
    tool: ClassVar = "picotool"
    failures: ClassVar = (
        known.no_permission(r"unable to connect|permissions", BOARD_IS_THERE),
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"no accessible .* in BOOTSEL mode",
            "No board in BOOTSEL mode was found.",
            "Hold the board's BOOTSEL button while you plug the board in, then flash again.",
        ),
        known.several_devices(r"Multiple .* in BOOTSEL mode", "Several boards are in BOOTSEL mode"),
        known.verify_failed(r"did not match the file|contents did not match"),
        known.outside_of_flash(
            r"not in a valid|cannot be loaded|outside of (a )?valid|unsupported address",
            "the board's flash and RAM, or the firmware is for another chip",
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the command that loads, verifies and starts the firmware."""
        argv = [tool, "load", "--verify", "--execute", job.image("elf"), "-t", "elf"]
        if job.serial_number:
            argv += ["--ser", job.serial_number]
        return [argv]


class DfuUtil(Runner):
    """dfu-util, which writes the flash, reads it back and compares: the protocol has no verification.

    Reading back also starts the firmware. Its parameter `usb` is the USB id of the boot loader, and `alt` is
    the number of the boot loader's memory that is the flash.
    """

    name: ClassVar = "dfu-util"
    tool: ClassVar = "dfu-util"
    parameters: ClassVar = {
        "usb": Field(_usb_id, True, 'the USB id of the chip\'s boot loader, for example "0483:df11"'),
        "alt": Field(number, False, "the boot loader's number of the flash; the default is 0"),
    }
    images: ClassVar = ("bin",)
    failures: ClassVar = (
        known.Failure(
            r"No DFU capable USB device",
            "No board that runs its DFU boot loader was found.",
            "Start the boot loader: hold BOOT0 while you press reset or plug the board in. List the boards "
            "that run their boot loader with: dfu-util --list",
        ),
        known.several_devices(
            r"More than one DFU capable", "Several boards run their DFU boot loader", "dfu-util --list"
        ),
        known.no_permission(r"Cannot open (DFU )?device", BOARD_IS_THERE),
        known.NO_PERMISSION,
        known.BUSY,
        known.Failure(
            r"is not (write|read)able|can not be erased|Cannot program memory|errVENDOR|errWRITE|errADDRESS",
            "The boot loader cannot write: the flash is protected, or the firmware's addresses are outside "
            "of it.",
            "Check memory.flash and runners.dfu-util.alt of the board in boards.json. If the chip is "
            "read-protected, unlock the chip with the vendor's tool, which erases all of its flash.",
        ),
        known.verify_failed(r"^\S+ \S+ differ: |EOF on "),  # printed by cmp
        known.Failure(
            r"Lost device|USB communication error|Error during (down|up)load|LIBUSB_ERROR_(IO|PIPE)",
            "The USB connection to the boot loader was lost.",
            "Use a shorter cable or another USB port, start the boot loader again, and flash again.",
            retry=True,
        ),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        """Return the commands that write the flash, read it back and compare."""
        image, address = job.image("bin"), job.flash_address()
        read_back = str(job.firmware.with_suffix(".readback"))
        argv = [tool, "--device", f",{job.params['usb']}", "--alt", str(job.params["alt"] or 0)]
        if job.serial_number:
            argv += ["--serial", f",{job.serial_number}"]
        size = job.image_bytes("bin")
        return [
            [*argv, "--dfuse-address", address, "--download", image],
            ["rm", "-f", read_back],  # dfu-util does not overwrite a file
            [*argv, "--dfuse-address", f"{address}:leave:{size}", "--upload", read_back],
            ["cmp", image, read_back],
        ]
