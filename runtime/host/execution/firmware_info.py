# SPDX-License-Identifier: Apache-2.0
"""What a firmware tells of itself: which one it is, and the most memory that it has used.

The device function mtvm.about(index) gives one number a call (runtime/device/apps/about.c): the id of
the firmware, the stack's most and whole, the workspace's most and whole. A firmware on TVM's own runtime has
no such function.
"""

from __future__ import annotations

from typing import Final, List, NamedTuple, Optional, Tuple

from runtime.host.errors import DeviceError, ProtocolError
from runtime.host.wire.rpc import RpcClient

FUNCTION: Final = "mtvm.about"


class Used(NamedTuple):
    """Bytes since the device was reset: the most that was used, and what is available."""

    most: int
    available: int


class Usage(NamedTuple):
    """Memory of a running firmware. stack: None where the device cannot tell, as for a process."""

    stack: Optional[Used]
    workspace: Used

    def rows(self) -> List[Tuple[str, str]]:
        """What is used of what, in words."""
        rows = [] if self.stack is None else [("stack", self.stack)]
        return [
            (what, f"at most {used.most:,} of {used.available:,} bytes used")
            for what, used in (*rows, ("workspace", self.workspace))
        ]


def read_usage(rpc: RpcClient) -> Optional[Usage]:
    """The memory that the device has used; None for a firmware that does not tell."""
    numbers = _ask(rpc, (1, 2, 3, 4))
    if numbers is None:
        return None
    stack_most, stack, workspace_most, workspace = numbers
    return Usage(Used(stack_most, stack) if stack else None, Used(workspace_most, workspace))


def check_firmware(rpc: RpcClient, wanted: int) -> None:
    """Raise DeviceError when the device runs another firmware than the one with the id `wanted`."""
    numbers = _ask(rpc, (0,))
    if numbers is not None and numbers[0] != wanted:
        raise DeviceError(
            f"The board runs another firmware ({numbers[0]:08x}) than this project's ({wanted:08x}).",
            "Flash this project: python -m runtime.host flash, or tvmc micro flash.",
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
                f"{FUNCTION}({index}) of the device answered {number!r}, which is no number.",
                "Build and flash the project again with this platform.",
            )
        numbers.append(number)
    return numbers
