# SPDX-License-Identifier: Apache-2.0
"""The device runtime stays small enough for the smallest boards."""

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
    assert size.linked_text <= TEXT_LIMIT, "what a firmware without a model holds of the runtime"
    assert size.linked_text <= size.objects_text
    assert size.ram <= RAM_LIMIT
    assert size.largest_frame <= 256, "calls are some five deep: a kilobyte of stack in all"
