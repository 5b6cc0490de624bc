# SPDX-License-Identifier: Apache-2.0
"""Known failures of flash tools: a pattern of the tool's output, the problem and the next step.

A runner passes the pattern of its own tool. This module has the sentences for failures that several tools
have in common.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Failure(NamedTuple):
    """A known failure of a flash tool.

    Attributes:
        pattern: Regular expression that is searched for in the tool's output, regardless of case. ^ and $
            match at every line.
        what: One sentence that states the problem.
        next_step: An imperative sentence.
        retry: A second try may succeed.
    """

    pattern: str
    what: str
    next_step: str
    retry: bool = False

    def explains(self, output: str) -> bool:
        """Return whether the tool's output shows this failure."""
        # Not compiled with the tables: every session with an emulated board imports this module.
        return re.search(self.pattern, output, re.IGNORECASE | re.MULTILINE) is not None


PLUG_IN: Final = "Plug the board's debug USB connector in, with a cable that carries data."
POWER: Final = (
    "Check that the board is powered and that all wires between the debug probe and the chip are connected."
)
UDEV_RULES: Final = (
    "Install the tool's udev rules into /etc/udev/rules.d, run `sudo udevadm control --reload && sudo "
    "udevadm trigger`, and plug the board in again."
)


def no_permission(pattern: str, what: str = "The debug probe is connected") -> Failure:
    """Return the failure of a tool without permission to open the USB device.

    Args:
        pattern: Regular expression of the tool's output.
        what: Clause that names the connected device.
    """
    return Failure(pattern, f"{what}, but this user has no permission to open it.", UDEV_RULES)


def probe_in_use(pattern: str) -> Failure:
    """Return the failure of a tool whose probe is claimed by another program."""
    return Failure(
        pattern,
        "The debug probe is in use by another program.",
        "Close the debugger, IDE or monitor that uses the probe, then flash again.",
        retry=True,
    )


# libusb and the kernel print these through most tools.
NO_PERMISSION: Final = no_permission(
    r"LIBUSB_ERROR_ACCESS|insufficient permissions|access error\.|permission denied|EACCES|errno=13|"
    r"\[Errno 13\]"
)
BUSY: Final = probe_in_use(
    r"LIBUSB_ERROR_BUSY|resource busy|unable to claim|could(n't| not) claim|cannot claim interface"
)


def no_probe(pattern: str, found_none: str, list_command: str = "") -> Failure:
    """Return the failure of a tool that finds no debug probe.

    Args:
        pattern: Regular expression of the tool's output.
        found_none: Sentence that states the problem.
        list_command: Command that prints the serial numbers of the probes, if the tool has such a command.
    """
    check = f"compare it with the output of: {list_command}" if list_command else "check it."
    return Failure(pattern, found_none, f"{PLUG_IN} If you passed a serial number, {check}")


def several_devices(pattern: str, found_several: str, list_command: str = "") -> Failure:
    """Return the failure of a tool that needs a serial number to choose one of several devices.

    Args:
        pattern: Regular expression of the tool's output.
        found_several: Clause that names the devices.
        list_command: Command that prints their serial numbers, if the tool has such a command.
    """
    hint = f"; `{list_command}` prints the serial numbers." if list_command else "."
    return Failure(
        pattern, f"{found_several}, and no serial number was given.", f"Choose one with --serial-number{hint}"
    )


def no_supply(pattern: str) -> Failure:
    """Return the failure of a probe that measures no voltage on the chip."""
    return Failure(pattern, "The debug probe measures no supply voltage on the chip.", POWER)


def chip_not_reached(pattern: str, hint: str = "") -> Failure:
    """Return the failure of a probe that gets no reply from the chip.

    Args:
        pattern: Regular expression of the tool's output.
        hint: Sentence with a further cause to check.
    """
    return Failure(
        pattern, "The debug probe gets no reply from the chip.", f"{POWER} {hint}".rstrip(), retry=True
    )


def chip_locked(pattern: str, how: str) -> Failure:
    """Return the failure of a chip whose flash is protected.

    Args:
        pattern: Regular expression of the tool's output.
        how: Imperative clause that states how to unlock the chip.
    """
    return Failure(
        pattern,
        "The chip is locked: its flash is protected against access.",
        f"Unlock the chip, which erases all of its flash: {how}.",
    )


def outside_of_flash(pattern: str, flash: str, check: str = "memory.flash") -> Failure:
    """Return the failure of a firmware that is linked for other addresses.

    Args:
        pattern: Regular expression of the tool's output.
        flash: Clause that names the memory in which the firmware must be.
        check: Fields of the board in boards.json that state where the flash is.
    """
    return Failure(
        pattern,
        f"The firmware's addresses are outside of {flash}.",
        f"Compare {check} of the board in boards.json with the chip's datasheet.",
    )


def verify_failed(pattern: str) -> Failure:
    """Return the failure of a flash that reads back other bytes than were written."""
    return Failure(
        pattern,
        "The flash contents differ from the firmware.",
        "Flash again. If the failure repeats, check the power supply and memory.flash of the board in "
        "boards.json; the flash may also be worn out.",
        retry=True,
    )
