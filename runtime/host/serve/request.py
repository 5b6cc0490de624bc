# SPDX-License-Identifier: Apache-2.0
"""What a client of TVM's RPC may ask a served board for, and what is refused.

A client that tunes asks for a session made by tvm.micro.compile_and_create_micro_session, with these
arguments: the model archive, the path of a template, project options as JSON, the directory for the project
or null, whether to use what is there. The paths are meant for the machine of the board: none is used. A
client that only looks whether there is a board asks for a session with no arguments.

The first message: i32 code 2, text (the version of the protocol), packed sequence of the arguments.
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
"""An operator's archive takes some 100 KB, and some MB where TVM's own C runtime is packed in."""
MAX_OPTIONS_CHARS: Final = 64 << 10
MAX_REQUEST_BYTES: Final = MAX_ARCHIVE_BYTES + (1 << 20)

TAKEN: Final = (
    *("board", "serial_number", "project_type", "verbose"),
    *("warning_as_error", "compile_definitions", "optimization", "workspace_size_bytes"),
)
"""The project options that a client may set. The others name a path of the machine that the board is attached
to, how it is attached, or a command."""


class Request(NamedTuple):
    """A model archive to be built and run. options: coerced project options, all of them."""

    archive: bytes
    options: Dict[str, Any]


class Served(NamedTuple):
    """The board that requests are for, under which key; serial_number: its own, where one was given."""

    key: str
    board: str
    boards: Dict[str, Board]
    serial_number: Optional[str] = None


class Refused(PlatformError):
    """A request that is not for this board, or reaches beyond it."""


def read_request(message: bytes, served: Served) -> Optional[Request]:
    """The request in a client's first message; None where it only looks. Raises Refused."""
    arguments = _arguments(message)
    if not arguments:
        return None
    if arguments[0] != CONSTRUCTOR:
        raise Refused(
            f"This board takes sessions of {CONSTRUCTOR} only, not of {_short(arguments[0])}.",
            "Tune with module_loader=tvm.micro.AutoTvmModuleLoader(...).",
        )
    archive, _template, options, project_dir, use_existing = (*arguments[1:6], *[None] * 5)[:5]
    if not isinstance(archive, bytes):
        raise Refused("The request holds no model archive.", "Build with tvm.micro.autotvm_build_func.")
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise too_large(len(archive))
    if use_existing or project_dir:
        raise Refused(
            "project_dir and use_existing name a directory of the machine that the board is attached to.",
            "Leave them out of AutoTvmModuleLoader: each session is built in a directory of its own.",
        )
    return Request(archive, _options(options, served))


def too_large(size: int) -> Refused:
    """What is said of a model archive of so many bytes, or a request that holds one."""
    return Refused(
        f"The model archive has {size:,} bytes; this board takes {MAX_ARCHIVE_BYTES:,}.",
        "Tune one operator at a time.",
    )


def _arguments(message: bytes) -> Tuple[Any, ...]:
    try:
        code, version_length = struct.unpack_from("<iQ", message, 8)
        if code != INIT_SERVER:
            raise Refused("The client asks before it has opened a session.", "Use the RPC client of TVM.")
        return tuple(decode_sequence(message, 8 + 12 + version_length))
    except (struct.error, OverflowError, ProtocolError) as error:
        raise Refused("The client's first message cannot be read.", "Use the RPC client of TVM.") from error


def _options(text: Any, served: Served) -> Dict[str, Any]:
    """Coerced project options from JSON, each one of those that are taken from afar."""
    if text is not None and (not isinstance(text, str) or len(text) > MAX_OPTIONS_CHARS):
        raise Refused("The project options are not a JSON text, or too long a one.", "Send fewer.")
    try:
        wanted = json.loads(text or "null") or {}
    except (ValueError, RecursionError) as error:
        raise Refused(f"The project options are not JSON: {error}.", "Send them as TVM does.") from error
    if not isinstance(wanted, dict):
        raise Refused("The project options are no table.", "Give AutoTvmModuleLoader a dict.")
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
    """Raise Refused for what a client may not choose. Named with its default, an option chooses nothing."""
    defaults = {option.name: option.default for option in declared}
    given = {name: options[name] for name in named if options[name] not in (None, "", defaults[name])}
    for name in sorted(given):
        if name not in TAKEN:
            raise Refused(
                f"The project option {name} is about the machine that the board is attached to, "
                "and is not taken from a client.",
                "Leave it out; who serves the board decides it.",
            )
    if "board" in named and options["board"] != served.board:
        raise Refused(
            f"This is a board {served.board}, and the project options want {options['board']!r}.",
            f"Say board={served.board}, or ask the tracker for a board by another key.",
        )
    # The module loader of TVM puts the key there, meant as a name of the board.
    if given.get("serial_number") not in (None, served.key, served.serial_number):
        raise Refused(
            f"This board is served as {served.key}, and not as serial number {given['serial_number']!r}.",
            "Leave serial_number out: the tracker's key chooses the board.",
        )
    if options["project_type"] != "host_driven":
        raise Refused("A standalone firmware holds no session.", "Use project_type=host_driven.")


def _short(value: Any) -> str:
    return repr(value)[:80]
