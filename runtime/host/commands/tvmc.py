# SPDX-License-Identifier: Apache-2.0
"""TVM's own command line, with microTVM also where the TVM was built without it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from typing import Any, Final, NoReturn, Tuple

import click

from runtime.host.commands.app import main
from runtime.host.commands.console import show_error
from runtime.host.errors import PlatformError

# What tvmc lets through as a traceback, by the name of its class: what happened, and what to do.
EXPLAINED: Final = {
    "NotATemplateProjectError": (
        "The --template-dir is a generated project.",
        "Name the platform that it was generated from, or any other platform.",
    ),
    "TemplateProjectError": (
        "The project directory is a platform, which has no model.",
        "Make a project of it with `tvmc micro create-project`, and name that.",
    ),
    "ConnectionShutdownError": (
        "The API server ended in the middle of a request.",
        "What it printed above says why; `python -m runtime.host check` looks for what is missing.",
    ),
}


INSTALL_ONNX: Final = 'Install it in the environment of TVM: python -m pip install "onnx>=1.13,<1.19"'


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Run TVM's own tvmc, in a Python that has TVM.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ARGUMENTS")
def tvmc(arguments: Tuple[str, ...]) -> None:
    """Run TVM's own tvmc; its arguments are tvmc's, also -h."""
    from runtime.host import tvm_micro

    if any(word.endswith(".onnx") for word in arguments) and importlib.util.find_spec("onnx") is None:
        raise PlatformError(
            "TVM reads ONNX models with the Python package onnx, which is not installed.", INSTALL_ONNX
        )
    tvm_micro.enable()
    driver: Any = importlib.import_module("tvm.driver.tvmc.main")
    _say_why_no_session()
    sys.argv = ["tvmc", *arguments]  # tvmc reads it in several places
    try:
        driver.main()
    except Exception as error:
        _explain(error)


def _say_why_no_session() -> None:
    """tvmc itself says only that it could not open one."""
    session: Any = importlib.import_module("tvm.micro").Session
    enter = session.__enter__

    @functools.wraps(enter)
    def __enter__(self: Any) -> Any:
        try:
            return enter(self)
        except Exception as error:
            show_error(_told(error))
            raise

    session.__enter__ = __enter__


def _explain(error: Exception) -> NoReturn:
    """End with the sentences of what went wrong; other errors go on as they are."""
    name = type(error).__name__
    if name in EXPLAINED:
        raise PlatformError(*EXPLAINED[name]) from error
    if isinstance(error, ImportError) and "onnx" in str(error):
        raise PlatformError(f"TVM cannot use the Python package onnx: {error}.", INSTALL_ONNX) from error
    session: Any = importlib.import_module("tvm.micro.project_api.server")
    tvm_error: Any = importlib.import_module("tvm").TVMError
    if isinstance(error, (session.JSONRPCError, tvm_error)):
        raise _told(error) from error
    raise error


def _told(error: Exception) -> PlatformError:
    """The two sentences of an error of the API server, of the session or of the device."""
    from runtime.host.tvm_session.errors import FROM_DEVICE

    message = str(getattr(error, "message", None) or str(error).rpartition(FROM_DEVICE)[2])
    data = getattr(error, "data", None)
    log = data.get("traceback", "") if isinstance(data, dict) else ""
    if message == type(error).__name__:  # the name of a condition, whose explanation is the log
        message, log = log.strip() or message, ""
    what, _, next_step = message.partition("\n")
    return PlatformError(what, next_step or "Look at what the device and the API server print.", log)
