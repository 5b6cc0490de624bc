# SPDX-License-Identifier: Apache-2.0
"""Writers of a build's configuration for the build systems: config.mk or config.cmake."""

from __future__ import annotations

import re
import shlex
from typing import Any, Callable, Dict, Final, List, Optional, Tuple

from runtime.host.errors import PlatformError
from runtime.host.project.settings import BuildConfig

DEFINITION: Final = re.compile(r"(-D)?[A-Za-z_]\w*(\([^)]*\))?(=.*)?", re.ASCII)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
CONFIG_HEADER: Final = "# Written when the project was generated. Generate the project again to change it."


def config_mk(config: BuildConfig) -> str:
    """Return the configuration as variables of make.

    Values are quoted for the shell of make's recipes, then for make.
    """

    def quoted(value: Any) -> str:
        # Make halves backslashes before "#".
        parts = (shlex.quote(part).replace("$", "$$") for part in _words(value))
        return " ".join(re.sub(r"(\\*)#", r"\1\1\\#", part) for part in parts)

    lines = [f"{name} := {quoted(value)}" for name, value in config.variables().items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def config_cmake(config: BuildConfig) -> str:
    """Return the configuration as variables of CMake.

    Each value is a bracket argument, in which no character is special. No value may contain a semicolon,
    because CMake later splits lists at semicolons.
    """

    def quoted(value: Any) -> str:
        # CMake 3.25 writes "#" into makefiles as "\\#", and make halves backslashes before it.
        return " ".join(_bracket(re.sub(r"(\\+)#", r"\1\1#", part)) for part in _words(value))

    lines = [f"set({name} {quoted(value)})" for name, value in config.variables().items()]
    return "\n".join([CONFIG_HEADER, *lines, ""])


def _words(value: Any) -> List[str]:
    """Return the words of a variable: the items of a list, no word for ""."""
    if isinstance(value, list):
        return value
    return [str(value)] if value != "" else []


def _bracket(text: str) -> str:
    equals = "="
    while f"]{equals}]" in f"{text}]":
        equals += "="
    return f"[{equals}[{text}]{equals}]"


def read_definitions(definitions: Optional[List[str]], build_system: str) -> List[str]:
    """Return compiler arguments from "NAME=1" or "-DNAME=1".

    Args:
        definitions: Value of the option compile_definitions.
        build_system: make or cmake.

    Raises:
        PlatformError: A definition is invalid, or the build system cannot pass it to the compiler.
    """
    definitions = [text for text in definitions or [] if text]
    for text in definitions:
        if _LONE_SURROGATE.search(text):
            raise PlatformError(
                f"compile_definitions contains half a character (a lone surrogate): {text!r}.",
                "Write the character as an escape sequence of C.",
            )
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise PlatformError(
                f"compile_definitions contains a line break or another control character: {text!r}.",
                "Write the character as an escape sequence of C, for example \\n.",
            )
        if build_system == "cmake" and (";" in text or text.count("[") != text.count("]")):
            raise PlatformError(
                "compile_definitions contains a semicolon or an unpaired square bracket, which CMake's "
                f"lists do not support: {text!r}.",
                "Define the macro in a header among the extra files, or bake the platform with Make.",
            )
        if not DEFINITION.fullmatch(text):
            raise PlatformError(
                f"compile_definitions is invalid: expected NAME or NAME=VALUE, got {text!r}.",
                "Separate several definitions with commas: A=1,B.",
            )
    return [text if text.startswith("-D") else f"-D{text}" for text in definitions]


# Build system -> the file of its configuration, and the function that returns its content.
CONFIGS: Final[Dict[str, Tuple[str, Callable[[BuildConfig], str]]]] = {
    "make": ("config.mk", config_mk),
    "cmake": ("config.cmake", config_cmake),
}
