# SPDX-License-Identifier: Apache-2.0
"""Failures of flash tools: what the user reads, for what the tool printed.

A runner names the pattern of its own tool; the sentences of failures that several tools have are here, once.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Failure(NamedTuple):
    """A known failure of a flash tool.

    Attributes:
        pattern: a regular expression, searched for in every line of the tool's output, in any case.
        what: one sentence that says what happened.
        next_step: one sentence that says what to do.
        retry: whether a second try may succeed.
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
POWER: Final = "Check that the board is powered, and the wires between the debug probe and the chip."
UDEV_RULES: Final = (
    "Install the udev rules that come with the tool into /etc/udev/rules.d, run `sudo udevadm control "
    "--reload && sudo udevadm trigger`, and plug the board in again."
)


def no_permission(pattern: str, what: str = "The debug probe is there") -> Failure:
    """Return the failure of a tool that may not open the USB device."""
    return Failure(pattern, f"{what}, but this user may not open it.", UDEV_RULES)


def probe_in_use(pattern: str) -> Failure:
    """Return the failure of a tool that finds its probe claimed by another program."""
    return Failure(
        pattern,
        "The debug probe is in use by another program.",
        "End the debugger, IDE or monitor that holds it, then flash again.",
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
        found_none: the sentence that says so.
        list_command: prints the serial numbers of the probes, where the tool has such a command.
    """
    hint = f" with: {list_command}" if list_command else "."
    return Failure(pattern, found_none, f"{PLUG_IN} With a serial number given, check it{hint}")


def several_devices(pattern: str, found_several: str, list_command: str = "") -> Failure:
    """Return the failure of a tool that needs a serial number to choose one of several devices.

    Args:
        found_several: the clause that says which devices there are.
        list_command: prints their serial numbers, where the tool has such a command.
    """
    hint = f"; `{list_command}` shows them." if list_command else "."
    return Failure(pattern, f"{found_several}, and none was chosen.", f"Name one with --serial-number{hint}")


def no_supply(pattern: str) -> Failure:
    """Return the failure of a probe that measures no voltage on the chip."""
    return Failure(pattern, "The probe measures no supply voltage on the chip.", POWER)


def chip_not_reached(pattern: str, hint: str = "") -> Failure:
    """Return the failure of a probe that gets no reply from the chip. hint: a further cause to check."""
    return Failure(pattern, "The probe does not reach the chip.", f"{POWER} {hint}".rstrip(), retry=True)


def chip_locked(pattern: str, how: str) -> Failure:
    """Return the failure of a chip whose flash is protected. how: the way to unlock it, a clause."""
    return Failure(
        pattern,
        "The chip is locked: its flash is protected against access.",
        f"Unlock it, which erases all of it: {how}.",
    )


def outside_of_flash(pattern: str, flash: str, check: str = "memory.flash") -> Failure:
    """Return the failure of a firmware that is linked for other addresses.

    Args:
        flash: the memory that the firmware does not lie in, a clause.
        check: fields of the board in boards.json that say where the flash is.
    """
    return Failure(
        pattern,
        f"The firmware lies outside of {flash}.",
        f"Check {check} of the board in boards.json against the chip.",
    )


def verify_failed(pattern: str) -> Failure:
    """Return the failure of a flash that reads back other bytes than were written."""
    return Failure(
        pattern,
        "What is in the flash is not what was written.",
        "Flash again. If this repeats, check the power supply, and memory.flash of the board in boards.json; "
        "the flash may be worn out.",
        retry=True,
    )
