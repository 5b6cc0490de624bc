# SPDX-License-Identifier: Apache-2.0
"""The microTVM Project API server of a platform: JSON-RPC 2.0 over two pipes, a line a message.

TVM starts `microtvm_api_server.py --read-fd N --write-fd M [--debug]` in the platform's or project's
directory. That script makes a handler and calls `server.main(handler)`:

    from runtime import server

    class Handler(server.ProjectAPIHandler):
        project_options = server.default_project_options()
        ...                                     # the eight methods of ProjectAPIHandler

    if __name__ == "__main__":
        server.main(Handler())

The file stands alone: it needs only the standard library of CPython, 3.8 or later; it is tested on 3.8, 3.10,
3.12 and 3.13. Names, parameters and messages are those of the Project API, so a handler written for TVM's own
`server` module runs here unchanged.

What a start of the server costs is what this module imports, so whatever only an error, a signal or a
transport needs is imported where it is used.

Sections, each under a line of dashes:

1. base85: of the bytes in requests; TVM's own client sends and expects them so
2. errors
3. options
4. the handler's face: what a platform implements
5. reading and checking requests
6. the server
7. help for transports: kept for handlers that were written for TVM's server
8. ending with all children
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

# Type checkers take this name as true. The import of typing would cost a start too much.
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
# RFC 1924's alphabet, four bytes to five characters, as base64.b85encode does it. Both directions treat a
# block of data as one big integer with a lane for each 32-bit word: an addition, a multiplication or a mask
# of that integer then works on every word at once, in C. That is some ten times faster than a loop over the
# words.

_B85_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_NO_DIGIT = 0xFF
_B85_TO_DIGIT = bytes(_B85_ALPHABET.find(character) & _NO_DIGIT for character in range(256))
_B85_FROM_DIGIT = _B85_ALPHABET + bytes(256 - 85)

_BLOCK_WORDS = 2048  # even; larger blocks fall out of the processor's first cache
_FEW_BYTES = 16  # up to here the set-up of a block costs more than a loop


def _lanes(pattern: str) -> int:
    """A mask for a block, made of the bytes `pattern` of one or two lanes; it serves shorter blocks too."""
    return int.from_bytes(bytes.fromhex(pattern) * _BLOCK_WORDS, "big")


_WORD_OF_8 = _lanes("00000000ffffffff")
_20_BITS_OF_8 = _lanes("00000000000fffff")
_7_BITS_OF_4 = _lanes("0000007f")
_DIGITS_2_AND_4_OF_5 = _lanes("0000ff00ff")
_LOW_PAIR_OF_5 = _lanes("000000ffff")
_LAST_DIGIT_OF_5 = _lanes("00000000ff")


def b85encode(data: BytesLike) -> bytes:
    """The base85 text of `data`: five characters for four bytes, n + 1 for the last n bytes."""
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
    # word = first * 7225**2 + upper * 7225 + lower, where 7225 = 85**2. A division is a multiplication by the
    # scaled reciprocal; the constants are exact for every value a lane can hold (the tests try the borders).
    # The products need 64 bits, so even and odd words are divided apart in lanes of eight bytes.
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
    """The bytes of base85 `text`; ValueError for a character not of the alphabet or five above 32 bits."""
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
        digits += b"\x54" * padding  # the largest digit, so that the bytes which are cut off round up
    size = len(digits)
    number = int.from_bytes(digits, "big")
    # Lanes of five bytes, a digit in each. First pairs, d1 * 85 + d2 and d3 * 85 + d4, then the whole word;
    # it may need a 33rd bit when the text is wrong, which lands in the lane's first byte.
    pairs = ((number >> 8) & _DIGITS_2_AND_4_OF_5) * 85 + (number & _DIGITS_2_AND_4_OF_5)
    words = ((number >> 32) & _LAST_DIGIT_OF_5) * 85**4
    words += ((pairs >> 16) & _LOW_PAIR_OF_5) * 85**2 + (pairs & _LOW_PAIR_OF_5)
    data = bytearray(words.to_bytes(size, "big"))
    if any(data[0::5]):
        raise _b85_fault(digits, start)
    del data[0::5]
    return bytes(data[: len(data) - padding] if padding else data)


def _b85_fault(digits: bytes, start: int) -> ValueError:
    """What is wrong with the first bad group of a block that begins at character `start`."""
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
    raise AssertionError("called for a block without a fault")


# ------------------------------------------------------------------------------------------------- 2. errors


class ErrorCode(enum.IntEnum):
    """Codes of JSON-RPC 2.0, and the one of the Project API for a request that was fine but failed."""

    SERVER_ERROR = -32000
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    PARSE_ERROR = -32700


class JSONRPCError(Exception):
    """An error that is answered with this code, message and data; clients show data["traceback"] as it is."""

    def __init__(
        self, code: int, message: str, data: Any = None, client_context: Optional[str] = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.data = data
        self.client_context = client_context

    def to_json(self) -> Json:
        """The JSON-RPC error object."""
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
        """Return the exception for an error object that came from a server.

        TVM's client calls it where this file stands beside it in place of TVM's own.
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

    ServerError(message) is shown to the user. The message of a subclass is its own name, because that is how
    the client knows the class again; what is given as message to a subclass goes to data["traceback"], which
    the client shows below it.
    """

    def __init__(
        self, message: Optional[str] = None, data: Any = None, client_context: Optional[str] = None
    ) -> None:
        name = type(self).__name__
        if type(self) is ServerError:
            if message is None:
                raise TypeError("ServerError: want a message, got None. Only its subclasses go without one.")
            name = message
        elif message is not None and data is None:
            data = {"traceback": message}
        super().__init__(ErrorCode.SERVER_ERROR, name, data, client_context)

    def __str__(self) -> str:
        return f"{self.client_context}: {super().__str__()}" if self.client_context else super().__str__()

    @classmethod
    def from_exception(cls, exc: BaseException, **kw: Any) -> ServerError:
        """An error made with the arguments `kw` that carries the traceback of `exc`."""
        error = cls(**kw)
        error.set_traceback(_traceback_lines(exc))
        return error

    def set_traceback(self, traceback: Iterable[str]) -> None:
        """Put the lines of a traceback into data["traceback"], unless something is there already."""
        if self.data is None:
            self.data = {}
        if isinstance(self.data, dict) and "traceback" not in self.data:
            self.data["traceback"] = "".join(traceback)


class TransportClosedError(ServerError):
    """The transport cannot be used: not open, closed, unplugged, or the process behind it has ended."""


class IoTimeoutError(ServerError):
    """A read or a write was not complete when its time was over."""


class UnsupportedTVMVersionError(ServerError):
    """server_info_query was asked by a TVM that this platform is known not to work with."""


def _all_subclasses(parent: Type[ServerError]) -> Iterator[Type[ServerError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _all_subclasses(child)


def _traceback_lines(error: BaseException) -> List[str]:
    import traceback  # only a failure needs it

    # TVM drops the inner lines that begin with "Traceback" when it prints an error that crossed its C++ code,
    # so the header is worded another way.
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
    """The JSON-RPC error object for what `method` of a handler raised.

    * JSONRPCError and its subclasses: as they say. A ServerError without a traceback gets one; if it was
      raised `from` an exception that explains itself, that explanation takes its place.
    * An exception that explains itself, by the attributes `what`, `next_step` and (optional) `log`: the two
      sentences are the message, the log is data.traceback where there is one, and no traceback of Python's
      is shown.
    * Anything else: the method, the type and the text are the message, the traceback is data.traceback.
    """
    if isinstance(error, ServerError):
        if _is_explained(error.__cause__):
            error.set_traceback([_explanation(error.__cause__), "\n", _log_of(error.__cause__)])
        elif isinstance(error, IoTimeoutError):
            # Frequent and expected, so without a traceback.
            error.set_traceback([f"{method}: not complete when its time was over\n"])
        else:
            error.set_traceback(_traceback_lines(error))
        return error.to_json()
    if isinstance(error, JSONRPCError):
        return error.to_json()
    if _is_explained(error):
        log = _log_of(error)
        # TVM shows empty data as {'traceback': ''}.
        return ServerError(_explanation(error), {"traceback": log} if log else None).to_json()
    text = str(error)
    message = f"{method} failed: {type(error).__name__}" + (f": {text}" if text else "")
    return ServerError.from_exception(error, message=message).to_json()


def _explanation(error: Any) -> str:
    return "\n".join(shortened(sentence, _LONGEST_SENTENCE) for sentence in (error.what, error.next_step))


def _log_of(error: Any) -> str:
    return str(getattr(error, "log", ""))


_LONGEST_NAME = 80  # no name of ours is longer; a comparison takes quadratic time
_LONGEST_SHOWN = 80  # of a value in a message
_LONGEST_SENTENCE = 2_000
_LONGEST_MESSAGE = 2 * _LONGEST_SENTENCE + 100
_LONGEST_LOG = 100_000
_SHOWN_END = 300  # of what is cut: the end of a sentence says what is wrong


def printable(text: str) -> str:
    """Return `text` with every control character but tab and line feed as an escape.

    Text of archives, boards.json and devices goes through here before a terminal gets it: an escape sequence
    would otherwise move its cursor or change its title. Directions of writing and lone surrogates are escaped
    too.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text.replace("\r\n", "\n")
    )


def shortened(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Return the beginning of `text`, of a long one the end as well, and dots where that is not all."""
    if len(text) <= longest:
        return text
    end = text[-_SHOWN_END:] if longest > 2 * _SHOWN_END else ""
    return f"{text[: longest - len(end)]}...{end}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the closest of `known`, and all of them when none is close."""
    names = sorted(known)
    close = []
    if len(name) <= _LONGEST_NAME:
        import difflib  # only a misspelling needs it

        close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Known are: {', '.join(names)}."


def _shown(value: Any) -> str:
    """Type and value for "want X, got Y", short enough for a message."""
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
    """One option of a platform, as server_info_query tells it.

    name, help: text. type: "bool", "int", "str" or "list". choices: the values allowed, or None. default:
    what holds when the option is not given. required, optional: the names of the methods that must or may get
    it.
    """

    __slots__ = ()

    def __new__(cls, name: str, **kw: Any) -> ProjectOption:
        for needed in ("type", "help"):
            if needed not in kw:
                raise TypeError(f'ProjectOption "{name}": want {needed}=, got none')
        if kw.get("required") is None and kw.get("optional") is None:
            raise TypeError(
                f'ProjectOption "{name}": want required= or optional=, the methods that take it, got neither'
            )
        for field in ("choices", "default", "required", "optional"):
            kw.setdefault(field, None)
        return super().__new__(cls, name=name, **kw)

    def replace(self, attributes: Mapping[str, Any]) -> ProjectOption:
        """A copy in which the fields of the dict `attributes` are changed."""
        for field in attributes:
            if field not in self._fields:
                raise ValueError(f'ProjectOption has no field "{field}". {did_you_mean(field, self._fields)}')
        return self._replace(**attributes)


# What older versions of TVM called these options.
OPTION_ALIASES = {
    "zephyr_board": "board",
    "arduino_board": "board",
    "nrfjprog_snr": "serial_number",
    "openocd_serial": "serial_number",
    "heap_size_bytes": "workspace_size_bytes",
    "memory_size_bytes": "workspace_size_bytes",
}


def default_project_options(**overrides: Mapping[str, Any]) -> List[ProjectOption]:
    """The seven options of every platform; default_project_options(board={"choices": [...]}) changes one.

    ValueError when an override names none of the seven.
    """

    def option(name: str, kind: str, text: str, default: Any = None, required: bool = False) -> ProjectOption:
        when = {"required" if required else "optional": ["generate_project"]}
        return ProjectOption(name, type=kind, help=text, default=default, **when)

    options = [
        option("verbose", "bool", "Show every command of the build.", default=False),
        option("project_type", "str", "Kind of project to generate.", required=True),
        option("board", "str", "Name of the board to build for.", required=True),
        option("cmsis_path", "str", "Folder that holds CMSIS."),
        option("warning_as_error", "bool", "Let a compiler warning fail the build.", default=False),
        option("compile_definitions", "str", "Further definitions for the compiler."),
        option("extra_files_tar", "str", "Tar file that is unpacked into the new project."),
    ]
    names = [each.name for each in options]
    for name in overrides:
        if name not in names:
            raise ValueError(f'no default project option is called "{name}". {did_you_mean(name, names)}')
    return [each.replace(overrides.get(each.name, {})) for each in options]


class OptionError(JSONRPCError):
    """A project option that is unknown, missing or does not parse; `what` and `next_step` tell the user.

    Its code is that of a server error: tvmc shows those as text, and any other as a traceback of its own.
    """

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(ErrorCode.SERVER_ERROR, f"{what}\n{next_step}")
        self.what = what
        self.next_step = next_step
        self.log = ""


def coerce_options(
    declared: Sequence[ProjectOption], given: Optional[Mapping[str, Any]], method: Optional[str] = None
) -> Dict[str, Any]:
    """Every declared option with a value of its declared type: the one given, or else its default.

    declared: the platform's options. given: names and values as a client sends them; a value of None counts
    as not given, under any name, because newer clients send every unset option to every method. Old names of
    a declared option (OPTION_ALIASES) are taken for the new one. method: when named, the options it requires
    must be there. Raises OptionError with a sentence for the user. Changes nothing that it is given.
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
                f'no project option is called "{shortened(given_name)}".', did_you_mean(given_name, known)
            )
        value = coerce_option(by_name[name], raw)
        if name in values and values[name] != value:
            raise OptionError(
                f'project options "{source[name]}" and "{given_name}" are two names of one option, '
                f"but got {_shown(values[name])} and {_shown(value)}.",
                f'Give only "{name}".',
            )
        values[name], source[name] = value, given_name
    for name, option in by_name.items():
        if name not in values and option.default is None and method in (option.required or ()):
            raise OptionError(
                f'{method} wants the project option "{name}", got none.',
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
    """`value`, which is not None, as option.type says: "bool", "int", "str", "list" of str; else as it is.

    A client of the command line sends everything as text. Raises OptionError, "want X, got Y".
    """
    parse, want = _TYPES.get(option.type, (lambda any_value: any_value, ""))
    try:
        parsed = parse(value)
    except ValueError:
        raise OptionError(
            f'project option "{option.name}": want {option.type}, got {_shown(value)}.', f"Give it as {want}."
        ) from None
    if option.choices:
        for item in parsed if isinstance(parsed, list) else [parsed]:
            if item not in option.choices:
                raise OptionError(
                    f'project option "{option.name}": want one of {", ".join(map(str, option.choices))}, '
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
    elif isinstance(value, int) and value in (0, 1):  # bool included
        return bool(value)
    raise ValueError


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value, 10)
        except ValueError:
            return int(value, 0)  # 0x... and 0b..., as addresses and sizes are written
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
    "int": (_as_int, "a whole number, such as 4096 or 0x1000"),
    "str": (_as_str, "text"),
    "list": (_as_list, 'text with commas, such as a,b, or as a JSON array of texts, such as ["a","b"]'),
}


# -------------------------------------------------------------------------------------- 4. the handler's face

ServerInfo = collections.namedtuple(
    "ServerInfo", ("platform_name", "is_template", "model_library_format_path", "project_options")
)
ServerInfo.__doc__ = """What server_info_query answers.

platform_name: text. is_template: True for a platform, False for a project. model_library_format_path: the
model archive of a project; for a platform "", as those of TVM answer, or None. project_options: list of
ProjectOption.
"""

TransportTimeouts = collections.namedtuple(
    "TransportTimeouts",
    ("session_start_retry_timeout_sec", "session_start_timeout_sec", "session_established_timeout_sec"),
)
TransportTimeouts.__doc__ = """What open_transport answers: seconds, 0 turns one off.

session_start_retry_timeout_sec: until the session start is sent again. session_start_timeout_sec: until the
host gives up starting a session. session_established_timeout_sec: how long the host waits for a reply
afterwards.
"""


class ProjectAPIHandler(metaclass=abc.ABCMeta):
    """What a platform does for each request. microtvm_api_server.py derives from it and writes all methods.

    project_options: a handler that sets it to its list of ProjectOption gets `options` after
    coerce_options(): all of them, with values of the declared types. Where it is None, `options` is the dict
    that the client sent.
    """

    project_options: Optional[Sequence[ProjectOption]] = None

    @abc.abstractmethod
    def server_info_query(self, tvm_version: str) -> ServerInfo:
        """Who this is. tvm_version: the client's tvm.__version__. May raise UnsupportedTVMVersionError."""

    @abc.abstractmethod
    def generate_project(
        self,
        model_library_format_path: pathlib.Path,
        standalone_crt_dir: pathlib.Path,
        project_dir: pathlib.Path,
        options: Dict[str, Any],
    ) -> None:
        """Write a project for the model archive into project_dir, which does not exist yet.

        standalone_crt_dir: TVM's own C runtime; None when the client sends null.
        """

    @abc.abstractmethod
    def build(self, options: Dict[str, Any]) -> None:
        """Build the project's firmware in its folder `build`."""

    @abc.abstractmethod
    def flash(self, options: Dict[str, Any]) -> None:
        """Put the firmware on the board."""

    @abc.abstractmethod
    def open_transport(self, options: Dict[str, Any]) -> TransportTimeouts:
        """Connect to the device, so that read_transport and write_transport work."""

    @abc.abstractmethod
    def close_transport(self) -> None:
        """Disconnect; does nothing when nothing is open. Called once more when the server ends."""

    @abc.abstractmethod
    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """Bytes from the device: n of them, or fewer if only those have come; the server then asks again.

        timeout_sec: None waits for ever, 0 takes what is there. IoTimeoutError when nothing came in that
        time, TransportClosedError when nothing will.
        """

    @abc.abstractmethod
    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        """Send all of `data` to the device, or raise IoTimeoutError or TransportClosedError."""

    def lend_transport(self, socket: str) -> None:
        """Hand the open device over to the client, who reads and writes it by itself until it closes it.

        socket: where the client listens, see runtime/host/transports/passed_descriptors.py. No request of
        TVM's: the host tools ask, and use read_transport and write_transport where a handler has no answer.
        """
        raise JSONRPCError(ErrorCode.METHOD_NOT_FOUND, "lend_transport: this handler lends no transport")


# --------------------------------------------------------------------------- 5. reading and checking requests

MAX_LINE_BYTES = 64 * 1024 * 1024  # the largest request that makes sense is a write of a few MiB


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which JSON does not have")


_decode_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def read_line(file: BinaryIO, limit: int) -> bytes:
    """The next line; b"" at end of file. A line longer than `limit` bytes is skipped and refused."""
    line = file.readline(limit + 1)
    if len(line) <= limit:
        return line
    while line and not line.endswith(b"\n"):
        line = file.readline(65536)
    raise JSONRPCError(
        ErrorCode.INVALID_REQUEST, f"request: want a line of at most {limit} bytes, got a longer one"
    )


def parse_request(line: bytes) -> Json:
    """The JSON object of a line; a JSONRPCError when it is none."""
    try:
        request = _decode_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise JSONRPCError(
            ErrorCode.PARSE_ERROR, f"request: want UTF-8, got {error.reason} at byte {error.start}"
        ) from None
    except RecursionError:
        raise JSONRPCError(ErrorCode.PARSE_ERROR, "request: want JSON, got too deep a nesting") from None
    except ValueError as error:
        raise JSONRPCError(ErrorCode.PARSE_ERROR, f"request: want JSON, got {error}") from None
    if not isinstance(request, dict):
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST, f"request: want one object a line, got {_shown(request)}"
        )
    return request


def request_id(request: Json) -> Union[str, int, float, None]:
    """The id that the reply repeats: null when it is missing or of a type that JSON-RPC does not allow."""
    given = request.get("id")
    if isinstance(given, float):
        return given if math.isfinite(given) else None
    if isinstance(given, str):
        return given if len(given) <= _LONGEST_ID else None
    if isinstance(given, int) and not isinstance(given, bool):
        return given if abs(given) < 10**_LONGEST_ID else None
    return None


_LONGEST_SEC = 1e12  # longer times, and 1e999, are a mistake; null is for ever
_LONGEST_ID = 1_000  # characters, or digits: an id is repeated in the reply


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


_TEXT = (_is_text, "text")
_OPTIONS = ("options", _is_object_or_null, "an object")
_TIMEOUT = ("timeout_sec", _is_timeout, "a number of seconds or null")

# Method -> its parameters: name, check, what to want.
METHODS: Dict[str, Tuple[Tuple[str, Callable[[Any], bool], str], ...]] = {
    "server_info_query": (("tvm_version", *_TEXT),),
    "generate_project": (
        ("model_library_format_path", *_TEXT),
        ("standalone_crt_dir", _is_text_or_null, "text or null"),
        ("project_dir", *_TEXT),
        _OPTIONS,
    ),
    "build": (_OPTIONS,),
    "flash": (_OPTIONS,),
    "open_transport": (_OPTIONS,),
    "close_transport": (),
    "read_transport": (("n", _is_count, f"a whole number from 0 to {MAX_LINE_BYTES}"), _TIMEOUT),
    "write_transport": (("data", _is_text, "base85 text"), _TIMEOUT),
    "lend_transport": (("socket", *_TEXT),),
}


def check_request(request: Json) -> Tuple[str, List[Any]]:
    """Method and values of its parameters, as METHODS orders them; a JSONRPCError when one is wrong."""
    if request.get("jsonrpc") != "2.0":
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST, f'jsonrpc: want "2.0", got {_shown(request.get("jsonrpc"))}'
        )
    if request.get("id") is not None and request_id(request) is None:
        raise JSONRPCError(
            ErrorCode.INVALID_REQUEST, f"id: want text, a number or null, got {_shown(request['id'])}"
        )
    method = request.get("method")
    if not isinstance(method, str):
        raise JSONRPCError(ErrorCode.INVALID_REQUEST, f"method: want text, got {_shown(method)}")
    declared = METHODS.get(method)
    if declared is None:
        raise JSONRPCError(
            ErrorCode.METHOD_NOT_FOUND,
            f"no method is called {_shown(method)}. {did_you_mean(method, METHODS)}",
        )
    params = request.get("params", {})
    if not isinstance(params, dict):
        code = ErrorCode.INVALID_PARAMS if isinstance(params, list) else ErrorCode.INVALID_REQUEST
        raise JSONRPCError(code, f"params: want an object, that is parameters by name, got {_shown(params)}")
    values = []
    for name, accepts, want in declared:
        if name not in params:
            raise JSONRPCError(ErrorCode.INVALID_PARAMS, f"{method}: want a parameter {name}, got none")
        value = params[name]
        if not accepts(value):
            raise JSONRPCError(
                ErrorCode.INVALID_PARAMS, f"{method}: parameter {name}: want {want}, got {_shown(value)}"
            )
        values.append(value)
    if len(params) > len(declared):
        names = [name for name, _, _ in declared]
        extra = next(name for name in params if name not in names)
        hint = did_you_mean(extra, names) if names else "It takes none."
        raise JSONRPCError(
            ErrorCode.INVALID_PARAMS, f"{method}: no parameter is called {_shown(extra)}. {hint}"
        )
    return method, values


# ---------------------------------------------------------------------------------------------- 6. the server


class ProjectAPIServer:
    """Answers requests from read_file on write_file, one at a time, by the methods of `handler`.

    Both files are binary; raw or buffered. Whatever a request is, it is answered and the next one is served.
    """

    _PROTOCOL_VERSION = 1

    def __init__(self, read_file: BinaryIO, write_file: BinaryIO, handler: ProjectAPIHandler) -> None:
        # A raw file's readline() would read byte by byte.
        raw = isinstance(read_file, io.RawIOBase)
        self._read_file = io.BufferedReader(read_file, 65536) if raw else read_file  # type: ignore[type-var]
        self._write_file = write_file
        self._handler = handler
        self._log: Optional[Callable[..., None]] = None
        self._early = bytearray()  # bytes of the device that no read_transport has answered yet
        self.broken = ""
        """Why a server that serves no more could not read or write; empty where its client has left."""
        # Each answers the JSON text of the result.
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
        """Call log(format, text) with every request and reply."""
        self._log = log

    def serve_forever(self) -> None:
        """Serve until the client closes its end."""
        while self.serve_one_request():
            pass

    def serve_one_request(self) -> bool:
        """Read and answer one request. False when the client is gone and there is nothing more to serve."""
        try:
            line = read_line(self._read_file, MAX_LINE_BYTES)
        except JSONRPCError as error:
            return self._send(_error_line(None, error.to_json()))
        except OSError as error:
            self.broken = f"no request can be read: {error.strerror or error}"
            return False
        if not line:
            return False
        if self._log:
            self._log("request %s", line[:1000])
        return self._send(self._answer(line))

    def _answer(self, line: bytes) -> str:
        """The reply to a line; never raises what a handler can raise."""
        reply_id = None
        try:
            request = parse_request(line)
            reply_id = request_id(request)
            method, values = check_request(request)
        except JSONRPCError as error:
            return _error_line(reply_id, error.to_json())
        except MemoryError:
            too_large = JSONRPCError(ErrorCode.INVALID_REQUEST, "request: it does not fit into memory")
            return _error_line(None, too_large.to_json())
        try:
            result = self._answers[method](*values)
        except Stop:
            raise
        except (Exception, SystemExit) as error:  # a handler's tool may call sys.exit()
            if self._log:
                self._log("%s", "".join(_traceback_lines(error)))
            return _failure_line(reply_id, error, method)
        shown_id = (
            str(reply_id) if type(reply_id) is int else json.dumps(reply_id)
        )  # the usual case is quicker
        return f'{{"jsonrpc":"2.0","id":{shown_id},"result":{result}}}\n'

    def _send(self, reply: str) -> bool:
        """Write a reply; False when nobody reads replies any more."""
        if self._log:
            self._log("reply %s", reply[:1000])
        try:
            write_all(self._write_file, reply.encode("ascii"))
        except BrokenPipeError:
            return False
        except OSError as error:  # such as a full disk, where the replies go to a file
            self.broken = f"a reply cannot be written: {error.strerror or error}"
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
                f"server_info_query: want a ServerInfo from the handler, got {info!r} ({error})",
            ) from error

    def _generate_project(
        self, archive: str, standalone_crt_dir: Optional[str], project_dir: str, options: Optional[Json]
    ) -> str:
        from pathlib import Path  # costs as much as the rest of a start

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
                f"open_transport: want TransportTimeouts from the handler, got {timeouts!r} ({error})",
            ) from error

    def _close_transport(self) -> str:
        self._early.clear()
        self._handler.close_transport()
        return "null"

    def _read_transport(self, n: int, timeout_sec: Optional[float]) -> str:
        # No character of base85 needs an escape in JSON.
        return f'{{"data":"{b85encode(self._read_exactly(n, timeout_sec)).decode("ascii")}"}}'

    def _read_exactly(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """n bytes of the device. Those that came before a timeout are kept for the next read."""
        early = self._early
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        remaining = None if timeout_sec is None else max(0.0, timeout_sec)
        while len(early) < n:
            piece = self._handler.read_transport(n - len(early), remaining)
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise JSONRPCError(
                    ErrorCode.INTERNAL_ERROR,
                    f"read_transport: want bytes from the handler, got {_shown(piece)}",
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
                ErrorCode.INVALID_PARAMS, f"write_transport: parameter data: want base85 text, got {error}"
            ) from None
        self._handler.write_transport(decoded, None if timeout_sec is None else max(0.0, timeout_sec))
        return "null"

    def _lend_transport(self, socket: str) -> str:
        if self._early:
            raise JSONRPCError(
                ErrorCode.INVALID_REQUEST,
                f"lend_transport: want it before the first read, got {len(self._early)} bytes already",
            )
        self._handler.lend_transport(socket)
        return "null"

    def _options(self, method: str, given: Optional[Json]) -> Dict[str, Any]:
        declared = getattr(self._handler, "project_options", None)
        if declared is None:
            return {} if given is None else given
        return coerce_options(declared, given, method)


def _option_reply(option: Any) -> Json:
    """All seven fields: clients index them without asking. Older ones also want some text as help."""
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
    except (TypeError, ValueError):  # a handler's own data that JSON cannot carry
        body = json.dumps({**error, "data": {"traceback": repr(error["data"])}})
    return f'{{"jsonrpc":"2.0","id":{json.dumps(reply_id)},"error":{body}}}\n'


def _failure_line(reply_id: Union[str, int, float, None], error: BaseException, method: str) -> str:
    """The reply for what `method` of a handler raised; never raises itself.

    An exception may be of any make: its text, code or data may fail, loop or be nothing that JSON knows.
    """
    try:
        return _error_line(reply_id, failure_reply(error, method))
    except Exception:
        import traceback

        message = f"{method} failed: {type(error).__name__}, and the error cannot be shown"
        frames = "".join(traceback.format_tb(error.__traceback__))  # does not ask the exception anything
        fields = {"code": int(ErrorCode.SERVER_ERROR), "message": message, "data": {"traceback": frames}}
        return _error_line(reply_id, fields)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` and flush; a raw file may take a part at a time, or nothing just now."""
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


# ------------------------------------------------------------------------------------- 7. help for transports

_LONGEST_READ = 1024 * 1024  # os.read() sets aside all that it is asked for
_LONGEST_POLL_SEC = 3600  # poll() counts milliseconds in a C int


def read_with_timeout(fd: int, n: int, timeout_sec: Optional[float]) -> bytes:
    """Between 1 and n bytes of the file descriptor `fd`, as soon as there are any.

    fd: a pipe, socket or terminal of any number, blocking or not. timeout_sec: None waits for ever, without
    using the processor; 0 takes what is there. Bytes are never held back for the sake of n, so none is lost
    at a timeout. IoTimeoutError when there was none in that time; TransportClosedError at end of file or when
    fd is broken. fd stays open: whoever opened it closes it.
    """
    if n <= 0:
        return b""
    deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
    while True:
        _wait_until(fd, "POLLIN", deadline)
        try:
            data = os.read(fd, min(n, _LONGEST_READ))
        except BlockingIOError:
            continue  # another reader was quicker
        except OSError as error:  # also how a pseudo-terminal says that its other end is gone
            raise TransportClosedError(f"reading file descriptor {fd}: {error}\n") from error
        if not data:
            raise TransportClosedError(f"file descriptor {fd} is at its end: the other side closed it\n")
        return data


def write_with_timeout(fd: int, data: BytesLike, timeout_sec: Optional[float]) -> int:
    """Write all of `data` to the file descriptor `fd`, and return its length.

    fd and timeout_sec as for read_with_timeout. IoTimeoutError when not all was taken in that time, with a
    line that says how much was: a part that is left out would damage what the device reads, so it is an
    error, not a count. TransportClosedError when the other side is gone.
    """
    rest = memoryview(data)
    deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
    restore_blocking = False
    try:
        if deadline is not None and os.get_blocking(fd):
            os.set_blocking(fd, False)  # or os.write() could last beyond the deadline
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
    """Sleep until poll() reports `event` or an error; IoTimeoutError when time.monotonic() is `deadline`."""
    import select  # only transports need it

    if not hasattr(select, "poll"):
        raise ServerError(
            "This system cannot wait for a file descriptor (it has no poll).\n"
            "Use a transport of runtime.host, or run the API server on Linux or macOS."
        )
    poll = select.poll()  # not select(): that one refuses descriptors from 1024 on
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


# -------------------------------------------------------------------------------- 8. ending with all children

_GRACE_SEC = 0.5  # how long children may take to end by themselves before they are killed


class Stop(SystemExit):
    """Raised in the main thread by SIGTERM, SIGINT and SIGHUP: a handler's `finally` and `with` still run."""


def child_processes(pid: int) -> List[int]:
    """Process ids of the children of `pid`, ended ones included that nobody has waited for."""
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
            if os.path.isdir(f"/proc/{pid}/task/{task}"):  # noqa: PTH112  a kernel without this list
                return _children_by_ps(pid)
        except OSError:
            continue  # the thread ended meanwhile
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
    """End every process that this one started, and what those started: SIGTERM, then SIGKILL.

    Nothing has to be registered: the operating system knows our children, and the number of a child cannot be
    given to another process before we wait for it. A child that leads a process group
    (start_new_session=True) takes the whole group along. Out of reach is only a process that has detached
    itself from its parent and its group. spared: children that were there before and are not ours to end.
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
        for group in groups:  # those of the first round too: their leader may have left others behind
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                continue
        deadline = time.monotonic() + _GRACE_SEC
        while _descendants(spared) and time.monotonic() < deadline:
            time.sleep(0.005)


def _descendants(spared: FrozenSet[int]) -> List[int]:
    """Running children and theirs, parents first; children that have ended are waited for and left out."""
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
    for pid in found:  # grows while it is walked
        found += child_processes(pid)
    return found


class _StopOnSignals:
    """Inside `with`, SIGTERM, SIGINT and SIGHUP raise Stop, unless they were ignored, as nohup does.

    Without effect outside the main thread, which is the only one that may set this.
    """

    def __init__(self) -> None:
        self._previous: Dict[int, Any] = {}
        self._ignores = False
        self.exit_status = 0  # another one once a signal has come

    def __enter__(self) -> _StopOnSignals:
        import signal

        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
        try:
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._stop)
        except ValueError:
            pass  # not the main thread
        return self

    def __exit__(self, *_error: object) -> None:
        import signal

        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def works(self) -> bool:
        """Whether a signal will raise Stop."""
        return bool(self._previous)

    def ignore(self) -> None:
        """Raise Stop no more: what is left to do must not be broken off."""
        self._ignores = True

    def _stop(self, number: int, _frame: Optional[types.FrameType]) -> None:
        if not self._ignores:
            self.exit_status = 128 + number
            raise Stop(self.exit_status)


# ------------------------------------------------------------------------------------------------- 9. main

Arguments = collections.namedtuple("Arguments", ("read_fd", "write_fd", "debug"))

_MOST_DIGITS = 9  # of a file descriptor, which is a C int
_USAGE = "usage: microtvm_api_server.py --read-fd N --write-fd N [--debug]\n"


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """The command line of an API server. SystemExit with status 2 and a sentence when it is wrong.

    A first word that is no option is passed over: launch scripts of TVM 0.12 and later hand on the script's
    name.
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
                raise _usage_error(f"{name}: want the number of a file descriptor, got {_shown(value)}")
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
            raise _usage_error(f"want {name}, got none: this program is started by TVM or by the host tools")
    return Arguments(numbers["--read-fd"], numbers["--write-fd"], debug)


def _usage_error(sentence: str) -> SystemExit:
    _complain(f"{sentence}\n{_USAGE.rstrip()}")
    return SystemExit(2)


def _complain(sentence: str) -> None:
    try:  # noqa: SIM105  contextlib is not imported here
        sys.stderr.write(printable(f"microtvm_api_server.py: {sentence}\n"))
    except (AttributeError, OSError, ValueError):  # missing, full or closed: nobody reads it
        pass


def _open_fd(name: str, fd: int, mode: str) -> BinaryIO:
    try:
        file = io.FileIO(fd, mode)
        os.set_blocking(fd, True)
        os.set_inheritable(fd, False)  # a child that held our end would hide from the client that we are gone
    except (OSError, OverflowError, ValueError) as error:
        raise _usage_error(f"{name} {fd}: {getattr(error, 'strerror', None) or error}") from None
    return file


def _set_up_logging(debug: bool) -> None:
    """Records of level INFO (or DEBUG) go to stderr, if the handler's module logs at all."""
    if debug or "logging" in sys.modules:
        import logging

        logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, stream=sys.stderr)


def _watch_client(write_fd: int) -> Callable[[], None]:
    """End the server once nobody can read its replies; answers a function that stops watching.

    The end of the requests is noticed only between two requests, and a handler may wait for a device for
    ever, also in close_transport. A thread that sleeps in poll() sees that the client is gone and sends
    SIGTERM to the main thread.
    """
    import _thread  # threading is not needed for one thread
    import select
    import signal

    main_thread = _thread.get_ident()
    watching = [True]

    def watch() -> None:
        poll = select.poll()
        poll.register(write_fd, 0)  # errors and hang-ups are always reported
        poll.poll()
        while True:
            time.sleep(_GRACE_SEC)  # an orderly end goes its way; a signal that came too early is sent again
            if not watching:
                return
            signal.pthread_kill(main_thread, signal.SIGTERM)

    if hasattr(select, "poll") and hasattr(signal, "pthread_kill"):
        _thread.start_new_thread(watch, ())
    return watching.clear


def _leave(exit_status: int) -> None:
    """End the process without taking the interpreter apart, which takes longer than all that it had to do:
    TVM waits for each of the servers that it starts. Nothing is left that an exit handler should see to."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  contextlib is not imported here
            stream.flush()
        except (AttributeError, OSError, ValueError):  # missing, broken or closed: nobody reads it
            pass
    os._exit(exit_status)


def main(handler: ProjectAPIHandler, argv: Optional[Sequence[str]] = None) -> None:
    """Serve a client on the two file descriptors that `argv` (else the command line) names, until it is gone,
    and end the process.

    At the end, also after SIGTERM, SIGINT or SIGHUP, the transport is closed and every child process that was
    started meanwhile is ended. After SIGKILL nothing of this runs: a child sees the end of its standard input
    instead, if that was a pipe.
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
            # A handler that catches everything catches Stop too; it must not go on serving.
            while not signals.exit_status and server.serve_one_request():
                pass
        finally:
            try:
                handler.close_transport()
            except Exception:  # noqa: S110  there is nobody left to tell
                pass
            finally:
                signals.ignore()
                if stop_watching:
                    stop_watching()
                end_children(spared)
        if server.broken and not signals.exit_status:
            _complain(server.broken)
        _leave(signals.exit_status or bool(server.broken))
