# SPDX-License-Identifier: Apache-2.0
"""Errors for replies that the project's firmware cannot have sent."""

from __future__ import annotations

from runtime.host.errors import ProtocolError


def unexpected_reply(who: str) -> ProtocolError:
    """Return the error for a reply of the wrong kind; `who` is a clause that describes the reply."""
    return ProtocolError(
        f"Unexpected reply from the device: {who}.",
        "Build and flash the project again.",
    )


def other_model(why: str) -> ProtocolError:
    """Return the error for a firmware of another model; `why` is a clause that gives the evidence."""
    return ProtocolError(
        f"The firmware on the device was built from another model: {why}.",
        "Build and flash the project that was generated from this archive.",
    )
