# SPDX-License-Identifier: Apache-2.0
"""Firmware self-report: its id and peak stack and workspace use.

The device function mtvm.about(index) returns one number per call (runtime/device/apps/about.c). Index 0 is
the id of the firmware, 1 and 2 are peak use and size of the stack, 3 and 4 those of the workspace. A firmware
on TVM's own runtime does not have this function.
"""

from __future__ import annotations

from typing import Final, List, NamedTuple, Optional, Tuple

from runtime.host.errors import DeviceError, ProtocolError
from runtime.host.wire.rpc import RpcClient

FUNCTION: Final = "mtvm.about"


class Used(NamedTuple):
    """Bytes of a memory: peak use since the reset of the device, and size."""

    most: int
    available: int


class Usage(NamedTuple):
    """Memory use of a running firmware; stack is None if the device cannot measure it, as in a process."""

    stack: Optional[Used]
    workspace: Used

    def rows(self) -> List[Tuple[str, str]]:
        """Return table rows: name of the memory, and its use in words."""
        rows = [] if self.stack is None else [("stack", self.stack)]
        return [
            (what, f"at most {used.most:,} of {used.available:,} bytes used")
            for what, used in (*rows, ("workspace", self.workspace))
        ]


def read_usage(rpc: RpcClient) -> Optional[Usage]:
    """Return the memory use of the device, or None if the firmware does not report it."""
    numbers = _ask(rpc, (1, 2, 3, 4))
    if numbers is None:
        return None
    stack_most, stack, workspace_most, workspace = numbers
    return Usage(Used(stack_most, stack) if stack else None, Used(workspace_most, workspace))


def check_firmware(rpc: RpcClient, wanted: int) -> None:
    """Raise DeviceError if the id of the device's firmware is not `wanted`."""
    numbers = _ask(rpc, (0,))
    if numbers is not None and numbers[0] != wanted:
        raise DeviceError(
            f"The board runs another firmware: expected id {wanted:08x}, got {numbers[0]:08x}.",
            "Flash this project: python mtvm.py flash, or tvmc micro flash.",
        )


def _ask(rpc: RpcClient, indices: Tuple[int, ...]) -> Optional[List[int]]:
    function = rpc.find_function(FUNCTION)
    if function is None:
        return None
    numbers = []
    for index in indices:
        number = function(index)
        if not isinstance(number, int):
            raise ProtocolError(
                f"{FUNCTION}({index}) of the device is invalid: expected an integer, got {number!r}.",
                "Build and flash the project again with this platform.",
            )
        numbers.append(number)
    return numbers
