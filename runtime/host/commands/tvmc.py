# SPDX-License-Identifier: Apache-2.0
"""Command that runs TVM's own tvmc, with microTVM also in a TVM that was built without it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from typing import Any, Final, NoReturn, Tuple

import click

from runtime.host.commands.app import main
from runtime.host.commands.console import show_error
from runtime.host.errors import PlatformError, traceback_of

# Exceptions that tvmc shows as a traceback: name of the class -> problem and next step.
EXPLAINED: Final = {
    "NotATemplateProjectError": (
        "The --template-dir is a generated project.",
        "Name the platform that the project was generated from, or another platform.",
    ),
    "TemplateProjectError": (
        "The project directory is a platform, which has no model.",
        "Generate a project with `tvmc micro create-project`, and name that project.",
    ),
    "ConnectionShutdownError": (
        "The API server exited during a request.",
        "Read the output of the API server above, or find what is missing with: python mtvm.py check",
    ),
}


LONGEST_LOG: Final = 4_000  # characters of TVM's traceback
INSTALL_ONNX: Final = 'Install it in the environment of TVM: python -m pip install "onnx>=1.13,<1.19"'


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ARGUMENTS")
def tvmc(arguments: Tuple[str, ...]) -> None:
    """Run TVM's own tvmc, in a Python that has TVM.

    All arguments are arguments of tvmc, also -h.
    """
    from runtime.host import tvm_micro

    if any(word.endswith(".onnx") for word in arguments) and importlib.util.find_spec("onnx") is None:
        raise PlatformError(
            "TVM reads ONNX models with the Python package onnx, which is not installed.", INSTALL_ONNX
        )
    tvm_micro.enable()
    driver: Any = importlib.import_module("tvm.driver.tvmc.main")
    _report_failed_session()
    sys.argv = ["tvmc", *arguments]  # tvmc reads sys.argv in several places
    try:
        driver.main()
    except Exception as error:
        _explain(error)


def _report_failed_session() -> None:
    """Print the cause where a session fails: tvmc prints only that it failed."""
    session: Any = importlib.import_module("tvm.micro").Session
    enter = session.__enter__

    @functools.wraps(enter)
    def __enter__(self: Any) -> Any:
        try:
            return enter(self)
        except Exception as error:
            show_error(_as_platform_error(error))
            raise

    session.__enter__ = __enter__


def _explain(error: Exception) -> NoReturn:
    """Raise a PlatformError for a failure of tvmc."""
    name = type(error).__name__
    if name in EXPLAINED:
        raise PlatformError(*EXPLAINED[name]) from error
    if isinstance(error, ImportError) and "onnx" in str(error):
        raise PlatformError(f"TVM cannot use the Python package onnx: {error}.", INSTALL_ONNX) from error
    session: Any = importlib.import_module("tvm.micro.project_api.server")
    tvm_error: Any = importlib.import_module("tvm").TVMError
    if isinstance(error, (session.JSONRPCError, tvm_error)):
        raise _as_platform_error(error) from error
    raise PlatformError(
        f"TVM's tvmc failed: {name}: {(str(error).strip() or name).splitlines()[0]}",
        "Read the log of TVM below. docs/archives.md of the platform has the options for a model archive.",
        traceback_of(error)[-LONGEST_LOG:],
    ) from error


def _as_platform_error(error: Exception) -> PlatformError:
    """Return the two sentences of an error of the API server, of the session or of the device."""
    from runtime.host.tvm_session.errors import FROM_DEVICE

    message = str(getattr(error, "message", None) or str(error).rpartition(FROM_DEVICE)[2])
    data = getattr(error, "data", None)
    log = data.get("traceback", "") if isinstance(data, dict) else ""
    if message == type(error).__name__:  # the name of a condition, which the log explains
        message, log = log.strip() or message, ""
    what, _, next_step = message.partition("\n")
    return PlatformError(what, next_step or "Read the output of the device and of the API server.", log)
