# SPDX-License-Identifier: Apache-2.0
"""Errors of a session with TVM's error classes.

During a session TVM raises every error from the relay as RPCError. If the session failed, the error also has
the class that TVM documents: IoTimeoutError, TransportClosedError or SessionTerminatedError. If the device
rejected the request, it does not.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Final, Tuple

FROM_DEVICE: Final = "Error caught from RPC call:\n"
"""Text that TVM inserts before the message of an exception from RPC."""


def install() -> None:
    """Make TVM raise the error class of each kind in control.KINDS."""
    base = importlib.import_module("tvm._ffi.base")
    rpc_error = base.ERROR_TYPE["RPCError"]
    classes = _classes()

    def rpc_or_session_error(message: str) -> Exception:
        text = message.rpartition(FROM_DEVICE)[2]
        kind, _, sentences = text.partition(": ")
        # Drop the trace of TVM's own calls before the text: AutoTVM truncates messages at it.
        error: Exception = classes[kind](sentences) if kind in classes else rpc_error(text)
        return error

    timed_out = base.ERROR_TYPE["RPCSessionTimeoutError"]
    base.register_error("RPCError", rpc_or_session_error)
    base.register_error(
        "RPCSessionTimeoutError", lambda message: timed_out(message.rpartition("RPCSessionTimeoutError: ")[2])
    )


def session_error(kind: str, sentences: str) -> Exception:
    """Return the error of a kind.

    Args:
        kind: Name of the error class in control.KINDS.
        sentences: Message of the error.
    """
    rpc_error: Exception = importlib.import_module("tvm.error").RPCError(sentences)
    error = _classes().get(kind)
    return rpc_error if error is None else error(sentences)


def _classes() -> Dict[str, Any]:
    tvm_errors = importlib.import_module("tvm.error")
    server = importlib.import_module("tvm.micro.project_api.server")
    session = importlib.import_module("tvm.micro.session")
    return {
        cls.__name__: _both(cls.__name__, (rpc_error, cls))
        for rpc_error, cls in (
            (tvm_errors.RPCSessionTimeoutError, server.IoTimeoutError),
            (tvm_errors.RPCError, server.TransportClosedError),
            (tvm_errors.RPCError, session.SessionTerminatedError),
        )
    }


def _both(name: str, bases: Tuple[type, ...]) -> type:
    """Return an error class with both bases that takes one message.

    The error classes of TVM's server need more arguments.
    """

    def __init__(self: Any, message: str) -> None:
        self.args = (message,)
        self.code, self.message, self.data, self.client_context = -32000, message, None, None

    def __str__(self: Any) -> str:
        return str(self.args[0])

    return type(name, bases, {"__init__": __init__, "__str__": __str__, "__module__": __name__})
