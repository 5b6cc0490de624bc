# SPDX-License-Identifier: Apache-2.0
"""The configuration of a build as the build systems read it: config.mk or config.cmake."""

from __future__ import annotations

import re
import shlex
from typing import Any, Callable, Dict, Final, List, Optional, Tuple

from runtime.host.errors import PlatformError
from runtime.host.project.settings import BuildConfig

DEFINITION: Final = re.compile(r"(-D)?[A-Za-z_]\w*(\([^)]*\))?(=.*)?", re.ASCII)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
CONFIG_HEADER: Final = "# Written when the project was generated. Generate it again to change it."


def config_mk(config: BuildConfig) -> str:
    """The configuration as variables of make. Values reach a shell: they are quoted for it, then for make."""

    def quoted(value: Any) -> str:
        # Before "#" make halves backslashes.
        parts = (shlex.quote(part).replace("$", "$$") for part in _words(value))
        return " ".join(re.sub(r"(\\*)#", r"\1\1\\#", part) for part in parts)

    lines = [f"{name} := {quoted(value)}" for name, value in config.variables().items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def config_cmake(config: BuildConfig) -> str:
    """The configuration as variables of CMake, each value a bracket argument, in which nothing is special.
    What CMake makes of a list later splits at semicolons: no value may hold one."""

    def quoted(value: Any) -> str:
        # CMake 3.25 writes "#" into makefiles as "\\#", before which make halves backslashes.
        return " ".join(_bracket(re.sub(r"(\\+)#", r"\1\1#", part)) for part in _words(value))

    lines = [f"set({name} {quoted(value)})" for name, value in config.variables().items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def _words(value: Any) -> List[str]:
    """The words of a variable: of a list each of its items, of "" none."""
    if isinstance(value, list):
        return value
    return [str(value)] if value != "" else []


def _bracket(text: str) -> str:
    equals = "="
    while f"]{equals}]" in f"{text}]":
        equals += "="
    return f"[{equals}[{text}]{equals}]"


def read_definitions(definitions: Optional[List[str]], build_system: str) -> List[str]:
    """Compiler arguments from "NAME=1" or "-DNAME=1"."""
    definitions = [text for text in definitions or [] if text]
    for text in definitions:
        if _LONE_SURROGATE.search(text):
            raise PlatformError(
                f"compile_definitions holds half a character (a lone surrogate): {text!r}.",
                "Write the character as an escape of C.",
            )
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise PlatformError(
                f"compile_definitions holds a line break or another control character: {text!r}.",
                "Write it as an escape of C, for example \\n.",
            )
        if build_system == "cmake" and (";" in text or text.count("[") != text.count("]")):
            raise PlatformError(
                f"CMake's lists break on a semicolon and on an unpaired square bracket: {text!r}.",
                "Define it in a header among the extra files, or bake the platform with Make.",
            )
        if not DEFINITION.fullmatch(text):
            raise PlatformError(
                f"compile_definitions: want NAME or NAME=VALUE, got {text!r}.",
                "Separate several with commas: A=1,B.",
            )
    return [text if text.startswith("-D") else f"-D{text}" for text in definitions]


# Build system -> the file of its configuration, and what writes it.
CONFIGS: Final[Dict[str, Tuple[str, Callable[[BuildConfig], str]]]] = {
    "make": ("config.mk", config_mk),
    "cmake": ("config.cmake", config_cmake),
}
