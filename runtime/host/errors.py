# SPDX-License-Identifier: Apache-2.0
"""Errors of the host tools.

Each error has one sentence for the problem and one for the next step. A long log is kept separately.
"""

from __future__ import annotations

import os
from typing import Final

LONGEST_REASON: Final = 500  # characters of an exception's message in a sentence
WHERE_IT_IS: Final = "to print the traceback, use python -m runtime.host -v COMMAND"


class PlatformError(Exception):
    """A failure that the user can fix.

    Attributes:
        what: One sentence that states the problem.
        next_step: One imperative sentence that states what to try next.
        log: Tail of a tool's output, printed below the two sentences.
    """

    def __init__(self, what: str, next_step: str, log: str = "") -> None:
        super().__init__(what, next_step, log)
        self.what = what
        self.next_step = next_step
        self.log = log

    def __str__(self) -> str:
        return f"{self.what}\n{self.next_step}"


class ArchiveError(PlatformError):
    """Damaged, unsafe or unsupported model archive or tar."""


class BoardError(PlatformError):
    """Invalid boards.json, or a requested board that is not in boards.json."""


class BuildError(PlatformError):
    """Failure of a compiler, linker or build system."""


class FlashError(PlatformError):
    """Failure to write the firmware to the board."""


class ToolMissing(PlatformError):
    """Missing program or Python package."""


class TransportError(PlatformError):
    """Failure of the byte pipe to a device."""


class TransportTimeout(TransportError):
    """Timeout of a read or a write on the byte pipe to a device."""


class TransportClosed(TransportError):
    """Byte pipe whose other end was closed."""


class ProtocolError(PlatformError):
    """Data from the device that violates the wire protocol."""


class DeviceError(PlatformError):
    """Exception in the device's reply to a request."""


class HostToolsFault(PlatformError):
    """Fault of the host tools: an exception that no input should cause."""


INPUT_ERRORS: Final = (OSError, ValueError, OverflowError, RecursionError, MemoryError, EOFError)
"""Exceptions of library functions that input from a user, an archive, a device or a peer can cause.

Examples: a path with a NUL, an unpaired surrogate, a number outside of the range of C. UnicodeError and
JSONDecodeError are subclasses of ValueError.
"""

_MODULES_OF_INPUT_ERRORS: Final = ("struct", "termios", "zlib", "zipfile")
"""Modules whose exceptions input can cause. They are compared by name, so that they need no import."""


def is_input_error(error: BaseException) -> bool:
    """Return whether invalid input can cause an exception of this kind."""
    return isinstance(error, INPUT_ERRORS) or type(error).__module__ in _MODULES_OF_INPUT_ERRORS


def explained(error: BaseException) -> PlatformError:
    """Return the problem and the next step for any exception.

    Every public entry point calls this function: the API server's methods, the command line, `serve` and its
    sessions. A PlatformError is returned unchanged. Other exceptions that input can cause become a
    PlatformError. All remaining ones become a HostToolsFault that names file and line. The caller keeps the
    traceback in __cause__, or logs it and prints it for -v or --debug.
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
            f"A name or a string contains invalid characters: {text}.",
            "Use plain ASCII characters in paths, options and boards.json.",
        )
    if is_input_error(error):
        return PlatformError(
            f"Invalid input: {text or kind}.",
            f"Check paths, options, boards.json and the model archive; {WHERE_IT_IS}.",
        )
    return HostToolsFault(
        f"Internal error in the host tools: {kind}: {text} ({_place_of(error)}).",
        f"Report this fault of the host tools with its traceback; {WHERE_IT_IS}.",
    )


def reason_of(error: OSError) -> str:
    """Return the reason of an error without number and file name, such as "Permission denied".

    Timeouts and errors that Python raises itself have no strerror: the result is their message or type name.
    """
    return error.strerror or str(error) or type(error).__name__


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception as a string; an empty string for a PlatformError."""
    import traceback  # the API server starts without it

    if isinstance(error, PlatformError):
        return ""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _place_of(error: BaseException) -> str:
    """Return the file and line that raised an exception."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return "place unknown"
    return f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}"  # noqa: PTH119


def _of_the_system(error: OSError) -> PlatformError:
    """Return the problem and the next step for an error of the operating system."""
    inner = error.args[0] if error.args else ""
    if isinstance(inner, list) and inner:  # shutil.Error: one item per file that was not copied
        _, target, why = inner[0]
        return PlatformError(
            f"Copying failed for {len(inner)} of the files, first for {target}: {why}.",
            "Check that the target directory is writable and that its disk is not full.",
        )
    where = f"{error.filename}: " if error.filename else "System error: "
    return PlatformError(
        f"{where}{reason_of(error)}.",
        "Check the path and its read and write permissions, and that its disk is not full.",
    )
