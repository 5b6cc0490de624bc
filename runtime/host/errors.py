# SPDX-License-Identifier: Apache-2.0
"""Errors of the host tools. Each says what happened and what to do next; a long log rides along apart."""

from __future__ import annotations


class PlatformError(Exception):
    """A failure that a person can act on.

    what: one sentence that says what happened. next_step: one sentence that says what to try.
    log: the tail of a tool's output, shown below the two sentences and never mixed into them.
    """

    def __init__(self, what: str, next_step: str, log: str = "") -> None:
        super().__init__(what, next_step, log)
        self.what = what
        self.next_step = next_step
        self.log = log

    def __str__(self) -> str:
        return f"{self.what}\n{self.next_step}"


class ArchiveError(PlatformError):
    """A model archive that is damaged, unsafe or of an unknown kind."""


class BoardError(PlatformError):
    """boards.json is wrong, or a board that it does not know was asked for."""


class BuildError(PlatformError):
    """A compiler, linker or build system failed."""


class FlashError(PlatformError):
    """The firmware could not be put on the board."""


class ToolMissing(PlatformError):
    """A program that is needed is not installed."""


class TransportError(PlatformError):
    """The byte pipe to a device failed."""


class TransportTimeout(TransportError):
    """No byte could be read or written within the time allowed."""


class TransportClosed(TransportError):
    """The other end of the byte pipe is gone."""


class ProtocolError(PlatformError):
    """The device said something that the wire protocol does not allow."""


class DeviceError(PlatformError):
    """The device answered a request with an exception."""


def explained(error: OSError) -> PlatformError:
    """What the operating system refused, with what to look at."""
    inner = error.args[0] if error.args else ""
    if isinstance(inner, list) and inner:  # of shutil: one item for each file that could not be copied
        _, target, why = inner[0]
        return PlatformError(
            f"{len(inner)} files could not be copied, the first to {target}: {why}.",
            "Check that you may write there, and that its disk is not full.",
        )
    where = f"{error.filename}: " if error.filename else ""
    return PlatformError(
        f"{where}{error.strerror or error}.",
        "Check that the path is right, that you may read and write there, and that its disk is not full.",
    )
