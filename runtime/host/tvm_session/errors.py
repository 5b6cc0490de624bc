# SPDX-License-Identifier: Apache-2.0
"""Errors of a session as TVM's own classes.

During a session TVM raises every exception that the relay replies with as RPCError. If the session failed,
rather than a request on the device, the error is also an instance of the class that TVM documents:
IoTimeoutError, TransportClosedError or SessionTerminatedError.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Final, Tuple

FROM_DEVICE: Final = "Error caught from RPC call:\n"
"""Prefix that TVM adds to the message of an exception from RPC."""


def install() -> None:
    """Register the classes of control.KINDS for exceptions that TVM receives over RPC."""
    base = importlib.import_module("tvm._ffi.base")
    rpc_error = base.ERROR_TYPE["RPCError"]
    classes = _classes()

    def rpc_or_session_error(message: str) -> Exception:
        text = message.rpartition(FROM_DEVICE)[2]
        kind, _, sentences = text.partition(": ")
        # The trace of TVM's own calls before the text is dropped: AutoTVM would cut the message off there.
        error: Exception = classes[kind](sentences) if kind in classes else rpc_error(text)
        return error

    timed_out = base.ERROR_TYPE["RPCSessionTimeoutError"]
    base.register_error("RPCError", rpc_or_session_error)
    base.register_error(
        "RPCSessionTimeoutError", lambda message: timed_out(message.rpartition("RPCSessionTimeoutError: ")[2])
    )


def session_error(kind: str, sentences: str) -> Exception:
    """Return the error of one of control.KINDS; sentences: its message."""
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
    """Return a class that derives from both bases and takes only a message; TVM's classes need more."""

    def __init__(self: Any, message: str) -> None:
        self.args = (message,)
        self.code, self.message, self.data, self.client_context = -32000, message, None, None

    def __str__(self: Any) -> str:
        return str(self.args[0])

    return type(name, bases, {"__init__": __init__, "__str__": __str__, "__module__": __name__})
