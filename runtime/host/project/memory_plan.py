# SPDX-License-Identifier: Apache-2.0
"""Calculation of the device memory that a model needs."""

from __future__ import annotations

from typing import Final, Optional

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.wire.packet_size import DECODED_BYTES, PACKET_BYTES, device_blocks

WORKSPACE_SLACK_BYTES: Final = 4096
SLACK_OF_RAM: Final = 16  # the slack is at most 1/16 of the RAM
ALIGNMENT: Final = 64  # largest alignment of the device runtime, and size of its block header
BLOCK_HEADER_BYTES: Final = ALIGNMENT


def workspace_bytes(archive: ModelArchive, ram_bytes: Optional[int] = None) -> int:
    """Return the bytes that the device runtime's pool needs for this model, rounded up to 64.

    The pool has a block with a header for each tensor on the device, including parameters that are not linked
    into the firmware. Another block is for the largest workspace, without the generated code's static arrays.
    An eighth and 4 KiB are added, for kernels that split their workspace and for a session's other
    allocations.

    Args:
        archive: Model archive.
        ram_bytes: RAM of the board, which limits the added 4 KiB; None for no limit.
    """
    if archive.style == "operator":
        arguments = [[tensor.size_bytes for tensor in tensors] for tensors in archive.operators.values()]
        largest = max(arguments, key=sum, default=[])
        # The metadata does not contain the workspace of a kernel, but C code does. Without C code, a
        # workspace of the size of the arguments is generous.
        blocks = [*largest, *(largest if archive.allocated_bytes is None else archive.allocated_bytes)]
    elif archive.executor == "graph":
        blocks = [*archive.storage_sizes_bytes, archive.operator_workspace_size_bytes]
    else:
        tensors = (*archive.inputs, *archive.outputs)
        planned = max(0, archive.workspace_size_bytes - archive.static_workspace_bytes)
        # The executor's own block has a tensor, a value and a type code for each input and output.
        blocks = [*(tensor.size_bytes for tensor in tensors), planned, len(tensors) * (DECODED_BYTES + 4)]
    blocks += device_blocks(archive.tensors_of_calls, PACKET_BYTES)
    need = sum(_round_up(size) + BLOCK_HEADER_BYTES for size in blocks)
    slack = WORKSPACE_SLACK_BYTES
    if ram_bytes is not None:
        slack = min(slack, ram_bytes // SLACK_OF_RAM)
    return _round_up(need + need // 8 + slack)


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
