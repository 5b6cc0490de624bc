# SPDX-License-Identifier: Apache-2.0
"""Replay of recorded conversations, with this device in place of TVM's.

The replies must be equal, message for message, except for handles, addresses, times and nonces.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, Callable, Dict, Tuple

import pytest

from tests.device.conftest import MemoryDevice, ProcessDevice
from tests.device.conversations import recorded
from tests.device.wire import (
    BYTES,
    CALL,
    COPY_ACK,
    COPY_FROM,
    COPY_TO,
    EXCEPTION,
    HANDLE,
    MODULE,
    STR,
    TENSOR,
    Client,
    Tensor,
    Values,
    decode_values,
    encode_values,
    message,
    split_message,
)

GRAPH_KERNELS = (
    "fused_layout_transform",
    "fused_layout_transform_nn_batch_flatten",
    "fused_nn_contrib_conv2d_NCHWc_nn_relu",
    "fused_nn_contrib_dense_pack",
    "fused_nn_max_pool2d",
)


class Replay:
    """Sender of recorded requests, with the handles and addresses of this device."""

    def __init__(self, device: Client) -> None:
        self.device = device
        self.live: Dict[int, int] = {0: 0}  # recorded handle or address -> handle or address of this device

    def _value(self, code: int, value: Any) -> Tuple[int, Any]:
        if code in (HANDLE, MODULE):
            return code, self.live[value]
        if code == TENSOR:
            return code, replace(value, data=self.live[value.data])
        return code, value

    def _operands(self, code: int, operands: bytes) -> bytes:
        if code == CALL:
            (handle,) = struct.unpack_from("<Q", operands)
            values, _ = decode_values(operands[8:])
            values = [self._value(*pair) for pair in values]
            return struct.pack("<Q", self.live[handle]) + encode_values(values)
        if code in (COPY_FROM, COPY_TO):
            tensor, rest = Tensor.decode(operands)
            return replace(tensor, data=self.live[tensor.data]).encode() + rest
        values, _ = decode_values(operands)
        return encode_values([self._value(*pair) for pair in values])

    def _compare(self, recorded: Values, live: Values) -> None:
        assert [code for code, _ in live] == [code for code, _ in recorded]
        for (code, old), (_, new) in zip(recorded, live):
            if code == HANDLE:
                assert (old == 0) == (new == 0)
                assert self.live.setdefault(old, new) == new or old != 0
                self.live[old] = new
            elif code == TENSOR:
                self.live[old.data] = new.data
                assert replace(new, data=old.data) == old
            elif code == BYTES:
                assert len(new) == len(old), "the number of measured times must be equal"
            else:
                assert new == old

    def exchange(self, request: bytes, reply: bytes) -> Tuple[bytes, bytes]:
        """Send one recorded message, compare the replies, and return their operands."""
        code, operands = split_message(request)
        answer, live = split_message(self.device.raw(message(code, self._operands(code, operands))))
        expected, recorded = split_message(reply)
        assert answer == expected
        if answer == EXCEPTION:
            ((kind, text),), _ = decode_values(live)
            assert kind == STR and text, "an exception must contain a message"
        elif answer != COPY_ACK:
            self._compare(decode_values(recorded)[0], decode_values(live)[0])
        return recorded, live


@pytest.mark.slow
def test_the_conversation_with_an_aot_model(start: Callable[[str], ProcessDevice]) -> None:
    replay = Replay(start("mlp_f32_aot"))
    copies = []
    for request, reply in recorded("mlp_f32_aot"):
        assert reply
        old, live = replay.exchange(request, reply)
        if split_message(reply)[0] == COPY_ACK:
            copies.append((old, live))
    (old_output, new_output), (old_array, new_array) = copies
    assert struct.unpack("<10f", new_output) == pytest.approx(struct.unpack("<10f", old_output), rel=1e-5)
    assert new_array == old_array


def test_the_conversation_with_a_graph_model(device: MemoryDevice) -> None:
    """Replay without the archive of the recording: kernels with the same names replace its kernels."""
    names = [f"tvmgen_default_{name}".encode() for name in GRAPH_KERNELS]
    table = len(names).to_bytes(2, "little") + b"".join(name + b"\0" for name in names)
    device.library.lab_set_names(table, len(names))
    replay = Replay(device)
    copies = []
    for request, reply in recorded("conv_dense_f32_graph"):
        old, live = replay.exchange(request, reply)
        if split_message(reply)[0] == COPY_ACK:
            copies.append((old, live))
    assert copies[-1][0] == copies[-1][1], "the device must return the copied data"
