# SPDX-License-Identifier: Apache-2.0
"""How much memory of the device a model needs."""

from __future__ import annotations

from typing import Final, Optional

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.wire.packet_size import DECODED_BYTES, PACKET_BYTES, device_blocks

WORKSPACE_SLACK_BYTES: Final = 4096
SLACK_OF_RAM: Final = 16  # but at most the 16th part of the RAM
ALIGNMENT: Final = 64  # the most that the device runtime aligns to; its block header takes as much
BLOCK_HEADER_BYTES: Final = ALIGNMENT


def workspace_bytes(archive: ModelArchive, ram_bytes: Optional[int] = None) -> int:
    """What the device runtime's pool must hold for this model, rounded up to 64.

    Every tensor that lives on the device (parameters that are not linked into the firmware are among them)
    and the largest workspace at one time, less what the generated code has as an array of its own; each a
    block with its header.
    An eighth and 4 KiB on top, less on a board with little RAM, are for kernels that cut their workspace in
    pieces, and for what a session allocates besides the model.
    """
    if archive.style == "operator":
        arguments = [[tensor.size_bytes for tensor in tensors] for tensors in archive.operators.values()]
        largest = max(arguments, key=sum, default=[])
        # Its metadata does not tell the workspace of a kernel, C code does. Without C code, one as large as
        # its arguments is generous.
        blocks = [*largest, *(largest if archive.allocated_bytes is None else archive.allocated_bytes)]
    elif archive.executor == "graph":
        blocks = [*archive.storage_sizes_bytes, archive.operator_workspace_size_bytes]
    else:
        tensors = (*archive.inputs, *archive.outputs)
        planned = max(0, archive.workspace_size_bytes - archive.static_workspace_bytes)
        # The executor's own block has a tensor, a value and a type code for each.
        blocks = [*(tensor.size_bytes for tensor in tensors), planned, len(tensors) * (DECODED_BYTES + 4)]
    blocks += device_blocks(archive.tensors_of_calls, PACKET_BYTES)
    need = sum(_round_up(size) + BLOCK_HEADER_BYTES for size in blocks)
    slack = WORKSPACE_SLACK_BYTES
    if ram_bytes is not None:
        slack = min(slack, ram_bytes // SLACK_OF_RAM)
    return _round_up(need + need // 8 + slack)


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
