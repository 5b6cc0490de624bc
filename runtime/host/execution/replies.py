# SPDX-License-Identifier: Apache-2.0
"""What a device's replies mean that are not those of the project's firmware."""

from __future__ import annotations

from runtime.host.errors import ProtocolError


def unexpected_reply(who: str) -> ProtocolError:
    return ProtocolError(
        f"The device's answer makes no sense: {who} gave something else.",
        "Build and flash the project again.",
    )


def other_model(why: str) -> ProtocolError:
    return ProtocolError(
        f"The firmware on the device was made of another model: {why}.",
        "Build and flash the project that was generated from this archive.",
    )
