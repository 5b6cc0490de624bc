# SPDX-License-Identifier: Apache-2.0
"""Named settings of a platform: tables of project options in mtvm.toml, for --env of the command line.

    [env.lab]
    board = "nucleo_l4r5zi"
    port = "/dev/ttyACM0"

The file is optional and belongs to the owner. A path in it is relative to its directory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Final, List, Mapping

from runtime import server
from runtime.host.errors import PlatformError, ToolMissing
from runtime.host.project.options import project_options
from runtime.host.system.packages import how_to_install_requirements

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.host.project.platform import Platform

SETTINGS_FILE: Final = "mtvm.toml"
ENVIRONMENTS: Final = "env"  # the table of tables
PATHS: Final = ("cmsis_path", "extra_files_tar", "standalone_input", "standalone_crt_dir")
LARGEST_BYTES: Final = 1 << 20


def environment_names(platform: Platform) -> List[str]:
    """Return the names of a platform's named settings, in the order of the file."""
    return list(_environments(platform.directory / SETTINGS_FILE))


def read_named_settings(platform: Platform, name: str) -> Dict[str, Any]:
    """Return one table of named settings.

    Args:
        platform: A platform; a generated project has no settings.
        name: NAME of [env.NAME].

    Returns:
        Project option -> value of the type that the option declares.

    Raises:
        PlatformError: The file, the table or a value is missing or invalid.
    """
    path = platform.directory / SETTINGS_FILE
    if platform.is_project:
        raise PlatformError(
            f"--env {name} needs the {SETTINGS_FILE} of a platform; this directory is a generated project.",
            "Run the command on the platform, or give the options on the command line.",
        )
    environments = _environments(path)
    if name not in environments:
        raise PlatformError(
            f"{path} has no table [{ENVIRONMENTS}.{name}].",
            server.did_you_mean(name, environments)
            if environments
            else f"Add [{ENVIRONMENTS}.{name}] to the file.",
        )
    declared = {option.name: option for option in project_options(platform.boards())}
    settings = {}
    for key, value in environments[name].items():
        where = f"{path}: [{ENVIRONMENTS}.{name}] {key}"
        if key not in declared:
            raise PlatformError(f"{where} is not a project option.", server.did_you_mean(key, declared))
        try:
            # "custom" names the owner's flash_command, which is not among the choices.
            settings[key] = value if key == "runner" else server.coerce_option(declared[key], value)
        except server.OptionError as error:
            raise PlatformError(f"{path}: [{ENVIRONMENTS}.{name}]: {error.what}", error.next_step) from error
        if key in PATHS:
            settings[key] = os.path.join(path.parent, str(value))  # noqa: PTH118 (the option is a string)
    if not isinstance(settings.get("runner", ""), str):
        raise PlatformError(f"{path}: [{ENVIRONMENTS}.{name}] runner is not a string.", "Write it in quotes.")
    return settings


def _environments(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Read the file. Raise PlatformError for a file that is not TOML, or has anything but [env.NAME]."""
    document = _read_toml(path)
    unknown = sorted(set(document) - {ENVIRONMENTS})
    if unknown:
        raise PlatformError(
            f"{path}: {unknown[0]} is not a setting.",
            f"Write a table [{ENVIRONMENTS}.NAME] with project options.",
        )
    environments = document.get(ENVIRONMENTS, {})
    if not isinstance(environments, dict) or not all(
        isinstance(each, dict) for each in environments.values()
    ):
        raise PlatformError(
            f"{path}: {ENVIRONMENTS} holds a value that is not in a named table.",
            f"Write a table [{ENVIRONMENTS}.NAME] with project options.",
        )
    return environments


def _read_toml(path: Path) -> Dict[str, Any]:
    if not path.is_file():
        raise PlatformError(
            f"There is no file {path}.",
            f"Create it with a table [{ENVIRONMENTS}.NAME] of project options, such as board and port.",
        )
    if path.stat().st_size > LARGEST_BYTES:
        raise PlatformError(
            f"{path} is larger than {LARGEST_BYTES:,} bytes.", "Remove what is not a setting."
        )
    try:
        import tomllib  # type: ignore[import-not-found,unused-ignore]  # CPython 3.11 and newer
    except ImportError:
        try:
            import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise ToolMissing(
                f"The Python package tomli is not installed; {SETTINGS_FILE} needs it before CPython 3.11.",
                how_to_install_requirements(),
            ) from error
    try:
        document: Dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise PlatformError(
            f"{path} is not valid TOML: it is not UTF-8.", "Save the file as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:
        raise PlatformError(f"{path} is not valid TOML: {error}.", "Fix the file at that line.") from error
    return document
