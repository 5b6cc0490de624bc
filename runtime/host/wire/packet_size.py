# SPDX-License-Identifier: Apache-2.0
"""What a call with many tensors takes: bytes of a packet, or memory of the device where no packet holds it.

Sources: TVM's RPC protocol (a tensor is 32 bytes and 8 for each dimension) and the device runtime (packed.c,
stored.c), on a 64-bit machine.
"""

from __future__ import annotations

from typing import Final, List, Sequence

PACKET_BYTES: Final = 2048 - 11
"""The receive buffer of a device of this platform, as it states it."""

HEAD_BYTES: Final = 64  # of a packet with a call: framing, session, code, function, count; generously
# In memory of a 64-bit device: a DLTensor, a TVMValue and a type code.
DECODED_BYTES: Final = 48 + 8 + 4


def wire_bytes(ndims: Sequence[int]) -> int:
    """Return the bytes of so many tensors on the wire, by their numbers of dimensions."""
    return sum(32 + 8 * ndim for ndim in ndims)


def fits_packet(ndims: Sequence[int], packet_bytes: int) -> bool:
    """Return whether a call with these tensors can be received and decoded in a packet buffer."""
    return HEAD_BYTES + wire_bytes(ndims) + len(ndims) * (4 + DECODED_BYTES) <= packet_bytes


def device_blocks(calls: Sequence[Sequence[int]], packet_bytes: int) -> List[int]:
    """Return the sizes of the blocks of device memory that stored calls take.

    calls: for each call of an inference the numbers of dimensions of its tensors. All of their arguments
    stay on the device; what they are decoded to is there once.
    """
    stored = [ndims for ndims in calls if not fits_packet(ndims, packet_bytes)]
    blocks = [wire_bytes(ndims) for ndims in stored]
    return [*blocks, max(len(ndims) for ndims in stored) * (DECODED_BYTES + 4)] if stored else []
