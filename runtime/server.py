# SPDX-License-Identifier: Apache-2.0
"""The microTVM Project API server of a platform: JSON-RPC 2.0 over two pipes, one line per message.

TVM starts `microtvm_api_server.py --read-fd N --write-fd M [--debug]` in the platform's or project's
directory. That script makes a handler and calls `server.main(handler)`:

    from runtime import server

    class Handler(server.ProjectAPIHandler):
        project_options = server.default_project_options()
        ...                                     # the eight methods of ProjectAPIHandler

    if __name__ == "__main__":
        server.main(Handler())

This file needs only the standard library of CPython 3.8 or later. It is tested on 3.8, 3.10, 3.12 and 3.13.
Names and parameters follow the Project API. A handler written for TVM's own `server` module therefore runs
here unchanged.

The imports of this module dominate the start-up time of the server. Modules that only errors, signals or
transports need are therefore imported where they are used.

Sections, each under a line of dashes:

1. base85: encoding of the bytes in requests and replies, as in TVM's own client
2. errors
3. options
4. handler interface: the methods that a platform implements
5. reading and checking requests
6. the server
7. helpers for transports: kept for handlers that were written for TVM's server
8. ending all child processes
9. main
"""

from __future__ import annotations

import abc
import collections
import enum
import io
import json
import math
import os
import sys
import time

# Type checkers treat this name as true. Importing typing would slow down every start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    import types
    from typing import (
        Any,
        BinaryIO,
        Callable,
        Dict,
        FrozenSet,
        Iterable,
        Iterator,
        List,
        Mapping,
        Optional,
        Sequence,
        Set,
        Tuple,
        Type,
        Union,
    )

    BytesLike = Union[bytes, bytearray, memoryview]
    Json = Dict[str, Any]

# ------------------------------------------------------------------------------------------------- 1. base85
#
# RFC 1924's alphabet, four bytes to five characters, like base64.b85encode. Both directions treat a block of
# data as one big integer with a lane for each 32-bit word. One operation on that integer processes all words
# in C, about ten times faster than a loop over the words.

_B85_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_NO_DIGIT = 0xFF
_B85_TO_DIGIT = bytes(_B85_ALPHABET.find(character) & _NO_DIGIT for character in range(256))
_B85_FROM_DIGIT = _B85_ALPHABET + bytes(256 - 85)

_BLOCK_WORDS = 2048  # even; larger blocks do not fit into the first-level cache
_FEW_BYTES = 16  # up to this size the set-up of a block costs more than a loop


def _lanes(pattern: str) -> int:
    """Return the mask of a block, or of a shorter one, from the hexadecimal `pattern` of one or two lanes."""
    return int.from_bytes(bytes.fromhex(pattern) * _BLOCK_WORDS, "big")


_WORD_OF_8 = _lanes("00000000ffffffff")
_20_BITS_OF_8 = _lanes("00000000000fffff")
_7_BITS_OF_4 = _lanes("0000007f")
_DIGITS_2_AND_4_OF_5 = _lanes("0000ff00ff")
_LOW_PAIR_OF_5 = _lanes("000000ffff")
_LAST_DIGIT_OF_5 = _lanes("00000000ff")


def b85encode(data: BytesLike) -> bytes:
    """Return the base85 string of `data`: five characters for four bytes, n + 1 for the last n bytes."""
    if not isinstance(data, bytes):
        data = memoryview(data).tobytes()
    if len(data) <= _FEW_BYTES:
        return _encode_few(data)
    size = 4 * _BLOCK_WORDS
    if len(data) <= size:
        return _encode_block(data)
    return b"".join([_encode_block(data[at : at + size]) for at in range(0, len(data), size)])


def _encode_few(data: bytes) -> bytes:
    digits = bytearray()
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4].ljust(4, b"\0"), "big")
        digits += bytes((word // 85**4, word // 85**3 % 85, word // 85**2 % 85, word // 85 % 85, word % 85))
    return bytes(digits.translate(_B85_FROM_DIGIT)[: len(digits) - -len(data) % 4])


def _encode_block(data: bytes) -> bytes:
    padding = -len(data) % 4
    if padding:
        data += bytes(padding)
    size = len(data)
    word = int.from_bytes(data, "big")
    # word = first * 7225**2 + upper * 7225 + lower, where 7225 = 85**2. Division is multiplication by the
    # scaled reciprocal; tests/server/test_base85.py checks the constants at the limits of a lane.
    #
    # The products need 64 bits: even and odd words are divided separately, in lanes of eight bytes.
    quotient = (((word & _WORD_OF_8) * 2434904643) >> 44) & _20_BITS_OF_8
    quotient |= ((((word >> 32) & _WORD_OF_8) * 2434904643 >> 44) & _20_BITS_OF_8) << 32
    lower = word - quotient * 7225
    first = ((quotient & _WORD_OF_8) * 1188919 >> 33) & _20_BITS_OF_8
    first |= ((((quotient >> 32) & _WORD_OF_8) * 1188919 >> 33) & _20_BITS_OF_8) << 32
    upper = quotient - first * 7225
    # A pair p < 7225 becomes two bytes, p // 85 and p % 85: p + (256 - 85) * (p // 85).
    upper += ((upper * 12337 >> 20) & _7_BITS_OF_4) * 171
    lower += ((lower * 12337 >> 20) & _7_BITS_OF_4) * 171
    others = ((upper << 16) | lower).to_bytes(size, "big")
    digits = bytearray(size // 4 * 5)
    digits[0::5] = first.to_bytes(size, "big")[3::4]
    for column in range(4):
        digits[column + 1 :: 5] = others[column::4]
    text = bytes(digits.translate(_B85_FROM_DIGIT))
    return text[:-padding] if padding else text


def b85decode(text: Union[str, BytesLike]) -> bytes:
    """Return the bytes of the base85 string `text`.

    Raises:
        ValueError: A character is not in the alphabet, or five characters exceed 32 bits.
    """
    if isinstance(text, str):
        text = text.encode("ascii")
    elif not isinstance(text, bytes):
        text = memoryview(text).tobytes()
    size = 5 * _BLOCK_WORDS
    if len(text) <= size:
        return _decode_block(text, 0)
    return b"".join([_decode_block(text[at : at + size], at) for at in range(0, len(text), size)])


def _decode_block(text: bytes, start: int) -> bytes:
    padding = -len(text) % 5
    digits = text.translate(_B85_TO_DIGIT)
    if _NO_DIGIT in digits:
        raise _b85_fault(digits, start)
    if padding:
        digits += b"\x54" * padding  # the largest digit: rounds up the bytes that are cut off below
    size = len(digits)
    number = int.from_bytes(digits, "big")
    # Lanes of five bytes, one digit per byte: first the pairs d1 * 85 + d2 and d3 * 85 + d4, then the word.
    # The word of an invalid string may need a 33rd bit, which lands in the first byte of the lane.
    pairs = ((number >> 8) & _DIGITS_2_AND_4_OF_5) * 85 + (number & _DIGITS_2_AND_4_OF_5)
    words = ((number >> 32) & _LAST_DIGIT_OF_5) * 85**4
    words += ((pairs >> 16) & _LOW_PAIR_OF_5) * 85**2 + (pairs & _LOW_PAIR_OF_5)
    data = bytearray(words.to_bytes(size, "big"))
    if any(data[0::5]):
        raise _b85_fault(digits, start)
    del data[0::5]
    return bytes(data[: len(data) - padding] if padding else data)


def _b85_fault(digits: bytes, start: int) -> ValueError:
    """Return the error of the first invalid group of a block that begins at character `start`."""
    for at in range(0, len(digits), 5):
        group = digits[at : at + 5]
        if _NO_DIGIT in group:
            position = start + at + group.index(_NO_DIGIT)
            return ValueError(f"bad base85 character at position {position}")
        value = 0
        for digit in group.ljust(5, b"\x54"):
            value = value * 85 + digit
        if value > 0xFFFFFFFF:
            return ValueError(f"base85 overflow in hunk starting at byte {start + at}")
    raise AssertionError("all groups of the block are valid")


# ------------------------------------------------------------------------------------------------- 2. errors


class ErrorCode(enum.IntEnum):
    """Codes of JSON-RPC 2.0, and SERVER_ERROR of the Project API for a valid request that failed."""

    SERVER_ERROR = -32000
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    PARSE_ERROR = -32700


class JSONRPCError(Exception):
    """An error that is sent as a reply with its code, message and data.

    Clients print data["traceback"] unchanged.
    """

    def __init__(
        self, code: int, message: str, data: Any = None, client_context: Optional[str] = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.data = data
        self.client_context = client_context

    def to_json(self) -> Json:
        """Return the JSON-RPC error object."""
        return {"code": int(self.code), "message": str(self.message), "data": self.data}

    def __str__(self) -> str:
        text = f"JSON-RPC error # {int(self.code)}: {self.message}"
        if isinstance(self.data, dict) and self.data.get("traceback"):
            text += f"\n{self.data['traceback']}"
        elif self.data:
            text += f"\n{self.data!r}"
        return text

    @classmethod
    def from_json(cls, client_context: Optional[str], json_error: Mapping[str, Any]) -> JSONRPCError:
        """Return the exception for an error object that a server has sent.

        TVM's client calls this function if this file replaces TVM's own `server` module.

        Args:
            client_context: Description of the request, for the beginning of the message.
            json_error: JSON-RPC error object: code, message and, optionally, data.
        """
        code, message, data = json_error["code"], json_error["message"], json_error.get("data")
        if code != ErrorCode.SERVER_ERROR:
            return JSONRPCError(code, message, data, client_context)
        for known in _all_subclasses(ServerError):
            if known.__name__ == message:
                return known(data=data, client_context=client_context)
        return ServerError(message, data, client_context)


class ServerError(JSONRPCError):
    """A valid request that failed.

    The client shows the message of a ServerError to the user. The message of a subclass is the name of that
    class, from which the client recognizes the class. A message given to a subclass becomes
    data["traceback"], which the client prints below the name.
    """

    def __init__(
        self, message: Optional[str] = None, data: Any = None, client_context: Optional[str] = None
    ) -> None:
        name = type(self).__name__
        if type(self) is ServerError:
            if message is None:
                raise TypeError("ServerError: expected a message, got None. Only subclasses need no message.")
            name = message
        elif message is not None and data is None:
            data = {"traceback": message}
        super().__init__(ErrorCode.SERVER_ERROR, name, data, client_context)

    def __str__(self) -> str:
        return f"{self.client_context}: {super().__str__()}" if self.client_context else super().__str__()

    @classmethod
    def from_exception(cls, exc: BaseException, **kw: Any) -> ServerError:
        """Return an error that carries the traceback of `exc`.

        Args:
            exc: Exception that was raised.
            kw: Arguments of the error's constructor.
        """
        error = cls(**kw)
        error.set_traceback(_traceback_lines(exc))
        return error

    def set_traceback(self, traceback: Iterable[str]) -> None:
        """Set data["traceback"] to the lines of a traceback, unless it is already set."""
        if self.data is None:
            self.data = {}
        if isinstance(self.data, dict) and "traceback" not in self.data:
            self.data["traceback"] = "".join(traceback)


class TransportClosedError(ServerError):
    """The transport is not usable: not open, closed, unplugged, or its process has exited."""


class IoTimeoutError(ServerError):
    """A read or a write was not complete before its timeout expired."""


class UnsupportedTVMVersionError(ServerError):
    """A TVM version that this platform does not support sent server_info_query."""


def _all_subclasses(parent: Type[ServerError]) -> Iterator[Type[ServerError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _all_subclasses(child)


def _traceback_lines(error: BaseException) -> List[str]:
    import traceback  # only a failure needs it

    # The header avoids the word "Traceback": TVM drops inner lines that begin with it when it prints an
    # error that crossed its C++ code.
    lines = traceback.TracebackException.from_exception(error).format()
    return [
        line.replace("Traceback (most recent call last)", "In the API server (most recent call last)", 1)
        for line in lines
    ]


def _is_explained(error: Optional[BaseException]) -> bool:
    return isinstance(getattr(error, "what", None), str) and isinstance(
        getattr(error, "next_step", None), str
    )


def failure_reply(error: BaseException, method: str) -> Json:
    """Return the JSON-RPC error object for an exception of a handler.

    * JSONRPCError and its subclasses keep their code, message and data. A ServerError without a traceback
      gets its own. If it was raised `from` an exception with the attributes `what` and `next_step`, these
      sentences replace the traceback.
    * For an exception with the attributes `what`, `next_step` and (optional) `log`, the two sentences are the
      message. data.traceback is the log, if any; the Python traceback is left out.
    * For any other exception, method, type and text are the message, and data.traceback is the traceback.

    Args:
        error: Exception that the handler raised.
        method: Name of the handler's method.
    """
    if isinstance(error, ServerError):
        if _is_explained(error.__cause__):
            error.set_traceback([_explanation(error.__cause__), "\n", _log_of(error.__cause__)])
        elif isinstance(error, IoTimeoutError):
            # Timeouts are frequent and expected: no traceback.
            error.set_traceback([f"{method}: not complete before the timeout expired\n"])
        else:
            error.set_traceback(_traceback_lines(error))
        return error.to_json()
    if isinstance(error, JSONRPCError):
        return error.to_json()
    if _is_explained(error):
        log = _log_of(error)
        # TVM prints empty data as {'traceback': ''}.
        return ServerError(_explanation(error), {"traceback": log} if log else None).to_json()
    text = str(error)
    message = f"{method} failed: {type(error).__name__}" + (f": {text}" if text else "")
    return ServerError.from_exception(error, message=message).to_json()


def _explanation(error: Any) -> str:
    return "\n".join(shortened(sentence, _LONGEST_SENTENCE) for sentence in (error.what, error.next_step))


def _log_of(error: Any) -> str:
    return str(getattr(error, "log", ""))


_LONGEST_NAME = 80  # all names of this server are shorter; a comparison takes quadratic time
_LONGEST_SHOWN = 80  # characters of a value in a message
_LONGEST_SENTENCE = 2_000
_LONGEST_MESSAGE = 2 * _LONGEST_SENTENCE + 100
_LONGEST_LOG = 100_000
_SHOWN_END = 300  # characters kept at the end of a cut sentence, where the cause is


def printable(text: str) -> str:
    """Return `text` with every control character except tab and line feed as an escape.

    Strings of archives, boards.json and devices pass through this function before they are printed. An escape
    sequence could otherwise move the cursor of a terminal or change its title. Writing directions and lone
    surrogates are also escaped.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text.replace("\r\n", "\n")
    )


def shortened(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Return `text`, or `longest` characters of it with dots at the cut.

    If `longest` exceeds 600 characters, the last 300 characters of `text` are kept as well.
    """
    if len(text) <= longest:
        return text
    end = text[-_SHOWN_END:] if longest > 2 * _SHOWN_END else ""
    return f"{text[: longest - len(end)]}...{end}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the name of `known` that is closest to `name`, or with all of `known`."""
    names = sorted(known)
    close = []
    if len(name) <= _LONGEST_NAME:
        import difflib  # only a misspelling needs it

        close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Use one of: {', '.join(names)}."


def _shown(value: Any) -> str:
    """Return type and value for "expected X, got Y", short enough for a message."""
    names = {"dict": "object", "list": "array", "NoneType": "null"}
    name = names.get(type(value).__name__, type(value).__name__)
    if value is None:
        return name
    if isinstance(value, str):
        value = value[: _LONGEST_SHOWN + 1]
    text = ""
    try:
        for piece in json.JSONEncoder(default=repr).iterencode(value):
            text += piece[: _LONGEST_SHOWN + 1]
            if len(text) > _LONGEST_SHOWN:
                break
    except RecursionError:
        return f"{name}, deeply nested"
    return f"{name} {shortened(text)}"


# ------------------------------------------------------------------------------------------------- 3. options

_ProjectOption = collections.namedtuple(  # typing is not imported here
    "_ProjectOption", ("name", "choices", "default", "type", "required", "optional", "help")
)


class ProjectOption(_ProjectOption):
    """One option of a platform, as in the reply to server_info_query.

    Attributes:
        name: Name of the option.
        choices: Allowed values, or None.
        default: Value if a client does not set the option.
        type: "bool", "int", "str" or "list".
        required: Names of the methods that require the option, or None.
        optional: Names of the methods that accept the option, or None.
        help: Help text.
    """

    __slots__ = ()

    def __new__(cls, name: str, **kw: Any) -> ProjectOption:
        """Return the option; `kw` holds the other fields.

        Raises:
            TypeError: `type` or `help` is missing, or both `required` and `optional`.
        """
        for needed in ("type", "help"):
            if needed not in kw:
                raise TypeError(f'ProjectOption "{name}": expected {needed}=, got none')
        if kw.get("required") is None and kw.get("optional") is None:
            raise TypeError(
                f'ProjectOption "{name}": expected required= or optional=, lists of methods, got neither'
            )
        for field in ("choices", "default", "required", "optional"):
            kw.setdefault(field, None)
        return super().__new__(cls, name=name, **kw)

    def replace(self, attributes: Mapping[str, Any]) -> ProjectOption:
        """Return a copy with the fields of the dict `attributes` changed.

        Raises:
            ValueError: A key of `attributes` is not a field.
        """
        for field in attributes:
            if field not in self._fields:
                raise ValueError(f'ProjectOption has no field "{field}". {did_you_mean(field, self._fields)}')
        return self._replace(**attributes)


# Names of these options in older versions of TVM.
OPTION_ALIASES = {
    "zephyr_board": "board",
    "arduino_board": "board",
    "nrfjprog_snr": "serial_number",
    "openocd_serial": "serial_number",
    "heap_size_bytes": "workspace_size_bytes",
    "memory_size_bytes": "workspace_size_bytes",
}


def default_project_options(**overrides: Mapping[str, Any]) -> List[ProjectOption]:
    """Return the seven options that every platform has.

    Args:
        overrides: Fields to change, by option: board={"choices": ["host"]}.

    Raises:
        ValueError: An override does not name one of the seven options.
    """

    def option(name: str, kind: str, text: str, default: Any = None, required: bool = False) -> ProjectOption:
        when = {"required" if required else "optional": ["generate_project"]}
        return ProjectOption(name, type=kind, help=text, default=default, **when)

    options = [
        option("verbose", "bool", "Show every command of the build.", default=False),
        option("project_type", "str", "Kind of project to generate.", required=True),
        option("board", "str", "Name of the board to build for.", required=True),
        option("cmsis_path", "str", "Folder that holds CMSIS."),
        option("warning_as_error", "bool", "Fail the build on a compiler warning.", default=False),
        option("compile_definitions", "str", "Additional preprocessor definitions."),
        option("extra_files_tar", "str", "Tar file that is unpacked into the new project."),
    ]
    names = [each.name for each in options]
    for name in overrides:
        if name not in names:
            raise ValueError(f'Unknown default project option "{name}". {did_you_mean(name, names)}')
    return [each.replace(overrides.get(each.name, {})) for each in options]


class OptionError(JSONRPCError):
    """A project option that is unknown, missing or invalid.

    The code is SERVER_ERROR: for this code tvmc prints the message, for any other code its own traceback.

    Attributes:
        what: Sentence that describes the problem.
        next_step: Sentence that describes the fix.
        log: Always empty; part of the interface of explained errors.
    """

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(ErrorCode.SERVER_ERROR, f"{what}\n{next_step}")
        self.what = what
        self.next_step = next_step
        self.log = ""


def coerce_options(
    declared: Sequence[ProjectOption], given: Optional[Mapping[str, Any]], method: Optional[str] = None
) -> Dict[str, Any]:
    """Return every declared option with a value of its declared type: the given value, or the default.

    Args:
        declared: Options of the platform.
        given: Names and values from a client; not modified. An option with the value None counts as not
            given, even with an unknown name: newer clients send every unset option to every method. Old names
            of a declared option (OPTION_ALIASES) are accepted.
        method: Method whose required options must be given; None checks no required options.

    Raises:
        OptionError: An option is unknown, invalid or missing.
    """
    by_name = {option.name: option for option in declared}
    values: Dict[str, Any] = {}
    source: Dict[str, str] = {}
    for given_name, raw in (given or {}).items():
        if raw is None:
            continue
        name = given_name if given_name in by_name else OPTION_ALIASES.get(given_name, given_name)
        if name not in by_name:
            known = list(by_name) + [old for old, new in OPTION_ALIASES.items() if new in by_name]
            raise OptionError(
                f'Unknown project option "{shortened(given_name)}".', did_you_mean(given_name, known)
            )
        value = coerce_option(by_name[name], raw)
        if name in values and values[name] != value:
            raise OptionError(
                f'Project options "{source[name]}" and "{given_name}" are two names of one option, '
                f"but have different values: {_shown(values[name])} and {_shown(value)}.",
                f'Set only "{name}".',
            )
        values[name], source[name] = value, given_name
    for name, option in by_name.items():
        if name not in values and option.default is None and method in (option.required or ()):
            raise OptionError(
                f'Project option "{name}" is missing; {method} requires it.',
                f"Add {name}=VALUE to the project options: {option.help}{_choices_text(option)}",
            )
    return {
        name: values[name] if name in values else _own_copy(option.default)
        for name, option in by_name.items()
    }


def _own_copy(default: Any) -> Any:
    return list(default) if isinstance(default, (list, tuple)) else default


def _choices_text(option: ProjectOption) -> str:
    return f" Choices: {', '.join(map(str, option.choices))}." if option.choices else ""


def coerce_option(option: ProjectOption, value: Any) -> Any:
    """Return `value` converted to the type of `option`.

    Args:
        option: Its type is "bool", "int", "str" or "list" of str; for any other type `value` is returned.
        value: Value from a client, not None. Command line clients send every value as a string.

    Raises:
        OptionError: `value` does not have the type, or is not one of the choices.
    """
    parse, want = _TYPES.get(option.type, (lambda any_value: any_value, ""))
    try:
        parsed = parse(value)
    except ValueError:
        raise OptionError(
            f'Project option "{option.name}": expected {option.type}, got {_shown(value)}.',
            f'Set "{option.name}" to {want}.',
        ) from None
    if option.choices:
        for item in parsed if isinstance(parsed, list) else [parsed]:
            if item not in option.choices:
                raise OptionError(
                    f'Project option "{option.name}": expected one of {", ".join(map(str, option.choices))}, '
                    f"got {_shown(item)}.",
                    did_you_mean(str(item), map(str, option.choices)),
                )
    return parsed


def _as_bool(value: Any) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
    elif isinstance(value, int) and value in (0, 1):  # includes bool
        return bool(value)
    raise ValueError


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value, 10)
        except ValueError:
            return int(value, 0)  # 0x... and 0b..., for addresses and sizes
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError


def _as_str(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def _as_list(value: Any) -> List[str]:
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            value = json.loads(value)
        else:
            value = [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, (list, tuple)):
        return [_as_str(item) for item in value]
    raise ValueError


_TYPES: Dict[str, Tuple[Callable[[Any], Any], str]] = {
    "bool": (_as_bool, "true or false (also yes or no, on or off, 1 or 0)"),
    "int": (_as_int, "an integer, such as 4096 or 0x1000"),
    "str": (_as_str, "a string"),
    "list": (_as_list, 'strings with commas between, such as a,b, or a JSON array, such as ["a","b"]'),
}


# -------------------------------------------------------------------------------------- 4. handler interface

ServerInfo = collections.namedtuple(
    "ServerInfo", ("platform_name", "is_template", "model_library_format_path", "project_options")
)
ServerInfo.__doc__ = """Result of server_info_query.

Attributes:
    platform_name: Name of the platform.
    is_template: True for a platform, False for a project.
    model_library_format_path: Model archive of a project. For a platform "", as in TVM's own servers, or
        None.
    project_options: List of ProjectOption.
"""

TransportTimeouts = collections.namedtuple(
    "TransportTimeouts",
    ("session_start_retry_timeout_sec", "session_start_timeout_sec", "session_established_timeout_sec"),
)
TransportTimeouts.__doc__ = """Result of open_transport: timeouts in seconds; 0 disables a timeout.

Attributes:
    session_start_retry_timeout_sec: Time until the host sends the session start again.
    session_start_timeout_sec: Time until the host gives up the start of a session.
    session_established_timeout_sec: Time that the host waits for a reply in an established session.
"""


class ProjectAPIHandler(metaclass=abc.ABCMeta):
    """Interface of a platform: one method per request, implemented in microtvm_api_server.py.

    Attributes:
        project_options: List of ProjectOption, or None. With a list, the methods get `options` from
            coerce_options(): all options, with values of the declared types. With None, the methods get the
            dict that the client sent.
    """

    project_options: Optional[Sequence[ProjectOption]] = None

    @abc.abstractmethod
    def server_info_query(self, tvm_version: str) -> ServerInfo:
        """Return a description of this platform or project.

        Args:
            tvm_version: tvm.__version__ of the client.

        Raises:
            UnsupportedTVMVersionError: The platform does not support this version of TVM.
        """

    @abc.abstractmethod
    def generate_project(
        self,
        model_library_format_path: pathlib.Path,
        standalone_crt_dir: pathlib.Path,
        project_dir: pathlib.Path,
        options: Dict[str, Any],
    ) -> None:
        """Write a project for a model archive.

        Args:
            model_library_format_path: Model archive.
            standalone_crt_dir: Directory of TVM's own C runtime; None if the client sends null.
            project_dir: Directory to create.
            options: Project options.
        """

    @abc.abstractmethod
    def build(self, options: Dict[str, Any]) -> None:
        """Build the project's firmware in its directory `build`."""

    @abc.abstractmethod
    def flash(self, options: Dict[str, Any]) -> None:
        """Flash the firmware to the board."""

    @abc.abstractmethod
    def open_transport(self, options: Dict[str, Any]) -> TransportTimeouts:
        """Connect to the device, so that read_transport and write_transport work."""

    @abc.abstractmethod
    def close_transport(self) -> None:
        """Disconnect; do nothing if no transport is open. The server calls this again before it exits."""

    @abc.abstractmethod
    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """Return 1 to n bytes from the device; the server calls again for the rest.

        Args:
            n: Largest number of bytes to return.
            timeout_sec: Seconds to wait for the first byte. None waits without a limit; 0 does not wait.

        Raises:
            IoTimeoutError: No byte arrived before the timeout expired.
            TransportClosedError: The transport is closed.
        """

    @abc.abstractmethod
    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Send all of `data` to the device.

        Raises:
            IoTimeoutError: The timeout expired before all of `data` was sent.
            TransportClosedError: The transport is closed.
        """

    def lend_transport(self, socket: str) -> None:
        """Pass the open device to the client, which then reads and writes it directly until it closes it.

        TVM does not send this request. The host tools send it, and fall back to read_transport and
        write_transport if a handler does not support it.

        Args:
            socket: Name of the socket on which the client listens; its protocol is documented in
                runtime/host/transports/passed_descriptors.py.
        """
        raise JSONRPCError(
            ErrorCode.METHOD_NOT_FOUND, "lend_transport: this handler cannot lend its transport"
        )


# --------------------------------------------------------------------------- 5. reading and checking requests

MAX_LINE_BYTES = 64 * 1024 * 1024  # the largest useful request is a write of a few MiB


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is not valid JSON")


_decode_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def read_line(file: BinaryIO, limit: int) -> bytes:
    """Return the next line, or b"" at end of file.

    Args:
        file: Buffered binary file.
        limit: Largest length of a line, in bytes.

    Raises:
        JSONRPCError: The line is longer; the rest of the line was skipped.
    """
    line = file.readline(limit + 1)
    if len(line) <= limit:
        return line
    while line and not line.endswith(b"\n"):
        line = file.readline(65536)
    raise JSONRPCError(
        ErrorCode.INVALID_REQUEST, f"request: expected a line of at most {limit} bytes, got a longer one"
    )


def parse_request(line: bytes) -> Json:
    """Return the JSON object of a line.

    Raises:
        JSONRPCError: The line is not UTF-8, not JSON or not an object.
    """
    try:
        request = _decode_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise JSONRPCError(
            ErrorCode.PARSE_ERROR, f"request: expected UTF-8, got {error.reason} at byte {error.start}"
        ) from None
    except RecursionError:
        raise JSONRPCError(
            ErrorCode.PARSE_ERROR, "request: expected JSON, got too many nested levels"
        ) from None
    except ValueError as error:
        raise JSONRPCError(ErrorCode.PARSE_ERROR, f"request: expected JSON, got {error}") from None
    if not isinstance(request, dict):
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST, f"request: expected one object per line, got {_shown(request)}"
        )
    return request


def request_id(request: Json) -> Union[str, int, float, None]:
    """Return the id for the reply; None if the id is missing, too long or not allowed by JSON-RPC."""
    given = request.get("id")
    if isinstance(given, float):
        return given if math.isfinite(given) else None
    if isinstance(given, str):
        return given if len(given) <= _LONGEST_ID else None
    if isinstance(given, int) and not isinstance(given, bool):
        return given if abs(given) < 10**_LONGEST_ID else None
    return None


_LONGEST_SEC = 1e12  # longer times, such as 1e999, are a mistake; null means no limit
_LONGEST_ID = 1_000  # characters or digits, since the reply repeats the id


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_object_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_LINE_BYTES and not isinstance(value, bool)


def _is_timeout(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, (int, float)) and abs(value) <= _LONGEST_SEC and not isinstance(value, bool)


_TEXT = (_is_text, "a string")
_OPTIONS = ("options", _is_object_or_null, "an object")
_TIMEOUT = ("timeout_sec", _is_timeout, "a number of seconds or null")

# Method -> its parameters: name, check, description of valid values.
METHODS: Dict[str, Tuple[Tuple[str, Callable[[Any], bool], str], ...]] = {
    "server_info_query": (("tvm_version", *_TEXT),),
    "generate_project": (
        ("model_library_format_path", *_TEXT),
        ("standalone_crt_dir", _is_text_or_null, "a string or null"),
        ("project_dir", *_TEXT),
        _OPTIONS,
    ),
    "build": (_OPTIONS,),
    "flash": (_OPTIONS,),
    "open_transport": (_OPTIONS,),
    "close_transport": (),
    "read_transport": (("n", _is_count, f"an integer from 0 to {MAX_LINE_BYTES}"), _TIMEOUT),
    "write_transport": (("data", _is_text, "a base85 string"), _TIMEOUT),
    "lend_transport": (("socket", *_TEXT),),
}


def check_request(request: Json) -> Tuple[str, List[Any]]:
    """Return the method of a request and its parameters' values, in the order of METHODS.

    Raises:
        JSONRPCError: The method is unknown, or a parameter is missing, unknown or invalid.
    """
    if request.get("jsonrpc") != "2.0":
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST, f'jsonrpc: expected "2.0", got {_shown(request.get("jsonrpc"))}'
        )
    if request.get("id") is not None and request_id(request) is None:
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST,
            f"id: expected a string, a number or null, got {_shown(request['id'])}",
        )
    method = request.get("method")
    if not isinstance(method, str):
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, f"method: expected a string, got {_shown(method)}")
    declared = METHODS.get(method)
    if declared is None:
        raise JSONRPCError(
            ErrorCode.METHOD_NOT_FOUND,
            f"unknown method {_shown(method)}. {did_you_mean(method, METHODS)}",
        )
    params = request.get("params", {})
    if not isinstance(params, dict):
        code = ErrorCode.INVALID_PARAMS if isinstance(params, list) else ErrorCode.INVALID_REQUEST
        raise JSONRPCError(code, f"params: expected an object (parameters by name), got {_shown(params)}")
    values = []
    for name, accepts, want in declared:
        if name not in params:
            raise JSONRPCError(ErrorCode.INVALID_PARAMS, f"{method}: parameter {name} is missing")
        value = params[name]
        if not accepts(value):
            raise JSONRPCError(
                ErrorCode.INVALID_PARAMS, f"{method}: parameter {name}: expected {want}, got {_shown(value)}"
            )
        values.append(value)
    if len(params) > len(declared):
        names = [name for name, _, _ in declared]
        extra = next(name for name in params if name not in names)
        hint = did_you_mean(extra, names) if names else "The method has no parameters."
        raise JSONRPCError(ErrorCode.INVALID_PARAMS, f"{method}: unknown parameter {_shown(extra)}. {hint}")
    return method, values


# ---------------------------------------------------------------------------------------------- 6. the server


class ProjectAPIServer:
    """JSON-RPC server that serves one request at a time with the methods of a handler.

    Every request gets a reply, even an invalid one, and the server continues with the next request.

    Args:
        read_file: Binary file, raw or buffered, that requests are read from.
        write_file: Binary file, raw or buffered, that replies are written to.
        handler: Implementation of the requests.
    """

    _PROTOCOL_VERSION = 1

    def __init__(self, read_file: BinaryIO, write_file: BinaryIO, handler: ProjectAPIHandler) -> None:
        # readline() of a raw file would read single bytes.
        raw = isinstance(read_file, io.RawIOBase)
        self._read_file = io.BufferedReader(read_file, 65536) if raw else read_file  # type: ignore[type-var]
        self._write_file = write_file
        self._handler = handler
        self._log: Optional[Callable[..., None]] = None
        self._early = bytearray()  # bytes of the device that no read_transport has returned yet
        self.broken = ""
        """Reason why the server can no longer read or write; empty if the client disconnected."""
        # Each function returns its result as a JSON string.
        self._answers: Dict[str, Callable[..., str]] = {
            "server_info_query": self._server_info_query,
            "generate_project": self._generate_project,
            "build": self._build,
            "flash": self._flash,
            "open_transport": self._open_transport,
            "close_transport": self._close_transport,
            "read_transport": self._read_transport,
            "write_transport": self._write_transport,
            "lend_transport": self._lend_transport,
        }

    def log_to(self, log: Callable[..., None]) -> None:
        """Call log(format, text) for every request, reply and traceback."""
        self._log = log

    def serve_forever(self) -> None:
        """Serve requests until the client disconnects."""
        while self.serve_one_request():
            pass

    def serve_one_request(self) -> bool:
        """Serve one request. Return whether the client is still connected."""
        try:
            line = read_line(self._read_file, MAX_LINE_BYTES)
        except JSONRPCError as error:
            return self._send(_error_line(None, error.to_json()))
        except OSError as error:
            self.broken = f"cannot read a request: {error.strerror or error}"
            return False
        if not line:
            return False
        if self._log:
            self._log("request %s", line[:1000])
        return self._send(self._answer(line))

    def _answer(self, line: bytes) -> str:
        """Return the reply to a line. An exception of the handler becomes an error reply."""
        reply_id = None
        try:
            request = parse_request(line)
            reply_id = request_id(request)
            method, values = check_request(request)
        except JSONRPCError as error:
            return _error_line(reply_id, error.to_json())
        except MemoryError:
            too_large = JSONRPCError(ErrorCode.INVALID_REQUEST, "request: does not fit into memory")
            return _error_line(None, too_large.to_json())
        try:
            result = self._answers[method](*values)
        except Stop:
            raise
        except (Exception, SystemExit) as error:  # a library of the handler may call sys.exit()
            if self._log:
                self._log("%s", "".join(_traceback_lines(error)))
            return _failure_line(reply_id, error, method)
        shown_id = (
            str(reply_id) if type(reply_id) is int else json.dumps(reply_id)
        )  # str() is faster, and TVM's ids are integers
        return f'{{"jsonrpc":"2.0","id":{shown_id},"result":{result}}}\n'

    def _send(self, reply: str) -> bool:
        """Write a reply. Return whether the client can still receive replies."""
        if self._log:
            self._log("reply %s", reply[:1000])
        try:
            write_all(self._write_file, reply.encode("ascii"))
        except BrokenPipeError:
            return False
        except OSError as error:  # for example a full disk, if replies go to a file
            self.broken = f"cannot write a reply: {error.strerror or error}"
            return False
        return True

    def _server_info_query(self, tvm_version: str) -> str:
        info = self._handler.server_info_query(tvm_version)
        try:
            archive = info.model_library_format_path
            result = {
                "platform_name": info.platform_name,
                "is_template": info.is_template,
                "model_library_format_path": None if archive is None else str(archive),
                "project_options": [_option_reply(option) for option in info.project_options],
                "protocol_version": self._PROTOCOL_VERSION,
            }
            return json.dumps(result)
        except (AttributeError, TypeError, ValueError) as error:
            raise JSONRPCError(
                ErrorCode.INTERNAL_ERROR,
                f"server_info_query: expected a ServerInfo from the handler, got {info!r} ({error})",
            ) from error

    def _generate_project(
        self, archive: str, standalone_crt_dir: Optional[str], project_dir: str, options: Optional[Json]
    ) -> str:
        from pathlib import Path  # importing pathlib takes as long as the rest of the start

        self._handler.generate_project(
            Path(archive),
            None if standalone_crt_dir is None else Path(standalone_crt_dir),  # type: ignore[arg-type]
            Path(project_dir),
            self._options("generate_project", options),
        )
        return "null"

    def _build(self, options: Optional[Json]) -> str:
        self._handler.build(self._options("build", options))
        return "null"

    def _flash(self, options: Optional[Json]) -> str:
        self._handler.flash(self._options("flash", options))
        return "null"

    def _open_transport(self, options: Optional[Json]) -> str:
        self._early.clear()
        timeouts = self._handler.open_transport(self._options("open_transport", options))
        try:
            named = {name: getattr(timeouts, name) for name in TransportTimeouts._fields}
            return json.dumps({"timeouts": named})
        except (AttributeError, TypeError) as error:
            raise JSONRPCError(
                ErrorCode.INTERNAL_ERROR,
                f"open_transport: expected TransportTimeouts from the handler, got {timeouts!r} ({error})",
            ) from error

    def _close_transport(self) -> str:
        self._early.clear()
        self._handler.close_transport()
        return "null"

    def _read_transport(self, n: int, timeout_sec: Optional[float]) -> str:
        # Base85 has no character that JSON must escape.
        return f'{{"data":"{b85encode(self._read_exactly(n, timeout_sec)).decode("ascii")}"}}'

    def _read_exactly(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """Return n bytes from the device. Bytes that arrive before a timeout are kept for the next read."""
        early = self._early
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        remaining = None if timeout_sec is None else max(0.0, timeout_sec)
        while len(early) < n:
            piece = self._handler.read_transport(n - len(early), remaining)
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise JSONRPCError(
                    ErrorCode.INTERNAL_ERROR,
                    f"read_transport: expected bytes from the handler, got {_shown(piece)}",
                )
            if not early and len(piece) == n:
                return bytes(piece)
            if not piece:
                raise IoTimeoutError()
            early += piece
            if deadline is not None:
                remaining = max(0.0, deadline - time.monotonic())
        data = bytes(early[:n])
        del early[:n]
        return data

    def _write_transport(self, data: str, timeout_sec: Optional[float]) -> str:
        try:
            decoded = b85decode(data)
        except ValueError as error:
            raise JSONRPCError(
                ErrorCode.INVALID_PARAMS,
                f"write_transport: parameter data: expected a base85 string, got {error}",
            ) from None
        self._handler.write_transport(decoded, None if timeout_sec is None else max(0.0, timeout_sec))
        return "null"

    def _lend_transport(self, socket: str) -> str:
        if self._early:
            raise JSONRPCError(
                ErrorCode.INVALID_REQUEST,
                f"lend_transport: expected before the first read, got {len(self._early)} bytes already",
            )
        self._handler.lend_transport(socket)
        return "null"

    def _options(self, method: str, given: Optional[Json]) -> Dict[str, Any]:
        declared = getattr(self._handler, "project_options", None)
        if declared is None:
            return {} if given is None else given
        return coerce_options(declared, given, method)


def _option_reply(option: Any) -> Json:
    """Return all seven fields: clients index them without a check. tvmc fails on an empty help text."""
    reply = {field: getattr(option, field) for field in _ProjectOption._fields}
    reply["help"] = reply["help"] or option.name
    return reply


def _error_line(reply_id: Union[str, int, float, None], error: Json) -> str:
    error = {**error, "message": printable(shortened(error["message"], _LONGEST_MESSAGE))}
    data = error["data"]
    if isinstance(data, dict) and isinstance(data.get("traceback"), str):
        error["data"] = {**data, "traceback": printable(data["traceback"][-_LONGEST_LOG:])}
    try:
        body = json.dumps(error)
    except (TypeError, ValueError):  # the handler's data is not valid in JSON
        body = json.dumps({**error, "data": {"traceback": repr(error["data"])}})
    return f'{{"jsonrpc":"2.0","id":{json.dumps(reply_id)},"error":{body}}}\n'


def _failure_line(reply_id: Union[str, int, float, None], error: BaseException, method: str) -> str:
    """Return the reply for an exception of the handler, without raising another one.

    The str(), code or data of an unknown exception may raise, contain cycles or be invalid in JSON.
    """
    try:
        return _error_line(reply_id, failure_reply(error, method))
    except Exception:
        import traceback

        message = f"{method} failed: {type(error).__name__}; the error cannot be shown"
        frames = "".join(traceback.format_tb(error.__traceback__))  # calls no method of the exception
        fields = {"code": int(ErrorCode.SERVER_ERROR), "message": message, "data": {"traceback": frames}}
        return _error_line(reply_id, fields)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` and flush the file, even if it is raw and accepts only a part per call."""
    rest = memoryview(data)
    while True:
        taken = file.write(rest)
        if taken is None:
            _wait_until(file.fileno(), "POLLOUT", None)
        else:
            rest = rest[taken:]
        if not rest:
            break
    file.flush()


# ---------------------------------------------------------------------------------- 7. helpers for transports

_LONGEST_READ = 1024 * 1024  # os.read() allocates the full number of bytes
_LONGEST_POLL_SEC = 3600  # poll() counts milliseconds in a C int


def read_with_timeout(fd: int, n: int, timeout_sec: Optional[float]) -> bytes:
    """Return 1 to n bytes of a file descriptor as soon as any are available.

    The function never collects bytes until it has n, so no byte is lost at a timeout.

    Args:
        fd: Pipe, socket or terminal, blocking or not. The function does not close it.
        n: Largest number of bytes to return.
        timeout_sec: Seconds to wait for the first byte. None waits without a limit, and without CPU load; 0
            does not wait.

    Raises:
        IoTimeoutError: No byte arrived before the timeout expired.
        TransportClosedError: fd is at end of file, or reading it failed.
    """
    if n <= 0:
        return b""
    deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
    while True:
        _wait_until(fd, "POLLIN", deadline)
        try:
            data = os.read(fd, min(n, _LONGEST_READ))
        except BlockingIOError:
            continue  # another reader took the bytes
        except OSError as error:  # a pseudo-terminal also reports a closed other end as EIO
            raise TransportClosedError(f"reading file descriptor {fd}: {error}\n") from error
        if not data:
            raise TransportClosedError(f"file descriptor {fd}: the other end closed the connection\n")
        return data


def write_with_timeout(fd: int, data: BytesLike, timeout_sec: Optional[float]) -> int:
    """Write all of `data` to a file descriptor, and return the number of bytes.

    Args:
        fd: Pipe, socket or terminal, blocking or not. The function does not close it.
        data: Bytes to write.
        timeout_sec: Seconds to wait until all bytes are written; None waits without a limit.

    Raises:
        IoTimeoutError: The timeout expired. The message contains the number of bytes written. This is an
            error, not a count, because a partial write corrupts the byte stream of the device.
        TransportClosedError: Writing failed, for example because the other end is closed.
    """
    rest = memoryview(data)
    deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
    restore_blocking = False
    try:
        if deadline is not None and os.get_blocking(fd):
            os.set_blocking(fd, False)  # a blocking os.write() could exceed the deadline
            restore_blocking = True
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                _wait_until(fd, "POLLOUT", deadline)
    except IoTimeoutError:
        written = len(data) - len(rest)
        raise IoTimeoutError(f"{written} of {len(data)} bytes were written in {timeout_sec} s\n") from None
    except OSError as error:
        raise TransportClosedError(f"writing file descriptor {fd}: {error}\n") from error
    finally:
        if restore_blocking:
            os.set_blocking(fd, True)
    return len(data)


def _wait_until(fd: int, event: str, deadline: Optional[float]) -> None:
    """Sleep until poll() reports `event` or an error. Raise IoTimeoutError after the deadline."""
    import select  # only transports need it

    if not hasattr(select, "poll"):
        raise ServerError(
            "This system has no poll(), so the API server cannot wait for a file descriptor.\n"
            "Use a transport of runtime.host, or run the API server on Linux or macOS."
        )
    poll = select.poll()  # not select(), which rejects descriptors above 1023
    poll.register(fd, getattr(select, event))
    while True:
        if deadline is None:
            poll.poll()
            return
        remaining = max(0.0, deadline - time.monotonic())
        if poll.poll(math.ceil(min(remaining, _LONGEST_POLL_SEC) * 1000)):
            return
        if remaining == 0.0 or time.monotonic() >= deadline:
            raise IoTimeoutError()


# ----------------------------------------------------------------------------- 8. ending all child processes

_GRACE_SEC = 0.5  # time between SIGTERM and SIGKILL


class Stop(SystemExit):
    """Exception in the main thread after SIGTERM, SIGINT or SIGHUP.

    `finally` and `with` blocks of a handler still run.
    """


def child_processes(pid: int) -> List[int]:
    """Return the process ids of the children of process `pid`, including zombies."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  pathlib is not imported here
    except OSError:
        return [] if os.path.isdir("/proc/self/task") else _children_by_ps(pid)  # noqa: PTH112
    children: List[int] = []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:  # noqa: PTH123
                children += map(int, file.read().split())
        except FileNotFoundError:
            if os.path.isdir(f"/proc/{pid}/task/{task}"):  # noqa: PTH112  kernel without this file
                return _children_by_ps(pid)
        except OSError:
            continue  # the thread has exited
    return children


def _children_by_ps(pid: int) -> List[int]:
    import subprocess  # only systems without Linux's /proc need it

    try:
        with subprocess.Popen(["ps", "-A", "-o", "pid=", "-o", "ppid="], stdout=subprocess.PIPE) as ps:
            table = ps.communicate()[0]
    except OSError:
        return []
    rows = [tuple(map(int, row.split())) for row in table.splitlines()]
    return [child for child, parent in rows if parent == pid and child != ps.pid]


def end_children(spared: FrozenSet[int] = frozenset()) -> None:
    """End all descendants of this process: send SIGTERM, then SIGKILL after a grace period.

    Children need no registration: the operating system lists them, and does not reuse the process id of a
    child before this process waits for the child. If a child leads a process group (start_new_session=True),
    the whole group is ended. Only a process that left both its parent and its group is not reached.

    Args:
        spared: Process ids of children to keep: those that existed before main() and belong to the caller.
    """
    import signal

    groups: Set[int] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _descendants(spared):
            try:
                if os.getpgid(pid) == pid:
                    groups.add(pid)
                else:
                    os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                continue
        for group in groups:  # includes groups of the first round, whose leader may have exited first
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                continue
        deadline = time.monotonic() + _GRACE_SEC
        while _descendants(spared) and time.monotonic() < deadline:
            time.sleep(0.005)


def _descendants(spared: FrozenSet[int]) -> List[int]:
    """Return all running descendants, parents first. Wait for children that have exited and omit them."""
    found = []
    for pid in child_processes(os.getpid()):
        if pid in spared:
            continue
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                continue
        except ChildProcessError:
            continue
        found.append(pid)
    for pid in found:  # the loop appends to the list
        found += child_processes(pid)
    return found


class _StopOnSignals:
    """Context manager in which SIGTERM, SIGINT and SIGHUP raise Stop.

    A signal that was already ignored, for example by nohup, stays ignored. Outside the main thread, which is
    the only thread that can set signal handlers, the context manager has no effect.
    """

    def __init__(self) -> None:
        self._previous: Dict[int, Any] = {}
        self._ignores = False
        self.exit_status = 0  # 128 + number after a signal

    def __enter__(self) -> _StopOnSignals:
        import signal

        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
        try:
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._stop)
        except ValueError:
            pass  # this is not the main thread
        return self

    def __exit__(self, *_error: object) -> None:
        import signal

        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def works(self) -> bool:
        """True if a signal raises Stop."""
        return bool(self._previous)

    def ignore(self) -> None:
        """Stop raising Stop, so that a signal does not interrupt the clean-up."""
        self._ignores = True

    def _stop(self, number: int, _frame: Optional[types.FrameType]) -> None:
        if not self._ignores:
            self.exit_status = 128 + number
            raise Stop(self.exit_status)


# ------------------------------------------------------------------------------------------------- 9. main

Arguments = collections.namedtuple("Arguments", ("read_fd", "write_fd", "debug"))

_MOST_DIGITS = 9  # digits of a file descriptor, which is a C int
_USAGE = "usage: microtvm_api_server.py --read-fd N --write-fd N [--debug]\n"


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Return the parsed command line of an API server.

    Args:
        argv: Arguments of the command line. A first argument that does not begin with "-" is ignored: launch
            scripts of TVM 0.12 and later pass the name of the script there.

    Raises:
        SystemExit: The command line is invalid (status 2, with a message on stderr), or requests help
            (status 0).
    """
    words = list(argv)
    if words and not words[0].startswith("-"):
        del words[0]
    numbers: Dict[str, int] = {}
    debug = False
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--read-fd", "--write-fd"):
            if not equals:
                value = words.pop(0) if words else ""
            if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
                raise _usage_error(f"{name}: expected a file descriptor number, got {_shown(value)}")
            numbers[name] = int(value)
        elif word == "--debug":
            debug = True
        elif word in ("-h", "--help"):
            sys.stdout.write(_USAGE)
            raise SystemExit(0)
        else:
            raise _usage_error(f"unknown argument {_shown(word)}")
    for name in ("--read-fd", "--write-fd"):
        if name not in numbers:
            raise _usage_error(f"{name} is missing: this program is started by TVM or by the host tools")
    return Arguments(numbers["--read-fd"], numbers["--write-fd"], debug)


def _usage_error(sentence: str) -> SystemExit:
    _complain(f"{sentence}\n{_USAGE.rstrip()}")
    return SystemExit(2)


def _complain(sentence: str) -> None:
    try:  # noqa: SIM105  contextlib is not imported here
        sys.stderr.write(printable(f"microtvm_api_server.py: {sentence}\n"))
    except (AttributeError, OSError, ValueError):  # stderr is missing, full or closed
        pass


def _open_fd(name: str, fd: int, mode: str) -> BinaryIO:
    try:
        file = io.FileIO(fd, mode)
        os.set_blocking(fd, True)
        os.set_inheritable(fd, False)  # else a child could keep the pipe open after this process exits
    except (OSError, OverflowError, ValueError) as error:
        raise _usage_error(f"{name} {fd}: {getattr(error, 'strerror', None) or error}") from None
    return file


def _set_up_logging(debug: bool) -> None:
    """Write records of level INFO (or DEBUG) to stderr, if any module has imported logging."""
    if debug or "logging" in sys.modules:
        import logging

        logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, stream=sys.stderr)


def _watch_client(write_fd: int) -> Callable[[], None]:
    """Start a thread that ends the server when the client disconnects; return a function that stops it.

    The server detects the end of the requests only between two requests, while a handler may wait for a
    device without a limit, even in close_transport. The thread sleeps in poll() until the client has
    disconnected, and then sends SIGTERM to the main thread.
    """
    import _thread  # threading would slow down the start
    import select
    import signal

    main_thread = _thread.get_ident()
    watching = [True]

    def watch() -> None:
        poll = select.poll()
        poll.register(write_fd, 0)  # errors and hang-ups are always reported
        poll.poll()
        while True:
            # The server may exit normally in this time. A handler may swallow the first Stop, so repeat.
            time.sleep(_GRACE_SEC)
            if not watching:
                return
            signal.pthread_kill(main_thread, signal.SIGTERM)

    if hasattr(select, "poll") and hasattr(signal, "pthread_kill"):
        _thread.start_new_thread(watch, ())
    return watching.clear


def _leave(exit_status: int) -> None:
    """Exit without the clean-up of the interpreter.

    TVM waits for every server that it starts, and the clean-up takes longer than a short session itself. No
    exit handler is needed here.
    """
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  contextlib is not imported here
            stream.flush()
        except (AttributeError, OSError, ValueError):  # the stream is missing, broken or closed
            pass
    os._exit(exit_status)


def main(handler: ProjectAPIHandler, argv: Optional[Sequence[str]] = None) -> None:
    """Serve one client until it disconnects, then exit the process.

    Before the exit, also after SIGTERM, SIGINT or SIGHUP, the server closes the transport and ends every
    child process that was started since the call. SIGKILL skips this clean-up; a child whose standard input
    is a pipe then reads the end of file there.

    Args:
        handler: Implementation of the requests.
        argv: Arguments with the two file descriptors; None uses sys.argv.
    """
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    _set_up_logging(arguments.debug)
    read_file = _open_fd("--read-fd", arguments.read_fd, "rb")
    write_file = _open_fd("--write-fd", arguments.write_fd, "wb")
    server = ProjectAPIServer(read_file, write_file, handler)
    if arguments.debug:
        import logging

        server.log_to(logging.getLogger("microtvm_api_server").debug)
    spared = frozenset(child_processes(os.getpid()))
    with _StopOnSignals() as signals:
        stop_watching = _watch_client(arguments.write_fd) if signals.works else None
        try:
            # A handler that catches all exceptions also catches Stop; the server must still end.
            while not signals.exit_status and server.serve_one_request():
                pass
        finally:
            try:
                handler.close_transport()
            except Exception:  # noqa: S110  the client is disconnected
                pass
            finally:
                signals.ignore()
                if stop_watching:
                    stop_watching()
                end_children(spared)
        if server.broken and not signals.exit_status:
            _complain(server.broken)
        _leave(signals.exit_status or bool(server.broken))
