# SPDX-License-Identifier: Apache-2.0
"""Validation of the requests that clients of TVM's RPC send to a served board.

A tuning client requests a session from tvm.micro.compile_and_create_micro_session. Its arguments are the
model archive, the path of a template, project options as JSON, the directory for the project or null, and a
flag to use an existing project. The paths refer to the machine that serves the board, and are not used. A
client that only checks for an available board requests a session without arguments.

The first message: i32 code 2, string (version of the protocol), packed sequence of the arguments.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, Final, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from runtime import server
from runtime.host.boards.board import Board
from runtime.host.errors import PlatformError, ProtocolError
from runtime.host.project.options import project_options
from runtime.host.wire.messages import decode_sequence

INIT_SERVER: Final = 2
CONSTRUCTOR: Final = "tvm.micro.compile_and_create_micro_session"
MAX_ARCHIVE_BYTES: Final = 16 << 20
"""The archive of an operator takes about 100 KB, or a few MB if it contains TVM's own C runtime."""
MAX_OPTIONS_CHARS: Final = 64 << 10
MAX_REQUEST_BYTES: Final = MAX_ARCHIVE_BYTES + (1 << 20)

TAKEN: Final = (
    *("board", "serial_number", "project_type", "verbose"),
    *("warning_as_error", "compile_definitions", "optimization", "workspace_size_bytes"),
)
"""Project options that a client may set.

Any other option names a path or a command on the machine that serves the board, or describes how the board is
attached.
"""


class Request(NamedTuple):
    """A model archive to build and run.

    Attributes:
        archive: Bytes of the model archive.
        options: All project options, coerced.
    """

    archive: bytes
    options: Dict[str, Any]


class Served(NamedTuple):
    """The board that a server serves.

    Attributes:
        key: Key in the queue of the tracker.
        board: Name of the board.
        boards: Boards of the platform, by name.
        serial_number: Serial number that was given to `serve`, or None.
    """

    key: str
    board: str
    boards: Dict[str, Board]
    serial_number: Optional[str] = None


class Refused(PlatformError):
    """An invalid request, or a request that a client may not make."""


def read_request(message: bytes, served: Served) -> Optional[Request]:
    """Return the request in the first message of a client; None for a check of the availability.

    Args:
        message: First message, with its length.
        served: Board that the request is for.

    Raises:
        Refused: The request is invalid or not permitted.
    """
    arguments = _arguments(message)
    if not arguments:
        return None
    if arguments[0] != CONSTRUCTOR:
        raise Refused(
            f"Invalid session constructor: expected {CONSTRUCTOR}, got {_short(arguments[0])}.",
            "Tune with module_loader=tvm.micro.AutoTvmModuleLoader(...).",
        )
    archive, _template, options, project_dir, use_existing = (*arguments[1:6], *[None] * 5)[:5]
    if not isinstance(archive, bytes):
        raise Refused("The request contains no model archive.", "Build with tvm.micro.autotvm_build_func.")
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise too_large(len(archive))
    if use_existing or project_dir:
        raise Refused(
            "project_dir and use_existing name a directory on the machine that serves the board.",
            "Remove both from AutoTvmModuleLoader: every session is built in a new directory.",
        )
    return Request(archive, _options(options, served))


def too_large(size: int) -> Refused:
    """Return the error for a model archive of `size` bytes, or for a request of that size."""
    return Refused(
        f"The model archive is too large: expected at most {MAX_ARCHIVE_BYTES:,} bytes, got {size:,}.",
        "Tune one operator at a time.",
    )


def _arguments(message: bytes) -> Tuple[Any, ...]:
    try:
        code, version_length = struct.unpack_from("<iQ", message, 8)
        if code != INIT_SERVER:
            raise Refused(
                f"Invalid first message of the client: expected code {INIT_SERVER}, got {code}.",
                "Connect with the RPC client of TVM.",
            )
        return tuple(decode_sequence(message, 8 + 12 + version_length))
    except (struct.error, OverflowError, ProtocolError) as error:
        raise Refused(
            "The first message of the client cannot be decoded.", "Connect with the RPC client of TVM."
        ) from error


def _options(text: Any, served: Served) -> Dict[str, Any]:
    """Return all project options, coerced, from the JSON string `text` of a client."""
    if text is not None and (not isinstance(text, str) or len(text) > MAX_OPTIONS_CHARS):
        raise Refused(
            f"Invalid project options: expected a JSON string of at most {MAX_OPTIONS_CHARS:,} characters.",
            "Send fewer or shorter project options.",
        )
    try:
        wanted = json.loads(text or "null") or {}
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"The project options are not valid JSON: {error}.", "Pass a dict to AutoTvmModuleLoader."
        ) from error
    if not isinstance(wanted, dict):
        raise Refused(
            f"Invalid project options: expected a JSON object, got {type(wanted).__name__}.",
            "Pass a dict to AutoTvmModuleLoader.",
        )
    declared = project_options(served.boards)
    try:
        options = server.coerce_options(declared, wanted)
    except server.OptionError as error:
        raise Refused(error.what, error.next_step) from error
    named = {server.OPTION_ALIASES.get(name) or name for name, value in wanted.items() if value is not None}
    _check(named, options, declared, served)
    return {**options, "board": served.board, "serial_number": served.serial_number}


def _check(
    named: Set[str],
    options: Mapping[str, Any],
    declared: Sequence[server.ProjectOption],
    served: Served,
) -> None:
    """Raise Refused for an option that a client may not set. An option with its default value is ignored."""
    defaults = {option.name: option.default for option in declared}
    given = {name: options[name] for name in named if options[name] not in (None, "", defaults[name])}
    for name in sorted(given):
        if name not in TAKEN:
            raise Refused(
                f"Project option {name} configures the machine that serves the board. "
                "A client cannot set this option.",
                f"Remove {name} from the project options.",
            )
    if "board" in named and options["board"] != served.board:
        raise Refused(
            f"Wrong board in the project options: expected {served.board!r}, got {options['board']!r}.",
            f"Set board={served.board}, or request a board with another key from the tracker.",
        )
    # The module loader of TVM sends the tracker's key as the serial number.
    if given.get("serial_number") not in (None, served.key, served.serial_number):
        raise Refused(
            f"Serial number {given['serial_number']!r} does not match: the board's key is {served.key!r}.",
            "Remove serial_number from the project options: the tracker's key selects the board.",
        )
    if options["project_type"] != "host_driven":
        raise Refused("A standalone firmware has no session.", "Set project_type=host_driven.")


def _short(value: Any) -> str:
    return repr(value)[:80]
