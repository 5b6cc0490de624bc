# SPDX-License-Identifier: Apache-2.0
"""Settings of a project and the configuration of its build: the content of project.json."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Final, List, Mapping, NamedTuple, Optional, Tuple, Union

_Value = Union[str, int, List[str]]
_Check = Tuple[Callable[[Any], bool], str]

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TOOL_PREFIX: Final = re.compile(r"(?:[a-z0-9_]+-)*")


class BuildConfig(NamedTuple):
    """Configuration of a build: the variables of config.mk or config.cmake, there in upper case.

    Paths are relative to the project.

    Attributes:
        apps: Files of runtime/device/apps/, without .c.
        firmware: Name of the file to create in build/.
        cross: Prefix of the cross compiler's name; "" if the firmware runs on this machine.
        cpu_flags: Flags of compiler and linker for the core.
        linker_script: Linker script of a board without an operating system; "" for other boards.
        port_sources: C files of the device port and its drivers.
        optimization: Optimization flag of the compiler, such as "-O2".
        definitions: -D arguments of the compiler.
        warning_as_error: 1 if warnings of the compiler are errors, else 0.
        crt: Folder of TVM's own runtime; "" if the firmware uses the platform's.
        cmsis_sources: Files of CMSIS to compile.
        cmsis_folders: Folders of CMSIS to search for headers.
    """

    apps: List[str]
    firmware: str
    cross: str
    cpu_flags: List[str]
    linker_script: str
    port_sources: List[str]
    optimization: str
    definitions: List[str]
    warning_as_error: int = 0
    crt: str = ""
    cmsis_sources: Tuple[str, ...] = ()
    cmsis_folders: Tuple[str, ...] = ()

    @property
    def is_bare_metal(self) -> bool:
        """True if the firmware is linked for a board without an operating system."""
        return bool(self.linker_script)

    @property
    def uses_tvm_crt(self) -> bool:
        """True if the firmware uses TVM's own runtime, a part of which is C++."""
        return bool(self.crt)

    def variables(self) -> Dict[str, _Value]:
        """Return name -> value of the variables for a build file, without the unused ones of _IF_USED."""
        values = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()
        }
        unused = [name for name in _IF_USED if not values[name]]
        return {name.upper(): value for name, value in values.items() if name not in unused}


class ProjectSettings(NamedTuple):
    """Settings with which a project was generated.

    Attributes:
        board: Name in boards.json.
        runner: Flash tool or emulator; None for the board's default.
        project_type: host_driven or standalone.
        crt: Digest of the copy of TVM's own runtime; None if the firmware uses the platform's.
        workspace_size_bytes: Size of the device runtime's pool.
        firmware_id: 32 bits that a device reports.
        config: Configuration of the build.
    """

    board: str
    runner: Optional[str]
    project_type: str
    crt: Optional[str]
    workspace_size_bytes: int
    firmware_id: int
    config: BuildConfig

    def document(self) -> Dict[str, Any]:
        """Return the content of project.json."""
        return {**self._asdict(), "config": self.config.variables()}


_IF_USED: Final = ("crt", "cmsis_sources", "cmsis_folders")


def read_settings(document: Any) -> ProjectSettings:
    """Return the settings of a project.json.

    Unknown names are ignored, since another version may have written them.

    Args:
        document: Parsed content of the file.

    Raises:
        ValueError: A setting is missing or invalid; the message names it.
    """
    if not isinstance(document, dict):
        raise ValueError("expected an object")
    settings = _checked(document, _SETTINGS, _OPTIONAL_SETTINGS, "")
    config = _checked(document["config"], _CONFIG, _OPTIONAL_CONFIG, "config.")
    fields: Dict[str, Any] = {
        name.lower(): tuple(value) if name.startswith("CMSIS_") else value for name, value in config.items()
    }
    return ProjectSettings(**{"runner": None, "crt": None, **settings, "config": BuildConfig(**fields)})


def _checked(
    values: Mapping[str, Any], required: Mapping[str, _Check], optional: Mapping[str, _Check], where: str
) -> Dict[str, Any]:
    """Return the values of the known names. Raise ValueError for the first missing or invalid one."""
    given = {name: check for name, check in optional.items() if name in values}
    for name, (accepts, wanted) in {**required, **given}.items():
        if name not in values:
            raise ValueError(f"{where}{name} is missing")
        if not accepts(values[name]):
            raise ValueError(f"{where}{name} is not {wanted}")
    return {name: values[name] for name in (*required, *given)}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text_or_null(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and _FILE_NAME.fullmatch(value) is not None


def _is_tool_prefix(value: Any) -> bool:
    return isinstance(value, str) and _TOOL_PREFIX.fullmatch(value) is not None


def _is_project_type(value: Any) -> bool:
    return isinstance(value, str) and value in ("host_driven", "standalone")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_TEXT: Final = (_is_text, "a string")
_TEXTS: Final = (_is_list_of_texts, "a list of strings")
_SETTINGS: Final[Mapping[str, _Check]] = {
    "board": _TEXT,
    "project_type": (_is_project_type, "host_driven or standalone"),
    "workspace_size_bytes": (_is_number, "a number of bytes"),
    "firmware_id": (_is_number, "a number"),
    "config": (_is_object, "an object"),
}
_OPTIONAL_SETTINGS: Final[Mapping[str, _Check]] = {
    "runner": (_is_text_or_null, "a string or null"),
    "crt": (_is_text_or_null, "a string or null"),
}
_CONFIG: Final[Mapping[str, _Check]] = {
    "APPS": _TEXTS,
    "FIRMWARE": (_is_file_name, "the name of a file"),
    "CROSS": (_is_tool_prefix, "the prefix of a compiler's name"),
    "CPU_FLAGS": _TEXTS,
    "LINKER_SCRIPT": _TEXT,
    "PORT_SOURCES": _TEXTS,
    "OPTIMIZATION": _TEXT,
    "DEFINITIONS": _TEXTS,
}
_OPTIONAL_CONFIG: Final[Mapping[str, _Check]] = {
    "WARNING_AS_ERROR": (_is_number, "a number"),
    "CRT": _TEXT,
    "CMSIS_SOURCES": _TEXTS,
    "CMSIS_FOLDERS": _TEXTS,
}
