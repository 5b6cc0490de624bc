# SPDX-License-Identifier: Apache-2.0
"""Time evaluators of a device: a function that calls another one many times and returns the seconds."""

from __future__ import annotations

from typing import Final, Tuple

from runtime.host.errors import DeviceError
from runtime.host.execution.replies import unexpected_reply
from runtime.host.wire.messages import Handle, Value
from runtime.host.wire.rpc import RemoteFunction

# What a time evaluator takes last: limit_zero_time_iterations, cooldown_interval_ms and repeats_to_cooldown,
# cache_flush_bytes, and the name of a function to call before each repeat. The device runtime takes all of
# it, TVM's own does from 0.14 on; the others are for TVM's own from 0.10, 0.9 and 0.8 on.
_EVALUATOR_TAILS: Final[Tuple[Tuple[Value, ...], ...]] = (
    (100, 0, 1, 0, ""),
    (100, 0, 1, ""),
    (0, 1, ""),
    ("",),
)


def create_time_evaluator(create: RemoteFunction, arguments: Tuple[Value, ...]) -> Handle:
    """A time evaluator of the device, in the form that its runtime takes."""
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
    raise refused or unexpected_reply("runtime.RPCTimeEvaluator")
