# SPDX-License-Identifier: Apache-2.0
"""Kinds of errors of AutoTVM's trials.

TVM's runner reports every error of a session as a failure on the device. The traceback in the result contains
the actual error. AutoTVM has own kinds for a failed build and for a timeout.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import Any, Final

RAISED: Final = re.compile(r"^(?:[\w.]+\.)?(\w+): (?:(\w+): )?", re.MULTILINE)
"""Line of a traceback that starts with an error class, then the kind that a served board adds to its message.
"""

KINDS: Final = {
    "BuildError": "COMPILE_DEVICE",
    "RPCSessionTimeoutError": "RUN_TIMEOUT",
    "IoTimeoutError": "RUN_TIMEOUT",
}
"""Error of a session -> name in AutoTVM's MeasureErrorNo. All other errors remain failures on the device."""


def install() -> None:
    """Make TVM's runner report these kinds, in this process and in the workers that measure."""
    methods: Any = importlib.import_module("tvm.autotvm.measure.measure_methods")
    kinds = methods.MeasureErrorNo
    run_through_rpc = methods.run_through_rpc

    @functools.wraps(run_through_rpc)
    def run_and_set_kind(*arguments: Any, **named: Any) -> Any:
        result = run_through_rpc(*arguments, **named)
        if result.error_no != kinds.RUNTIME_DEVICE:
            return result
        return result._replace(error_no=getattr(kinds, kind_of(result.costs[0])))

    # The runner passes the function to a worker by name; the worker has its own replacement of it.
    methods.run_through_rpc = run_and_set_kind


def kind_of(traceback: str) -> str:
    """Return the kind of the error at the end of a traceback."""
    raised = [name for line in RAISED.findall(traceback) for name in line]
    return next((KINDS[name] for name in raised if name in KINDS), "RUNTIME_DEVICE")
