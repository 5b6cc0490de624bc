# SPDX-License-Identifier: Apache-2.0
"""What project.json must hold: the settings of a project by name, each with what its value must be."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Final, Mapping, Optional, Tuple

Check = Tuple[Callable[[Any], bool], str]

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TOOL_PREFIX: Final = re.compile(r"(?:[a-z0-9_]+-)*")


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


_TEXT: Final = (_is_text, "a string")
_TEXTS: Final = (_is_list_of_texts, "a list of strings")
SETTINGS: Final[Mapping[str, Check]] = {
    "board": _TEXT,
    "project_type": (lambda value: value in ("host_driven", "standalone"), "host_driven or standalone"),
    "workspace_size_bytes": (_is_number, "a number of bytes"),
    "firmware_id": (_is_number, "a number"),
    "config": (lambda value: isinstance(value, dict), "an object"),
}
OPTIONAL: Final[Mapping[str, Check]] = {
    "runner": (_is_text_or_null, "a string or null"),
    "crt": (_is_text_or_null, "a string or null"),
}
CONFIG: Final[Mapping[str, Check]] = {
    "APPS": _TEXTS,
    "FIRMWARE": (_is_file_name, "the name of a file"),
    "CROSS": (_is_tool_prefix, "the prefix of a compiler's name"),
    "CPU_FLAGS": _TEXTS,
    "LINKER_SCRIPT": _TEXT,
    "PORT_SOURCES": _TEXTS,
    "OPTIMIZATION": _TEXT,
    "DEFINITIONS": _TEXTS,
}


def find_wrong_setting(settings: Any) -> Optional[str]:
    """Return what is wrong with the content of project.json; None where nothing is."""
    if not isinstance(settings, dict):
        return "it holds no object"
    wrong = _first_wrong(settings, SETTINGS, "")
    if wrong is None:
        given: Dict[str, Check] = {name: check for name, check in OPTIONAL.items() if name in settings}
        wrong = _first_wrong(settings, given, "")
    return wrong or _first_wrong(settings["config"], CONFIG, "config.")


def _first_wrong(values: Mapping[str, Any], checks: Mapping[str, Check], where: str) -> Optional[str]:
    for name, (accepts, wanted) in checks.items():
        if name not in values:
            return f"{where}{name} is missing"
        try:
            good = accepts(values[name])
        except TypeError:  # a list or an object, compared with strings
            good = False
        if not good:
            return f"{where}{name}: expected {wanted}"
    return None
