# SPDX-License-Identifier: Apache-2.0
"""Time evaluators of a device: functions that call another function many times and return the seconds."""

from __future__ import annotations

from typing import Final, Tuple

from runtime.host.errors import DeviceError
from runtime.host.execution.replies import unexpected_reply
from runtime.host.wire.messages import Handle, Value
from runtime.host.wire.rpc import RemoteFunction

# Last arguments: limit_zero_time_iterations, cooldown_interval_ms, repeats_to_cooldown, cache_flush_bytes,
# and the name of a function to call before each repeat.
#
# The device runtime, and TVM's own runtime from 0.14, accept all of them. The shorter lists are for TVM's own
# runtime from 0.10, 0.9 and 0.8.
_EVALUATOR_TAILS: Final[Tuple[Tuple[Value, ...], ...]] = (
    (100, 0, 1, 0, ""),
    (100, 0, 1, ""),
    (0, 1, ""),
    ("",),
)


def create_time_evaluator(create: RemoteFunction, arguments: Tuple[Value, ...]) -> Handle:
    """Create a time evaluator on the device, with the arguments that its runtime accepts.

    Args:
        create: The device's function runtime.RPCTimeEvaluator.
        arguments: Arguments before the version-dependent ones.
    """
    refused = None
    for tail in _EVALUATOR_TAILS:
        try:
            timed = create(*arguments, *tail)
        except DeviceError as error:
            refused = refused or error
            continue
        if not isinstance(timed, Handle):
            break
        return timed
    raise refused or unexpected_reply("runtime.RPCTimeEvaluator did not return a function")
