# SPDX-License-Identifier: Apache-2.0
"""Sizes of calls with many tensors: bytes of a packet, or device memory for a call that no packet holds.

Sources: TVM's RPC protocol (a tensor takes 32 bytes, and 8 for each dimension) and the device runtime
(packed.c, stored.c) on a 64-bit machine.
"""

from __future__ import annotations

from typing import Final, List, Sequence

PACKET_BYTES: Final = 2048 - 11
"""Packet size that a device of this platform reports: its receive buffer of 2,048 bytes less 11."""

HEAD_BYTES: Final = 64  # upper bound for framing, session, code, function and count of a call
# Memory per tensor on a 64-bit device: a DLTensor, a TVMValue and a type code.
DECODED_BYTES: Final = 48 + 8 + 4


def wire_bytes(ndims: Sequence[int]) -> int:
    """Return the bytes of tensors on the wire; ndims: number of dimensions of each tensor."""
    return sum(32 + 8 * ndim for ndim in ndims)


def fits_packet(ndims: Sequence[int], packet_bytes: int) -> bool:
    """Return whether a device can receive and decode a call in its packet buffer.

    Args:
        ndims: Number of dimensions of each tensor of the call.
        packet_bytes: Packet size that the device reports.
    """
    return HEAD_BYTES + wire_bytes(ndims) + len(ndims) * (4 + DECODED_BYTES) <= packet_bytes


def device_blocks(calls: Sequence[Sequence[int]], packet_bytes: int) -> List[int]:
    """Return the sizes in bytes of the blocks of device memory that stored calls take.

    Args:
        calls: Number of dimensions of each tensor, for each call of one inference.
        packet_bytes: Packet size that the device reports.

    Returns:
        One block of arguments for each stored call, then one block for decoded arguments that all stored
        calls share.
    """
    stored = [ndims for ndims in calls if not fits_packet(ndims, packet_bytes)]
    blocks = [wire_bytes(ndims) for ndims in stored]
    return [*blocks, max(len(ndims) for ndims in stored) * (DECODED_BYTES + 4)] if stored else []
