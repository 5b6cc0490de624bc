# SPDX-License-Identifier: Apache-2.0
"""What kind of error a trial of AutoTVM ends with.

TVM's runner calls every error of a session a failure on the device. Which error it was stands in the
result's traceback, and AutoTVM has kinds of its own for a build that fails and for time that is up.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import Any, Final

RAISED: Final = re.compile(r"^(?:[\w.]+\.)?(\w+): (?:(\w+): )?", re.MULTILINE)
"""A line of a traceback that begins with the class of an error: the class, and the kind that a served board
puts before its sentences."""

KINDS: Final = {
    "BuildError": "COMPILE_DEVICE",
    "RPCSessionTimeoutError": "RUN_TIMEOUT",
    "IoTimeoutError": "RUN_TIMEOUT",
}
"""The error of a session -> the name in AutoTVM's MeasureErrorNo; all others stay failures on the device."""


def install() -> None:
    """Let TVM's runner tell these kinds apart, here and in the workers that measure."""
    methods: Any = importlib.import_module("tvm.autotvm.measure.measure_methods")
    kinds = methods.MeasureErrorNo
    run_through_rpc = methods.run_through_rpc

    @functools.wraps(run_through_rpc)
    def run_and_tell_kind(*arguments: Any, **named: Any) -> Any:
        result = run_through_rpc(*arguments, **named)
        if result.error_no != kinds.RUNTIME_DEVICE:
            return result
        return result._replace(error_no=getattr(kinds, kind_of(result.costs[0])))

    # The runner hands it to a worker by its name, under which the worker finds its own.
    methods.run_through_rpc = run_and_tell_kind


def kind_of(traceback: str) -> str:
    """The kind of error that ended with this traceback."""
    raised = [name for line in RAISED.findall(traceback) for name in line]
    return next((KINDS[name] for name in raised if name in KINDS), "RUNTIME_DEVICE")
