# SPDX-License-Identifier: Apache-2.0
"""Results of commands as JSON documents (--json); output.schema.json of this package is their JSON Schema.

Each document is one object on one line of standard output. Progress and messages go to standard error. JSON
has no numbers for NaN and the infinities: they are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any, Dict, Final, Optional

from runtime.host.boards.board import Board
from runtime.host.errors import PlatformError
from runtime.host.system.version import version

if TYPE_CHECKING:
    from runtime.host.execution.device_memory import Array
    from runtime.host.execution.firmware_info import Usage, Used
    from runtime.host.execution.latency import Latency

SCHEMA_VERSION: Final = 1
"""Rises when a field changes its meaning or goes. A new field does not raise it."""


def print_document(command: str, fields: Dict[str, Any]) -> None:
    """Print the result of a command."""
    head = {"schema_version": SCHEMA_VERSION, "template_version": version(), "command": command}
    sys.stdout.write(json.dumps({**head, **fields}, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_failure(command: str, error: PlatformError) -> None:
    """Print the failure of a command."""
    print_document(command, {"error": error_fields(error)})


def error_fields(error: PlatformError) -> Dict[str, str]:
    """Return the sentences of an error, and the tail of the tool's log."""
    return {"problem": error.what, "next": error.next_step, "log": error.log}


def board_fields(board: Board) -> Dict[str, Any]:
    """Return the entry of a board."""
    return {
        "name": board.name,
        "label": board.label,
        "family": board.family,
        "default": board.default,
        "cpu": board.cpu,
        "device_port": board.device_port,
        "transport": board.transport,
        "verified": board.verified,
        "flash_bytes": board.flash_bytes,
        "ram_bytes": board.ram_bytes,
        "usb": list(board.usb),
        "runner": board.runner,
        "runners": list(board.runners),
    }


def tensor_fields(name: str, array: Array) -> Dict[str, Any]:
    """Return name, type, shape and values (nested lists, C order) of a tensor."""
    return {
        "name": name,
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "values": finite(array.tolist()),
    }


def latency_fields(latency: Optional[Latency]) -> Optional[Dict[str, float]]:
    """Return the seconds of an inference; None for a device that counts instructions."""
    if latency is None:
        return None
    return {"median": latency.median, "p99": latency.p99, "least": latency.least}


def usage_fields(usage: Optional[Usage]) -> Optional[Dict[str, Any]]:
    """Return the memory that a device has used; None for a firmware that does not report it."""
    if usage is None:
        return None
    return {"stack": _used(usage.stack), "workspace": _used(usage.workspace)}


def _used(used: Optional[Used]) -> Optional[Dict[str, int]]:
    return None if used is None else {"most_bytes": used.most, "available_bytes": used.available}


def finite(value: Any) -> Any:
    """Return a value of nested lists of numbers with strings for the values that JSON cannot write."""
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
