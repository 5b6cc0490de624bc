# SPDX-License-Identifier: Apache-2.0
"""The size limits of the device runtime, for the smallest boards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.device import RAM_LIMIT, TEXT_LIMIT, available, runtime_size


@pytest.mark.slow
def test_text_ram_and_stack_on_a_cortex_m3(tmp_path: Path) -> None:
    if not available():
        assert not os.environ.get("CI"), "CI must have arm-none-eabi-gcc"
        pytest.skip("arm-none-eabi-gcc is not installed (Debian: gcc-arm-none-eabi)")
    size = runtime_size(tmp_path)
    assert size.linked_text <= TEXT_LIMIT, "the part of the runtime in firmware without a model is too large"
    assert size.linked_text <= size.objects_text
    assert size.ram <= RAM_LIMIT
    assert size.largest_frame <= 256, "about five nested calls must fit into 1 KB of stack"
