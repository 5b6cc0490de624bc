# SPDX-License-Identifier: Apache-2.0
"""Errors of the host tools. Each says what happened and what to do next; a long log rides along apart."""

from __future__ import annotations

import os
from typing import Final

LONGEST_REASON: Final = 500  # characters of an exception's own text in a sentence
WHERE_IT_IS: Final = "python -m runtime.host -v COMMAND shows where it happened"


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


class HostToolsFault(PlatformError):
    """A fault of the host tools: an exception that no input should be able to cause."""


INPUT_ERRORS: Final = (OSError, ValueError, OverflowError, RecursionError, MemoryError, EOFError)
"""What input of a user, an archive, a device or a peer can cause in library functions: a path with a NUL, a
lone surrogate, a number beyond the range of C. UnicodeError and JSONDecodeError are kinds of ValueError."""

_MODULES_OF_INPUT_ERRORS: Final = ("struct", "termios", "zlib", "zipfile")
"""Modules whose own exceptions are of the same kind; they are not imported for it."""


def is_input_error(error: BaseException) -> bool:
    """Return whether input can cause an exception of this kind, and not only a fault of the host tools."""
    return isinstance(error, INPUT_ERRORS) or type(error).__module__ in _MODULES_OF_INPUT_ERRORS


def explained(error: BaseException) -> PlatformError:
    """Return the two sentences for any exception.

    This is the one place where an exception that is no PlatformError gets its sentences. Every public entry
    calls it: the API server's methods, the command line, serve and its sessions. Kinds of exceptions that
    input can cause are told as such; any other one is a HostToolsFault, which names the line. The traceback
    stays in __cause__ or is logged by the caller, which shows it where the user asks for more (-v, --debug).
    """
    if isinstance(error, PlatformError):
        return error
    if isinstance(error, OSError):
        return _of_the_system(error)
    kind, text = type(error).__name__, str(error)[:LONGEST_REASON]
    if isinstance(error, MemoryError):
        return PlatformError(
            "The host tools ran out of memory.",
            "Check the sizes of the files and of the model, or use a machine with more memory.",
        )
    if isinstance(error, RecursionError):
        return PlatformError("The input is nested too deeply.", "Check the JSON files and the model archive.")
    if isinstance(error, UnicodeError):
        return PlatformError(
            f"A name or a text holds characters that cannot be used: {text}.",
            "Use plain characters in paths, options and boards.json.",
        )
    if is_input_error(error):
        return PlatformError(
            f"The input cannot be used: {text or kind}.",
            f"Check paths, options, boards.json and the model archive; {WHERE_IT_IS}.",
        )
    return HostToolsFault(
        f"The host tools failed: {kind}: {text} ({_place_of(error)}).",
        f"This is a fault of the host tools; {WHERE_IT_IS}.",
    )


def reason_of(error: OSError) -> str:
    """Return the reason without its number and file name, such as "Permission denied".

    Timeouts, and errors that Python itself raises, have no strerror.
    """
    return error.strerror or str(error) or type(error).__name__


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception as text; empty for one that explains itself."""
    import traceback  # the API server starts without it

    if isinstance(error, PlatformError):
        return ""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _place_of(error: BaseException) -> str:
    """Return file and line of where an exception was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return "place unknown"
    return f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}"  # noqa: PTH119


def _of_the_system(error: OSError) -> PlatformError:
    """Return what the operating system refused, with what to look at."""
    inner = error.args[0] if error.args else ""
    if isinstance(inner, list) and inner:  # of shutil: one item for each file that could not be copied
        _, target, why = inner[0]
        return PlatformError(
            f"{len(inner)} files could not be copied, the first to {target}: {why}.",
            "Check that you may write there, and that its disk is not full.",
        )
    where = f"{error.filename}: " if error.filename else ""
    return PlatformError(
        f"{where}{reason_of(error)}.",
        "Check that the path is right, that you may read and write there, and that its disk is not full.",
    )
